/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The effective policy as JSON: for people with the origin of everything, and in the canonical form
 * for the digest. It must never leave out something that has an effect.
 */
#include <stdarg.h>
#include <stdio.h>

#include "policy-internal.h"
#include "size.h"
#include "text.h"

struct show {
	const struct policy *policy;
	bool canonical;
	bool failed;
};

/* Adds a member, or an item when key is NULL. Takes the value; NULL means out of memory. */
static void put(
	struct show *show, struct json_object *to, const char *key, struct json_object *value)
{
	int r = -1;

	if (to && value)
		r = key ? json_object_object_add(to, key, value) : json_object_array_add(to, value);
	if (r < 0) {
		json_object_put(value);
		show->failed = true;
	}
}

static void put_string(
	struct show *show, struct json_object *to, const char *key, const char *value)
{
	put(show, to, key, json_object_new_string(value));
}

static struct json_object *amount(uint64_t number, bool size)
{
	char text[SIZE_TEXT_MAX];

	if (number == POLICY_UNLIMITED)
		return json_object_new_string("unlimited");
	return size ? json_object_new_string(size_format(number, text))
		    : json_object_new_uint64(number);
}

static int compare_items(const void *a, const void *b)
{
	return strcmp(json_object_get_string(*(struct json_object *const *)a),
		json_object_get_string(*(struct json_object *const *)b));
}

/* Adds a list. Order and repetition have no effect: canonical lists are sorted. */
static void put_list(
	struct show *show, struct json_object *to, const char *key, struct json_object *list)
{
	if (list && show->canonical) {
		json_object_array_sort(list, compare_items);
		for (size_t i = json_object_array_length(list); i-- > 1;)
			if (json_object_equal(json_object_array_get_idx(list, i),
				    json_object_array_get_idx(list, i - 1)))
				json_object_array_del_idx(list, i, 1);
	}
	put(show, to, key, list);
}

static void put_from(struct show *show, struct json_object *to, const char *path,
	const char *format, ...) printf_like(4, 5);
static void put_from(
	struct show *show, struct json_object *to, const char *path, const char *format, ...)
{
	cleanup(cleanup_free) char *place = NULL, *from = NULL, *file = NULL;
	va_list args;

	if (show->canonical)
		return;
	if (!path) {
		put_string(show, to, "from", "default");
		return;
	}
	va_start(args, format);
	if (vasprintf(&place, format, args) < 0)
		place = NULL;
	va_end(args);
	/* JSON is UTF-8, but names of files need not be. */
	file = text_new(path, TEXT_NAME);
	if (place && file && asprintf(&from, "%s: %s", file, place) < 0)
		from = NULL;
	if (from)
		put_string(show, to, "from", from);
	else
		show->failed = true;
}

/* Adds a setting: its value, and where it was set. */
static void put_setting(struct show *show, struct json_object *to, const char *object,
	const char *key, enum policy_setting setting, struct json_object *value)
{
	struct json_object *holder = json_object_new_object();

	put(show, holder, "value", value);
	put_from(show, holder, show->policy->set_by[setting], "%s/%s", object, key);
	put(show, to, key, holder);
}

static struct json_object *reload_word(enum policy_reload reload)
{
	return json_object_new_string(reload == POLICY_RELOAD_REVOKE ? "revoke" : "keep");
}

static void put_settings(struct show *show, struct json_object *to)
{
	const struct policy_settings *settings = &show->policy->settings;
	struct json_object *limits = json_object_new_object(), *audit = json_object_new_object();

	put_setting(
		show, limits, "/limits", "total", POLICY_SET_TOTAL, amount(settings->total, true));
	put_setting(show, limits, "/limits", "per-user", POLICY_SET_PER_USER,
		amount(settings->per_user, true));
	put_setting(show, limits, "/limits", "emulated-per-user", POLICY_SET_EMULATED,
		amount(settings->emulated_per_user, true));
	put_setting(show, limits, "/limits", "connections-per-user", POLICY_SET_CONNECTIONS,
		amount(settings->connections_per_user, false));
	put_setting(show, audit, "/audit", "durability", POLICY_SET_DURABILITY,
		json_object_new_string(
			settings->durability == POLICY_WRITTEN ? "written" : "synced"));
	put(show, to, "limits", limits);
	put(show, to, "audit", audit);
	put_setting(
		show, to, "", "on-reload", POLICY_SET_ON_RELOAD, reload_word(settings->on_reload));
}

static void put_heaps(struct show *show, struct json_object *to)
{
	const struct policy *policy = show->policy;
	struct json_object *heaps = json_object_new_object(), *uses = json_object_new_object();

	for (size_t i = 0; i < policy->n_heaps; i++) {
		const struct policy_heap *heap = &policy->heaps[i];
		struct json_object *object = json_object_new_object();

		put_string(show, object, "exposure", exposure_name(heap->exposure));
		put_from(show, object, heap->path, "/heaps/%s", heap->name);
		put(show, heaps, heap->name, object);
	}
	for (size_t i = 0; i < policy->n_uses; i++) {
		const struct policy_use *use = &policy->uses[i];
		struct json_object *object = json_object_new_object();

		put_string(show, object, "heap", use->heap);
		put_string(show, object, "exposure", exposure_name(use->exposure));
		put_from(show, object, use->path, "/uses/%s", use->name);
		put(show, uses, use->name, object);
	}
	put(show, to, "heaps", heaps);
	put(show, to, "uses", uses);
}

static void put_ids(
	struct show *show, struct json_object *to, const char *key, const struct policy_ids *ids)
{
	struct json_object *list;

	if (!ids->count)
		return;
	list = json_object_new_array();
	for (size_t i = 0; i < ids->count; i++)
		if (ids->items[i].name && !show->canonical)
			put_string(show, list, NULL, ids->items[i].name);
		else
			put(show, list, NULL, json_object_new_uint64(ids->items[i].id));
	put_list(show, to, key, list);
}

static void put_bits(struct show *show, struct json_object *to, const char *key, unsigned int bits,
	const char *zero, const char *one)
{
	struct json_object *list;

	if (!bits)
		return;
	list = json_object_new_array();
	if (bits & 1)
		put_string(show, list, NULL, zero);
	if (bits & 2)
		put_string(show, list, NULL, one);
	put_list(show, to, key, list);
}

static struct json_object *show_match(struct show *show, const struct policy_match *match)
{
	struct json_object *object = json_object_new_object();

	put_ids(show, object, "user", &match->users);
	put_ids(show, object, "group", &match->groups);
	for (size_t key = 0; key < POLICY_TEXT_KEYS; key++) {
		const struct policy_patterns *patterns = &match->texts[key];
		struct json_object *list;

		if (!patterns->count)
			continue;
		list = json_object_new_array();
		for (size_t i = 0; i < patterns->count; i++)
			put_string(show, list, NULL, patterns->items[i].text);
		put_list(show, object, policy_texts[key].name, list);
	}
	if (match->container_asked)
		put(show, object, "container", json_object_new_boolean(match->container));
	put_bits(show, object, "identity", match->identities, "weak", "strong");
	put_bits(show, object, "transport", match->transports, transport_name(TRANSPORT_SOCKET),
		transport_name(TRANSPORT_DBUS));
	if (match->except)
		put(show, object, "not", show_match(show, match->except));
	return object;
}

static void put_uses(struct show *show, struct json_object *to, const struct policy_entry *entry)
{
	struct json_object *list;

	if (entry->all_uses)
		return;
	list = json_object_new_array();
	for (size_t i = 0; i < entry->n_uses; i++)
		put_string(show, list, NULL, show->policy->uses[entry->uses[i]].name);
	put_list(show, to, "use", list);
}

static struct json_object *show_allow(struct show *show, const struct policy_entry *entry)
{
	static const char *const pers[] = {
		[POLICY_PER_RULE] = "rule",
		[POLICY_PER_USER] = "user",
		[POLICY_PER_UNIT] = "unit",
		[POLICY_PER_PROCESS] = "process",
	};
	const struct policy_limits *limits = &entry->rule.limits;
	struct json_object *object = json_object_new_object();
	char rate[48];

	put_uses(show, object, entry);
	if (limits->buffer != POLICY_UNLIMITED)
		put(show, object, "buffer", amount(limits->buffer, true));
	if (limits->total != POLICY_UNLIMITED)
		put(show, object, "total", amount(limits->total, true));
	if (limits->buffers != POLICY_UNLIMITED)
		put(show, object, "buffers", amount(limits->buffers, false));
	if (limits->rate != POLICY_UNLIMITED) {
		snprintf(rate, sizeof(rate), "%ju/%s", (uintmax_t)limits->rate,
			limits->rate_usec == 1000000	? "s"
			: limits->rate_usec == 60000000 ? "min"
							: "h");
		put_string(show, object, "rate", rate);
	}
	put_string(show, object, "per", pers[limits->per]);
	return object;
}

static void put_rules(struct show *show, struct json_object *to)
{
	struct json_object *rules = json_object_new_array();

	for (size_t i = 0; i < show->policy->n_rules; i++) {
		const struct policy_entry *entry = &show->policy->rules[i];
		struct json_object *object = json_object_new_object();

		put_string(show, object, "name", entry->rule.name);
		put(show, object, "match", show_match(show, &entry->match));
		if (entry->rule.deny) {
			put_string(show, object, "deny", entry->rule.deny);
			put_uses(show, object, entry);
		} else {
			put(show, object, "allow", show_allow(show, entry));
		}
		put_from(show, object, entry->rule.path, "/rules/%zu", entry->rule.index);
		put(show, rules, NULL, object);
	}
	put(show, to, "rules", rules);
}

static char *show_text(const struct policy *policy, bool canonical)
{
	struct show show = { .policy = policy, .canonical = canonical };
	struct json_object *object = json_object_new_object();
	const char *text = NULL;
	char *copy = NULL;

	put(&show, object, "version", json_object_new_int(POLICY_VERSION));
	if (!canonical)
		put_string(&show, object, "digest", policy->digest);
	put_settings(&show, object);
	put_heaps(&show, object);
	put_rules(&show, object);
	if (!show.failed)
		text = json_object_to_json_string_ext(object,
			JSON_C_TO_STRING_NOSLASHESCAPE |
				(canonical ? JSON_C_TO_STRING_PLAIN
					   : JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
	if (text)
		copy = strdup(text);
	json_object_put(object);
	return copy;
}

char *policy_show(const struct policy *policy)
{
	return show_text(policy, false);
}

char *policy_show_canonical(const struct policy *policy)
{
	return show_text(policy, true);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whom a rule matches. A value that nothing can match is a mistake: such a rule only seems to do
 * something.
 */
#include "policy-internal.h"

struct ids {
	struct policy_ids *ids;
	bool users;
};

static bool lookup(struct policy_parse *parse, const struct policy_place *place, const char *name,
	bool user, uint32_t *ret_id)
{
	const struct policy_env *env = parse->env;
	const char *what = user ? "user" : "group";
	char quoted[POLICY_QUOTE_MAX];
	uint32_t id = 0;
	int r;

	r = user ? env->user(env->userdata, name, &id) : env->group(env->userdata, name, &id);
	if (r == -ENOMEM)
		parse->report->failed = true;
	else if (r == -ENOENT)
		policy_value_mistake(parse, place,
			"there is no %s %s on this system%s; correct the name or create it first",
			what, policy_errors_quote(quoted, name),
			name[strspn(name, "0123456789")] ? "" : " (in quotes stands a name)");
	else if (r < 0)
		policy_value_mistake(parse, place, "cannot look up the %s %s: %s", what,
			policy_errors_quote(quoted, name), strerror(-r));
	else
		*ret_id = id;
	return r >= 0;
}

/* Whether an id stands for nobody: a process may have it without being that user, or no process has
 * it. */
static bool is_nobodys(
	struct policy_parse *parse, const struct policy_place *place, bool user, uint32_t id)
{
	const struct unmapped *unmapped = &parse->env->unmapped;
	const char *what = user ? "user" : "group";

	if (!(user ? unmapped_uid(unmapped, id) : unmapped_gid(unmapped, id)))
		return false;
	if (id == UINT32_MAX)
		policy_value_mistake(parse, place,
			"is %s %u, a number that no process has; correct the %s database", what, id,
			what);
	else
		policy_value_mistake(parse, place,
			"is %s %u, which in this user namespace is every %s without a number of "
			"its own, so nobody can be told by it; map all of them, or run ccbufd in "
			"the namespace of the machine",
			what, id, what);
	return true;
}

static bool add_id(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, void *userdata)
{
	struct ids *to = userdata;
	const char *what = to->users ? "user" : "group", *name = NULL;
	uint64_t number;
	uint32_t id;

	if (json_object_is_type(json, json_type_int)) {
		/* to the kernel the highest one means "none" */
		if (!policy_value_number(parse, place, json, 0, UINT32_MAX - 1, &number))
			return false;
		id = (uint32_t)number;
	} else if (json_object_is_type(json, json_type_string)) {
		name = policy_value_string(parse, place, json, 255);
		if (!name)
			return false;
		if (!lookup(parse, place, name, to->users, &id))
			return false;
		name = policy_pool_copy(&parse->policy->pool, name);
	} else {
		policy_value_mistake(parse, place,
			"must be a %s's name in quotes, or number without, or a list of them",
			what);
		return false;
	}
	if (is_nobodys(parse, place, to->users, id))
		return false;
	to->ids->items[to->ids->count++] = (struct policy_id){ .id = id, .name = name };
	return true;
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = ((const struct policy_id *)a)->id, y = ((const struct policy_id *)b)->id;

	return x < y ? -1 : x > y;
}

static bool parse_ids(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, bool users, struct policy_ids *ids)
{
	struct ids to = { .ids = ids, .users = users };
	bool good;

	ids->items = policy_pool_alloc(
		&parse->policy->pool, policy_value_count(json), sizeof(*ids->items));
	if (!ids->items)
		return false;
	good = policy_value_each(parse, place, json, add_id, &to);
	qsort(ids->items, ids->count, sizeof(*ids->items), compare_ids);
	return good;
}

struct patterns {
	struct policy_patterns *patterns;
	enum policy_text_key key;
};

static bool add_pattern(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, void *userdata)
{
	struct patterns *to = userdata;
	const char *text = policy_value_string(parse, place, json, POLICY_PATTERN_MAX);
	const char *reason;
	char quoted[POLICY_QUOTE_MAX];
	struct policy_pattern pattern;

	if (!text)
		return false;
	reason = policy_pattern_reason(to->key, text);
	if (reason) {
		policy_value_mistake(
			parse, place, "%s %s", policy_errors_quote(quoted, text), reason);
		return false;
	}
	pattern.text = policy_pool_copy(&parse->policy->pool, text);
	pattern.prefix = to->key == POLICY_LABEL ? strlen(text) : strcspn(text, "*?[");
	pattern.glob = text[pattern.prefix] != 0;
	to->patterns->items[to->patterns->count++] = pattern;
	return true;
}

static bool parse_patterns(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, enum policy_text_key key, struct policy_match *match)
{
	struct patterns to = { .patterns = &match->texts[key], .key = key };

	to.patterns->items = policy_pool_alloc(
		&parse->policy->pool, policy_value_count(json), sizeof(*to.patterns->items));
	return to.patterns->items && policy_value_each(parse, place, json, add_pattern, &to);
}

static const char *const identity_names[] = { "weak", "strong", NULL };
static const char *const transport_names[] = {
	[TRANSPORT_SOCKET] = "socket",
	[TRANSPORT_DBUS] = "dbus",
	NULL,
};

struct choices {
	const char *const *names;
	unsigned int *bits;
};

static bool add_choice(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, void *userdata)
{
	struct choices *to = userdata;
	int choice = policy_value_choice(parse, place, json, to->names);

	if (choice >= 0)
		*to->bits |= 1u << choice;
	return choice >= 0;
}

static bool parse_not(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, struct policy_match *match)
{
	match->except = policy_pool_alloc(&parse->policy->pool, 1, sizeof(*match->except));
	if (!match->except || !policy_parse_match(parse, place, json, match->except))
		return false;
	if (!match->except->empty)
		return true;
	policy_value_mistake(
		parse, place, "is empty, so the rule can never match; say what must not hold");
	return false;
}

bool policy_parse_match(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, struct policy_match *ret_match)
{
	struct policy_match match = { 0 };
	struct choices identities = { identity_names, &match.identities };
	struct choices transports = { transport_names, &match.transports };
	bool good = true;

	if (!policy_value_object(parse, place, json, POLICY_OBJECT_MATCH))
		return false;
	match.empty = json_object_object_length(json) == 0;
	json_object_object_foreach(json, key, value)
	{
		struct policy_place at = { .up = place, .key = key };

		for (int i = 0; i < POLICY_TEXT_KEYS; i++)
			if (streq(key, policy_texts[i].name))
				good = parse_patterns(parse, &at, value, (enum policy_text_key)i,
					       &match) &&
				       good;
		if (streq(key, "user")) {
			good = parse_ids(parse, &at, value, true, &match.users) && good;
		} else if (streq(key, "group")) {
			good = parse_ids(parse, &at, value, false, &match.groups) && good;
		} else if (streq(key, "container")) {
			match.container_asked =
				policy_value_type(parse, &at, value, json_type_boolean);
			match.container = json_object_get_boolean(value);
			good = match.container_asked && good;
		} else if (streq(key, "identity")) {
			good = policy_value_each(parse, &at, value, add_choice, &identities) &&
			       good;
		} else if (streq(key, "transport")) {
			good = policy_value_each(parse, &at, value, add_choice, &transports) &&
			       good;
		} else if (streq(key, "not")) {
			good = parse_not(parse, &at, value, &match) && good;
		}
	}
	*ret_match = match;
	return good;
}

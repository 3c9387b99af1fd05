/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One document to uses, heaps, limits and rules. It continues after a mistake, to find all of them.
 * Checks across files are policy-link's.
 */
#include "policy-internal.h"

static void parse_use(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, const char *name)
{
	struct policy *policy = parse->policy;
	struct policy_place at = { .up = place, .key = "heap" };
	struct json_object *member;
	void *uses = policy->uses;
	bool named = use_name_valid(name);
	const char *heap;
	char quoted[POLICY_QUOTE_MAX];

	if (!named)
		policy_value_mistake(parse, place,
			"%s is no name for a use: 1 to %d letters, digits, \".\", \"_\" or \"-\", "
			"not beginning with \".\" or \"-\"",
			policy_errors_quote(quoted, name), USE_NAME_MAX);
	if (!policy_value_object(parse, place, json, POLICY_OBJECT_USE))
		return;
	if (!json_object_object_get_ex(json, "heap", &member)) {
		policy_value_missing(parse, place, "heap");
		return;
	}
	heap = policy_value_string(parse, &at, member, POLICY_HEAP_MAX);
	/* other messages list the uses, so a use with an invalid name must not be among them */
	if (!heap || !policy_value_heap(parse, &at, heap) || !named)
		return;
	if (!policy_pool_grow(&uses, policy->n_uses, &policy->uses_size, sizeof(*policy->uses))) {
		parse->report->failed = true;
		return;
	}
	policy->uses = uses;
	policy->uses[policy->n_uses] = (struct policy_use){
		.name = policy_pool_copy(&policy->pool, name),
		.heap = policy_pool_copy(&policy->pool, heap),
		.path = parse->path,
		.order = policy->n_uses,
	};
	policy->n_uses++;
}

static void parse_heap(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, const char *name)
{
	/* emulated is built in, and undeclared heaps are unknown */
	static const char *const names[] = { "shared", "private", "protected", NULL };
	struct policy *policy = parse->policy;
	struct policy_place at = { .up = place, .key = "exposure" };
	enum exposure known = policy_heap_well_known(name);
	struct json_object *member;
	void *heaps = policy->heaps;
	int choice;

	if (known != EXPOSURE_UNKNOWN)
		policy_value_mistake(parse, place,
			"this heap is known to be %s and cannot be declared otherwise; remove this",
			exposure_name(known));
	if (!policy_value_heap(parse, place, name) ||
		!policy_value_object(parse, place, json, POLICY_OBJECT_HEAP))
		return;
	if (!json_object_object_get_ex(json, "exposure", &member)) {
		policy_value_missing(parse, place, "exposure");
		return;
	}
	choice = policy_value_choice(parse, &at, member, names);
	if (choice < 0)
		return;
	if (!policy_pool_grow(
		    &heaps, policy->n_heaps, &policy->heaps_size, sizeof(*policy->heaps))) {
		parse->report->failed = true;
		return;
	}
	policy->heaps = heaps;
	policy->heaps[policy->n_heaps] = (struct policy_heap){
		.name = policy_pool_copy(&policy->pool, name),
		.path = parse->path,
		.exposure = (enum exposure)exposure_from_name(names[choice]),
		.order = policy->n_heaps,
	};
	policy->n_heaps++;
}

static void parse_limits(
	struct policy_parse *parse, const struct policy_place *place, struct json_object *json)
{
	struct policy_settings *settings = &parse->policy->settings;
	const struct {
		const char *key;
		enum policy_setting setting;
		uint64_t *bytes;
	} sizes[] = {
		{ "total", POLICY_SET_TOTAL, &settings->total },
		{ "per-user", POLICY_SET_PER_USER, &settings->per_user },
		{ "emulated-per-user", POLICY_SET_EMULATED, &settings->emulated_per_user },
	};
	const char **set_by = parse->policy->set_by;
	struct json_object *member;
	uint64_t number;

	if (!policy_value_object(parse, place, json, POLICY_OBJECT_LIMITS))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct policy_place at = { .up = place, .key = sizes[i].key };

		if (json_object_object_get_ex(json, sizes[i].key, &member) &&
			policy_value_size(parse, &at, member, 0, true, sizes[i].bytes))
			set_by[sizes[i].setting] = parse->path;
	}
	if (json_object_object_get_ex(json, "connections-per-user", &member)) {
		struct policy_place at = { .up = place, .key = "connections-per-user" };

		if (policy_value_number(parse, &at, member, 1, 1000000, &number)) {
			settings->connections_per_user = (uint32_t)number;
			set_by[POLICY_SET_CONNECTIONS] = parse->path;
		}
	}
}

static void parse_audit(
	struct policy_parse *parse, const struct policy_place *place, struct json_object *json)
{
	static const char *const names[] = {
		[POLICY_SYNCED] = "synced",
		[POLICY_WRITTEN] = "written",
		NULL,
	};
	struct policy_place at = { .up = place, .key = "durability" };
	struct json_object *member;
	int choice;

	if (!policy_value_object(parse, place, json, POLICY_OBJECT_AUDIT) ||
		!json_object_object_get_ex(json, "durability", &member))
		return;
	choice = policy_value_choice(parse, &at, member, names);
	if (choice < 0)
		return;
	parse->policy->settings.durability = (enum policy_durability)choice;
	parse->policy->set_by[POLICY_SET_DURABILITY] = parse->path;
}

static bool parse_version(struct policy_parse *parse, struct json_object *json)
{
	struct policy_place at = { .key = "version" };
	struct json_object *member;
	uint64_t version;

	if (!json_object_object_get_ex(json, "version", &member)) {
		policy_value_mistake(parse, NULL,
			"the key \"version\" is missing; write \"version\": %d", POLICY_VERSION);
		return true;
	}
	if (!policy_value_number(parse, &at, member, 0, POLICY_NUMBER_MAX, &version))
		return true;
	if (version == POLICY_VERSION)
		return true;
	policy_value_mistake(parse, &at, "is %ju, but this ccbuf reads only version %d",
		(uintmax_t)version, POLICY_VERSION);
	return false;
}

/* Parses an object with a member for each name. */
static void parse_named(struct policy_parse *parse, const char *key, struct json_object *json,
	void (*each)(struct policy_parse *parse, const struct policy_place *place,
		struct json_object *json, const char *name))
{
	struct policy_place place = { .key = key };

	if (!policy_value_type(parse, &place, json, json_type_object))
		return;
	json_object_object_foreach(json, name, member)
	{
		struct policy_place at = { .up = &place, .key = name };

		each(parse, &at, member, name);
	}
}

static void parse_rules(struct policy_parse *parse, struct json_object *json)
{
	struct policy_place place = { .key = "rules" };

	if (!policy_value_type(parse, &place, json, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(json); i++) {
		struct policy_place at = { .up = &place, .index = i };

		policy_parse_rule(parse, &at, json_object_array_get_idx(json, i), i);
	}
}

void policy_parse_document(struct policy_parse *parse, struct json_object *json)
{
	static const struct policy_place schema = { .key = "$schema" },
					 limits = { .key = "limits" }, audit = { .key = "audit" },
					 on_reload = { .key = "on-reload" };
	struct json_object *member;

	if (!policy_value_type(parse, NULL, json, json_type_object))
		return;
	/* another version has other keys: more mistakes would only confuse */
	if (!parse_version(parse, json))
		return;
	policy_value_object(parse, NULL, json, POLICY_OBJECT_POLICY);
	if (json_object_object_get_ex(json, "$schema", &member))
		policy_value_type(parse, &schema, member, json_type_string);
	if (json_object_object_get_ex(json, "uses", &member))
		parse_named(parse, "uses", member, parse_use);
	if (json_object_object_get_ex(json, "heaps", &member))
		parse_named(parse, "heaps", member, parse_heap);
	if (json_object_object_get_ex(json, "limits", &member))
		parse_limits(parse, &limits, member);
	if (json_object_object_get_ex(json, "audit", &member))
		parse_audit(parse, &audit, member);
	if (json_object_object_get_ex(json, "on-reload", &member) &&
		policy_value_reload(parse, &on_reload, member, &parse->policy->settings.on_reload))
		parse->policy->set_by[POLICY_SET_ON_RELOAD] = parse->path;
	if (json_object_object_get_ex(json, "rules", &member))
		parse_rules(parse, member);
}

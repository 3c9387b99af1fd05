/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One rule: its name, whom it matches, and what it allows or why it denies. It looks up no use: the
 * file that defines it may not have been read yet.
 */
#include "policy-internal.h"

static bool add_use(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, void *userdata)
{
	struct policy_entry *entry = userdata;
	const char *name = policy_value_name(parse, place, json, "use");

	if (!name)
		return false;
	entry->use_names[entry->n_uses++] = policy_pool_copy(&parse->policy->pool, name);
	return true;
}

static void parse_uses(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, struct policy_entry *entry)
{
	struct policy_place at = { .up = place, .key = "use" };
	size_t count = policy_value_count(json);

	entry->uses_listed = json_object_is_type(json, json_type_array);
	entry->use_names =
		policy_pool_alloc(&parse->policy->pool, count, sizeof(*entry->use_names));
	entry->uses = policy_pool_alloc(&parse->policy->pool, count, sizeof(*entry->uses));
	if (entry->use_names && entry->uses)
		policy_value_each(parse, &at, json, add_use, entry);
}

static void parse_allow(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, struct policy_entry *entry)
{
	static const char *const pers[] = {
		[POLICY_PER_RULE] = "rule",
		[POLICY_PER_USER] = "user",
		[POLICY_PER_UNIT] = "unit",
		[POLICY_PER_PROCESS] = "process",
		NULL,
	};
	struct policy_limits *limits = &entry->rule.limits;
	struct json_object *member;
	int per;

	if (!policy_value_object(parse, place, json, POLICY_OBJECT_ALLOW))
		return;
	if (json_object_object_get_ex(json, "use", &member))
		parse_uses(parse, place, member, entry);
	else
		policy_value_missing(parse, place, "use");
	if (json_object_object_get_ex(json, "buffer", &member)) {
		struct policy_place at = { .up = place, .key = "buffer" };

		policy_value_size(parse, &at, member, 1, false, &limits->buffer);
	}
	if (json_object_object_get_ex(json, "total", &member)) {
		struct policy_place at = { .up = place, .key = "total" };

		policy_value_size(parse, &at, member, 1, false, &limits->total);
	}
	if (json_object_object_get_ex(json, "buffers", &member)) {
		struct policy_place at = { .up = place, .key = "buffers" };

		policy_value_number(parse, &at, member, 1, POLICY_NUMBER_MAX, &limits->buffers);
	}
	if (json_object_object_get_ex(json, "rate", &member)) {
		struct policy_place at = { .up = place, .key = "rate" };

		policy_value_rate(parse, &at, member, &limits->rate, &limits->rate_usec);
	}
	if (json_object_object_get_ex(json, "per", &member)) {
		struct policy_place at = { .up = place, .key = "per" };

		per = policy_value_choice(parse, &at, member, pers);
		if (per >= 0)
			limits->per = (enum policy_per)per;
	}
}

static void parse_deny(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, struct json_object *uses, struct policy_entry *entry)
{
	struct policy_place at = { .up = place, .key = "deny" };
	const char *reason = policy_value_string(parse, &at, json, POLICY_DENY_MAX);

	if (reason)
		entry->rule.deny = policy_pool_copy(&parse->policy->pool, reason);
	if (uses)
		parse_uses(parse, place, uses, entry);
	else
		entry->all_uses = true;
}

static void parse_name(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, struct policy_entry *entry)
{
	struct policy_place at = { .up = place, .key = "name" };
	struct json_object *member;
	const char *name;

	if (!json_object_object_get_ex(json, "name", &member)) {
		policy_value_missing(parse, place, "name");
		return;
	}
	name = policy_value_name(parse, &at, member, "rule");
	if (name)
		entry->rule.name = policy_pool_copy(&parse->policy->pool, name);
}

void policy_parse_rule(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, size_t index)
{
	struct policy *policy = parse->policy;
	struct policy_entry entry = {
		.rule = {
			.path = parse->path,
			.index = index,
			.limits = {
				.buffer = POLICY_UNLIMITED,
				.total = POLICY_UNLIMITED,
				.buffers = POLICY_UNLIMITED,
				.rate = POLICY_UNLIMITED,
				.rate_usec = 1000000,
			},
		},
	};
	struct policy_place match = { .up = place, .key = "match" };
	struct policy_place allow_at = { .up = place, .key = "allow" };
	struct policy_place use_at = { .up = place, .key = "use" };
	struct json_object *member, *allow = NULL, *deny = NULL, *uses = NULL;
	bool allows, denies;
	void *rules = policy->rules;

	if (!policy_value_object(parse, place, json, POLICY_OBJECT_RULE))
		return;
	parse_name(parse, place, json, &entry);
	if (json_object_object_get_ex(json, "match", &member))
		policy_parse_match(parse, &match, member, &entry.match);
	else
		policy_value_mistake(parse, place,
			"the key \"match\" is missing; say whom the rule is for ({} is everybody)");
	allows = json_object_object_get_ex(json, "allow", &allow);
	denies = json_object_object_get_ex(json, "deny", &deny);
	json_object_object_get_ex(json, "use", &uses);
	if (allows == denies)
		policy_value_mistake(parse, place,
			allows ? "has both \"allow\" and \"deny\"; keep one of them"
			       : "has neither \"allow\" nor \"deny\"; add one of them");
	if (allows)
		parse_allow(parse, &allow_at, allow, &entry);
	if (allows && !denies && uses)
		policy_value_mistake(parse, &use_at,
			"belongs into \"allow\" here; beside the rule's other keys it is for deny "
			"rules");
	if (denies && !allows)
		parse_deny(parse, place, deny, uses, &entry);
	if (!policy_pool_grow(&rules, policy->n_rules, &policy->rules_size, sizeof(entry))) {
		parse->report->failed = true;
		return;
	}
	policy->rules = rules;
	policy->rules[policy->n_rules++] = entry;
}

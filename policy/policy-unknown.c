/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Rules that do not do what they say because something is not known: on this machine of all
 * processes, or of one. A key whose value is not known does not hold, so a deny rule does not deny,
 * and a "not" excludes nobody. It looks nothing up: the caller gives the facts.
 */
#include "policy-internal.h"

/* What a match does without the unknown: hold for nobody, for more than is meant, or for fewer. */
enum change { NEVER, MORE, FEWER, CHANGES };

struct effect {
	const char *key[CHANGES]; /* the key that causes each, or NULL */
	enum policy_fact fact[CHANGES];
};

static void note(struct effect *effect, enum change change, const char *key, enum policy_fact fact)
{
	if (key && !effect->key[change]) {
		effect->key[change] = key;
		effect->fact[change] = fact;
	}
}

/* Where control groups are not used, all processes are in the root, and that is known. */
static bool is_known(const struct policy_patterns *patterns, enum policy_text_key key)
{
	for (size_t i = 0; key == POLICY_CGROUP && i < patterns->count; i++)
		if (policy_match_pattern(POLICY_CGROUP, &patterns->items[i], "/"))
			return true;
	return !patterns->count;
}

static void weigh(
	const struct policy_match *match, const struct policy_facts *facts, struct effect *effect)
{
	for (enum policy_text_key key = 0; key < POLICY_TEXT_KEYS; key++)
		if (!is_known(&match->texts[key], key) && facts->unknown[policy_texts[key].fact])
			note(effect, NEVER, policy_texts[key].name, policy_texts[key].fact);
	/* a process that is not known to be outside counts as in a container */
	if (match->container_asked && facts->unknown[POLICY_FACT_CONTAINER])
		note(effect, match->container ? MORE : NEVER, "container", POLICY_FACT_CONTAINER);
	if (match->except) {
		struct effect inner = { 0 };

		weigh(match->except, facts, &inner);
		note(effect, MORE, inner.key[NEVER], inner.fact[NEVER]);
		note(effect, MORE, inner.key[FEWER], inner.fact[FEWER]);
		note(effect, FEWER, inner.key[MORE], inner.fact[MORE]);
	}
}

static void tell(struct policy_report *report, const struct policy_facts *facts,
	const struct policy_rule *rule, const char *what, const char *key, enum policy_fact fact)
{
	struct policy_place rules = { .key = "rules" };
	struct policy_place at = { .up = &rules, .index = rule->index };

	policy_errors_add(report, rule->path, &at,
		"rule \"%s\" %s here, as \"%s\" is not known: %s", rule->name, what, key,
		facts->unknown[fact]);
}

static void look_at_rule(struct policy_report *report, const struct policy_facts *facts,
	const struct policy_rule *rule, const struct effect *effect, bool only_let_through)
{
	static const char *const words[2][CHANGES] = {
		{ "allows nobody", "allows more than it says", "allows less than it says" },
		{ "denies nobody", "denies more than it says", "denies less than it says" },
	};
	bool deny = rule->deny != NULL;

	for (int i = 0; i < CHANGES; i++) {
		if (!effect->key[i])
			continue;
		if (!only_let_through || deny == (i != MORE))
			tell(report, facts, rule, words[deny][i], effect->key[i], effect->fact[i]);
		/* its other effects reach nobody */
		if (i == NEVER)
			return;
	}
}

int policy_unknowable(const struct policy *policy, const struct policy_facts *facts,
	bool only_let_through, struct policy_errors *ret_lines)
{
	struct policy_report report = { 0 };
	int r;

	for (size_t i = 0; i < policy->n_rules; i++) {
		const struct policy_entry *entry = &policy->rules[i];
		struct effect effect = { 0 };

		weigh(&entry->match, facts, &effect);
		look_at_rule(&report, facts, &entry->rule, &effect, only_let_through);
		if (!only_let_through && !entry->rule.deny &&
			entry->rule.limits.per == POLICY_PER_UNIT &&
			facts->unknown[POLICY_FACT_UNIT])
			tell(&report, facts, &entry->rule, "counts all processes together", "unit",
				POLICY_FACT_UNIT);
	}
	r = policy_errors_finish(&report, ret_lines);
	policy_errors_report_done(&report);
	return r == -EINVAL ? 0 : r;
}

/* --- one process --- */

enum answer { NO, YES, UNKNOWN };

/* Like policy_match_holds(), but "not known" where that treats the unknown as false. */
static enum answer ask(const struct policy_match *match, const struct identity *peer,
	enum transport transport, const char **ret_key)
{
	struct policy_match known = *match;
	const char *missing = NULL;
	enum answer inner;

	known.except = NULL;
	for (enum policy_text_key key = 0; key < POLICY_TEXT_KEYS; key++)
		if (match->texts[key].count && !policy_text_of(peer, key)) {
			missing = missing ? missing : policy_texts[key].name;
			known.texts[key].count = 0;
		}
	if (!policy_match_holds(&known, peer, transport))
		return NO;
	inner = match->except ? ask(match->except, peer, transport, &missing) : NO;
	if (inner == YES)
		return NO;
	if (missing)
		*ret_key = missing;
	return missing ? UNKNOWN : YES;
}

void policy_each_passed_over(const struct policy *policy, const struct identity *peer,
	const struct request *request, const struct policy_rule *decided,
	void (*visit)(void *userdata, const struct policy_rule *rule, const char *key),
	void *userdata)
{
	int64_t use = policy_decide_use(policy, request->use);

	for (size_t i = 0; use >= 0 && i < policy->n_rules; i++) {
		const struct policy_entry *entry = &policy->rules[i];
		const char *key = NULL;

		if (&entry->rule == decided)
			return;
		if (policy_match_speaks(entry, (uint32_t)use) &&
			ask(&entry->match, peer, request->transport, &key) == UNKNOWN)
			visit(userdata, &entry->rule, key);
	}
}

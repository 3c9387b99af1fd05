/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Warnings about a policy without mistakes that its author hardly meant: rules that nothing
 * reaches, limits that allow nothing, characters that mean something elsewhere. It warns only where
 * it is certain: people stop reading false warnings.
 */
#include "policy-internal.h"
#include "size.h"

#define COMPARISONS_MAX 20000000 /* of two rules: about a second; the rest is not judged */
#define PAGE_LEAST	4096	 /* the smallest of all machines */

struct remarks {
	const struct policy *policy;
	struct policy_report report;
	size_t comparisons;
};

static void cleanup_remarks(struct remarks *remarks)
{
	policy_errors_report_done(&remarks->report);
}

/* A place in a rule, with the places above it. */
struct rule_place {
	struct policy_place rules, rule, key;
};

static const struct policy_place *place_of(
	struct rule_place *place, const struct policy_rule *rule, const char *key)
{
	place->rules = (struct policy_place){ .key = "rules" };
	place->rule = (struct policy_place){ .up = &place->rules, .index = rule->index };
	place->key = (struct policy_place){ .up = &place->rule, .key = key };
	return key ? &place->key : &place->rule;
}

#define remark(remarks, rule, key, ...)                                                            \
	do {                                                                                       \
		struct rule_place place_;                                                          \
		policy_errors_add(&(remarks)->report, (rule)->path, place_of(&place_, rule, key),  \
			__VA_ARGS__);                                                              \
	} while (0)

/* --- values --- */

/* Whether it has a [ without a closing ]. */
static bool is_open(const char *text)
{
	const char *p = strchr(text, '[');

	return p && (!p[1] || !strchr(p + 2, ']'));
}

static const char *odd(enum policy_text_key key, const char *text)
{
	bool path = key == POLICY_EXE || key == POLICY_CGROUP;
	const char *percent = strchr(text, '%'), *back = strchr(text, '\\');
	size_t length = strlen(text);

	if (text[0] == ' ' || text[length - 1] == ' ')
		return "begins or ends with a blank, which is part of it";
	if (key == POLICY_LABEL)
		return strpbrk(text, "*?[{")
			       ? "is compared whole: a \"*\", \"?\", \"[\" or \"{\" in "
				 "a label is only itself"
			       : NULL;
	if (key == POLICY_SLICE && streq(text, "-.slice"))
		return "is the root slice: what is in no other slice has no slice at all";
	if (back && back[1] && strchr("*?[", back[1]))
		return "holds a backslash, which is only itself; \"[*]\" matches a \"*\" itself";
	if (!path)
		return NULL;
	if (strstr(text, "**"))
		return "holds \"**\", which is as \"*\" and matches no \"/\"";
	if (is_open(text))
		return "holds a \"[\" that nothing closes, so it is only itself";
	if (strchr(text, '{') && strchr(text, '}'))
		return "holds \"{\" and \"}\", which are only themselves; write a list";
	if (strchr(text, '$'))
		return "holds \"$\", which is only itself";
	if (percent && percent[1] && strchr("abBCdDEfgGhHiIjJlLmMnNpPqRsStTuUvVwWyY", percent[1]))
		return "holds \"%\", which is only itself; the specifiers of unit files mean "
		       "nothing "
		       "here";
	if (key == POLICY_EXE && length > 10 && streq(text + length - 10, " (deleted)"))
		return "ends with \" (deleted)\", as the kernel shows a program that was replaced, "
		       "and such a one has no known path";
	return NULL;
}

static void look_at_texts(
	struct remarks *remarks, const struct policy_rule *rule, const struct policy_match *match)
{
	for (int key = 0; key < POLICY_TEXT_KEYS; key++)
		for (size_t i = 0; i < match->texts[key].count; i++) {
			const char *text = match->texts[key].items[i].text;
			const char *what = odd((enum policy_text_key)key, text);
			char quoted[POLICY_QUOTE_MAX];

			if (what)
				remark(remarks, rule, "match", "%s %s",
					policy_errors_quote(quoted, text), what);
		}
	if (match->except)
		look_at_texts(remarks, rule, match->except);
}

/* --- limits --- */

static void look_at_amount(
	struct remarks *remarks, const struct policy_rule *rule, const char *other, uint64_t limit)
{
	char buffer[SIZE_TEXT_MAX], least[SIZE_TEXT_MAX];

	if (rule->limits.buffer != POLICY_UNLIMITED && rule->limits.buffer > limit)
		remark(remarks, rule, "allow",
			"\"buffer\" is %s, but no buffer of more than %s can be granted, as %s "
			"says",
			size_format(rule->limits.buffer, buffer), size_format(limit, least), other);
}

static void look_at_limits(struct remarks *remarks, const struct policy_entry *entry)
{
	const struct policy_settings *settings = &remarks->policy->settings;
	const struct policy_rule *rule = &entry->rule;
	bool emulated = entry->n_uses > 0;
	char text[SIZE_TEXT_MAX];

	for (size_t i = 0; i < entry->n_uses; i++)
		emulated = emulated &&
			   remarks->policy->uses[entry->uses[i]].exposure == EXPOSURE_EMULATED;
	if (rule->limits.total < PAGE_LEAST)
		remark(remarks, rule, "allow",
			"\"total\" is %s, less than a page of memory, so no buffer fits in it",
			size_format(rule->limits.total, text));
	else
		look_at_amount(remarks, rule, "its \"total\"", rule->limits.total);
	look_at_amount(remarks, rule, "\"total\" in \"limits\"", settings->total);
	look_at_amount(remarks, rule, "\"per-user\" in \"limits\"", settings->per_user);
	if (emulated)
		look_at_amount(remarks, rule, "\"emulated-per-user\" in \"limits\"",
			settings->emulated_per_user);
}

static bool has_emulated(const struct policy *policy)
{
	for (size_t i = 0; i < policy->n_uses; i++)
		if (policy->uses[i].exposure == EXPOSURE_EMULATED)
			return true;
	return false;
}

static void look_at_settings(struct remarks *remarks)
{
	const struct policy *policy = remarks->policy;
	static const struct policy_place limits = { .key = "limits" };
	const struct {
		const char *key;
		enum policy_setting setting;
		uint64_t value;
		const char *of;
	} sizes[] = {
		{ "total", POLICY_SET_TOTAL, policy->settings.total, "" },
		{ "per-user", POLICY_SET_PER_USER, policy->settings.per_user, "" },
		{ "emulated-per-user", POLICY_SET_EMULATED,
			has_emulated(policy) ? policy->settings.emulated_per_user : UINT64_MAX,
			" of the heap emulated" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct policy_place at = { .up = &limits, .key = sizes[i].key };
		char text[SIZE_TEXT_MAX];

		if (sizes[i].value < PAGE_LEAST && policy->set_by[sizes[i].setting])
			policy_errors_add(&remarks->report, policy->set_by[sizes[i].setting], &at,
				"is %s, less than a page of memory, so no buffer%s is ever granted",
				size_format(sizes[i].value, text), sizes[i].of);
	}
}

/* --- rules --- */

static void look_at_not(struct remarks *remarks, const struct policy_entry *entry)
{
	if (policy_imply_never(&entry->match))
		remark(remarks, &entry->rule, "match",
			"matches nobody: \"not\" leaves out all that the other keys match");
	else if (policy_imply_needless(&entry->match))
		remark(remarks, &entry->rule, "match",
			"\"not\" leaves out nobody: what it names is none of those that the other "
			"keys match");
}

/* The first rule that decides, before this one, all that this one could decide of a use. */
static const struct policy_entry *hidden_by(
	struct remarks *remarks, const struct policy_entry *entry, const uint32_t *use)
{
	const struct policy_entry *rules = remarks->policy->rules;

	for (const struct policy_entry *i = rules; i < entry; i++) {
		if (use ? !policy_match_speaks(i, *use) : !i->all_uses)
			continue;
		if (++remarks->comparisons > COMPARISONS_MAX)
			return NULL;
		if (policy_imply_whole(&entry->match, &i->match))
			return i;
	}
	return NULL;
}

static void look_at_order(struct remarks *remarks, const struct policy_entry *entry)
{
	const struct policy_entry *first = entry->all_uses ? hidden_by(remarks, entry, NULL) : NULL;
	size_t uses = first ? 0 : entry->all_uses ? remarks->policy->n_uses : entry->n_uses;
	bool several = false;

	for (size_t i = 0; i < uses; i++) {
		uint32_t use = entry->all_uses ? (uint32_t)i : entry->uses[i];
		const struct policy_entry *hides = hidden_by(remarks, entry, &use);

		if (!hides)
			return;
		several = several || (first && hides != first);
		first = first ? first : hides;
	}
	if (first)
		remark(remarks, &entry->rule, NULL,
			"rule \"%s\" is never reached: rule \"%s\" (%s: /rules/%zu)%s decides all "
			"that it could decide",
			entry->rule.name, first->rule.name, first->rule.path, first->rule.index,
			several ? ", or for other uses another one before it," : "");
}

/* Warns of a deny rule by a key that some processes do not have. */
static void look_at_deny(struct remarks *remarks, const struct policy_entry *entry)
{
	if (entry->match.texts[POLICY_EXE].count)
		remark(remarks, &entry->rule, "match",
			"denies by \"exe\", which is not known of a process in a mount namespace "
			"of "
			"its own (a container, a service with PrivateTmp=): such a one passes");
}

int policy_remarks(const struct policy *policy, struct policy_errors *ret_remarks)
{
	cleanup(cleanup_remarks) struct remarks remarks = { .policy = policy };
	int r;

	look_at_settings(&remarks);
	for (size_t i = 0; i < policy->n_rules; i++) {
		const struct policy_entry *entry = &policy->rules[i];

		look_at_texts(&remarks, &entry->rule, &entry->match);
		look_at_not(&remarks, entry);
		look_at_order(&remarks, entry);
		if (entry->rule.deny)
			look_at_deny(&remarks, entry);
		else
			look_at_limits(&remarks, entry);
	}
	r = policy_errors_finish(&remarks.report, ret_remarks);
	return r == -EINVAL ? 0 : r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks across files: names defined twice, and uses in rules. It must never change the order of
 * the rules.
 */
#include "policy-internal.h"

static int compare_uses(const void *a, const void *b)
{
	const struct policy_use *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : x->order < y->order ? -1 : x->order > y->order;
}

static int compare_heaps(const void *a, const void *b)
{
	const struct policy_heap *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : x->order < y->order ? -1 : x->order > y->order;
}

static int compare_rules(const void *a, const void *b)
{
	const struct policy_entry *x = *(const struct policy_entry *const *)a;
	const struct policy_entry *y = *(const struct policy_entry *const *)b;
	int r = strcmp(x->rule.name, y->rule.name);

	return r ? r : x < y ? -1 : x > y;
}

static int compare_positions(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void link_uses(struct policy *policy, struct policy_report *report)
{
	struct policy_place top = { .key = "uses" };
	size_t first = 0;

	if (policy->n_uses)
		qsort(policy->uses, policy->n_uses, sizeof(*policy->uses), compare_uses);
	for (size_t i = 1; i < policy->n_uses; i++) {
		const struct policy_use *use = &policy->uses[i];
		struct policy_place at = { .up = &top, .key = use->name };

		if (!streq(policy->uses[first].name, use->name))
			first = i;
		else
			policy_errors_add(report, use->path, &at,
				"this use is already defined in %s; define it once",
				policy->uses[first].path);
	}
}

static void link_heaps(struct policy *policy, struct policy_report *report)
{
	struct policy_place top = { .key = "heaps" };
	size_t first = 0;

	if (policy->n_heaps)
		qsort(policy->heaps, policy->n_heaps, sizeof(*policy->heaps), compare_heaps);
	for (size_t i = 1; i < policy->n_heaps; i++) {
		const struct policy_heap *heap = &policy->heaps[i];
		struct policy_place at = { .up = &top, .key = heap->name };

		if (!streq(policy->heaps[first].name, heap->name))
			first = i;
		else
			policy_errors_add(report, heap->path, &at,
				"this heap is already declared in %s; declare it once",
				policy->heaps[first].path);
	}
}

static void link_rule_names(struct policy *policy, struct policy_report *report)
{
	cleanup(cleanup_free) const struct policy_entry **sorted = NULL;
	struct policy_place top = { .key = "rules" };
	size_t n = 0, first = 0;

	sorted = calloc(policy->n_rules + 1, sizeof(*sorted));
	if (!sorted) {
		report->failed = true;
		return;
	}
	for (size_t i = 0; i < policy->n_rules; i++)
		if (policy->rules[i].rule.name)
			sorted[n++] = &policy->rules[i];
	qsort(sorted, n, sizeof(*sorted), compare_rules);
	for (size_t i = 1; i < n; i++) {
		const struct policy_rule *rule = &sorted[i]->rule, *other = &sorted[first]->rule;
		struct policy_place item = { .up = &top, .index = rule->index };
		struct policy_place at = { .up = &item, .key = "name" };

		if (!streq(other->name, rule->name))
			first = i;
		else
			policy_errors_add(report, rule->path, &at,
				"a rule \"%s\" stands already in %s (/rules/%zu); give this one "
				"another name",
				rule->name, other->path, other->index);
	}
}

static void unknown_use(struct policy *policy, struct policy_report *report,
	const struct policy_entry *entry, size_t position)
{
	cleanup(cleanup_free) const char **names = calloc(policy->n_uses + 1, sizeof(*names));
	struct policy_place top = { .key = "rules" };
	struct policy_place item = { .up = &top, .index = entry->rule.index };
	struct policy_place allow = { .up = &item, .key = "allow" };
	struct policy_place use = { .up = entry->rule.deny ? &item : &allow, .key = "use" };
	struct policy_place value = { .up = &use, .index = position };
	const char *name = entry->use_names[position], *guess;

	if (!names) {
		report->failed = true;
		return;
	}
	/* mistakes that are not shown need no guess */
	for (size_t i = 0; i < policy->n_uses && report->errors.count < POLICY_MISTAKE_MAX; i++)
		names[i] = policy->uses[i].name;
	guess = policy_guess(name, names);
	if (guess)
		policy_errors_add(report, entry->rule.path, entry->uses_listed ? &value : &use,
			"use \"%s\" is not defined; did you mean \"%s\"?", name, guess);
	else
		policy_errors_add(report, entry->rule.path, entry->uses_listed ? &value : &use,
			"use \"%s\" is not defined; define it in \"uses\" of any file", name);
}

static void link_rule(struct policy *policy, struct policy_report *report,
	struct policy_entry *entry, bool complete)
{
	size_t found = 0;

	for (size_t i = 0; i < entry->n_uses; i++) {
		int64_t use = policy_decide_use(policy, entry->use_names[i]);

		if (use >= 0)
			entry->uses[found++] = (uint32_t)use;
		else if (complete)
			unknown_use(policy, report, entry, i);
	}
	entry->n_uses = found;
	if (found)
		qsort(entry->uses, found, sizeof(*entry->uses), compare_positions);
}

void policy_link(struct policy *policy, struct policy_report *report, bool complete)
{
	link_uses(policy, report);
	link_heaps(policy, report);
	link_rule_names(policy, report);
	for (size_t i = 0; i < policy->n_rules; i++)
		link_rule(policy, report, &policy->rules[i], complete);
}

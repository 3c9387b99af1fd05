/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds the first rule for a use and a peer without looking at all of them. Each rule is filed, for
 * each use it speaks of, under the values of one of its keys: whole strings, the fixed beginnings
 * of globs, users or groups; under nothing but the use when it asks for none of them. Looking up
 * what a peer has then gives every rule that might hold, and few others. It must never decide that
 * a rule holds: the match does, so that a collision of hashes costs time and nothing else.
 */
#include "policy-index.h"

#define SPREAD_MAX 4096 /* entries of one rule; beyond, it is filed under its uses only */

struct filing {
	uint64_t hash;
	uint32_t rule;
};

struct filings {
	struct filing *items;
	size_t count, capacity;
};

static void cleanup_filings(struct filings *filings)
{
	free(filings->items);
}

static uint64_t hash_bytes(const char *text, size_t length)
{
	uint64_t hash = POLICY_INDEX_HASH;

	for (size_t i = 0; i < length; i++)
		hash = policy_index_byte(hash, text[i]);
	return hash;
}

static size_t kind_count(const struct policy_match *match, unsigned int kind)
{
	if (kind == POLICY_BY_USER)
		return match->users.count;
	if (kind == POLICY_BY_GROUP)
		return match->groups.count;
	return match->texts[kind].count;
}

/* A cgroup holds what is below it, so it is only ever a beginning. */
static bool whole(unsigned int kind, const struct policy_pattern *pattern)
{
	return !pattern->glob && kind != POLICY_CGROUP;
}

static size_t prefix_of(const struct policy_pattern *pattern)
{
	return pattern->prefix < POLICY_INDEX_PREFIX_MAX ? pattern->prefix
							 : POLICY_INDEX_PREFIX_MAX;
}

/* The hash of a rule's value, of the use not yet; false when it has no fixed beginning. */
static bool value_hash(const struct policy_match *match, unsigned int kind, size_t i,
	uint64_t *ret_hash, bool *ret_exact)
{
	const struct policy_pattern *pattern;

	if (kind == POLICY_BY_USER || kind == POLICY_BY_GROUP) {
		*ret_hash = kind == POLICY_BY_USER ? match->users.items[i].id
						   : match->groups.items[i].id;
		*ret_exact = true;
		return true;
	}
	pattern = &match->texts[kind].items[i];
	*ret_exact = whole(kind, pattern);
	if (!*ret_exact && !pattern->prefix)
		return false;
	*ret_hash = hash_bytes(pattern->text, *ret_exact ? pattern->prefix : prefix_of(pattern));
	return true;
}

static bool add(struct filings *to, uint64_t hash, size_t rule)
{
	void *items = to->items;

	if (!policy_pool_grow(&items, to->count, &to->capacity, sizeof(*to->items)))
		return false;
	to->items = items;
	to->items[to->count++] = (struct filing){ .hash = hash, .rule = (uint32_t)rule };
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct filing *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->rule < y->rule ? -1 : x->rule > y->rule;
}

static void sort(struct filings *filings)
{
	if (filings->count)
		qsort(filings->items, filings->count, sizeof(*filings->items), compare);
}

/* Counts how many rules have each value, over all kinds. */
static bool census(const struct policy *policy, struct filings *ret_all)
{
	for (size_t r = 0; r < policy->n_rules; r++) {
		const struct policy_match *match = &policy->rules[r].match;

		for (unsigned int kind = 0; kind < POLICY_BY_NOTHING; kind++)
			for (size_t i = 0; i < kind_count(match, kind); i++) {
				uint64_t hash;
				bool exact;

				if (value_hash(match, kind, i, &hash, &exact) &&
					!add(ret_all, policy_index_hash(hash, kind, exact, 0), r))
					return false;
			}
	}
	sort(ret_all);
	return true;
}

static size_t first_at_least(const struct filings *all, uint64_t hash, uint32_t rule)
{
	struct filing wanted = { .hash = hash, .rule = rule };
	size_t from = 0, to = all->count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (compare(&all->items[middle], &wanted) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static size_t shared_by(const struct filings *all, uint64_t hash)
{
	return first_at_least(all, hash, UINT32_MAX) - first_at_least(all, hash, 0);
}

/* The kind whose most common value is the rarest: few other rules then come up with this one. */
static unsigned int choose(const struct policy_entry *entry, const struct filings *all)
{
	size_t uses = entry->all_uses ? 1 : entry->n_uses, best = SIZE_MAX;
	unsigned int choice = POLICY_BY_NOTHING;

	for (unsigned int kind = 0; kind < POLICY_BY_NOTHING; kind++) {
		size_t count = kind_count(&entry->match, kind), worst = 0;

		if (!count || count * uses > SPREAD_MAX)
			continue;
		for (size_t i = 0; i < count; i++) {
			uint64_t hash = 0;
			bool exact = false;
			size_t sharers = SIZE_MAX;

			if (value_hash(&entry->match, kind, i, &hash, &exact))
				sharers = shared_by(all, policy_index_hash(hash, kind, exact, 0));
			if (sharers > worst)
				worst = sharers;
		}
		if (worst < best) {
			best = worst;
			choice = kind;
		}
	}
	return choice;
}

static void note(struct policy_index *index, const struct policy_entry *entry, unsigned int kind)
{
	index->all_uses = index->all_uses || entry->all_uses;
	index->users = index->users || kind == POLICY_BY_USER;
	index->groups = index->groups || kind == POLICY_BY_GROUP;
	for (size_t i = 0; kind < POLICY_TEXT_KEYS && i < kind_count(&entry->match, kind); i++) {
		const struct policy_pattern *pattern = &entry->match.texts[kind].items[i];

		if (whole(kind, pattern))
			index->exact[kind] = true;
		else
			index->prefixes[kind] |= UINT64_C(1) << prefix_of(pattern);
	}
}

static bool file_rule(
	const struct policy_entry *entry, unsigned int kind, size_t rule, struct filings *to)
{
	size_t uses = entry->all_uses ? 1 : entry->n_uses;
	size_t count = kind == POLICY_BY_NOTHING ? 1 : kind_count(&entry->match, kind);

	for (size_t u = 0; u < uses; u++) {
		uint32_t use = entry->all_uses ? POLICY_INDEX_ALL_USES : entry->uses[u];

		for (size_t i = 0; i < count; i++) {
			uint64_t hash = 0;
			bool exact = false;

			if (kind != POLICY_BY_NOTHING)
				value_hash(&entry->match, kind, i, &hash, &exact);
			if (!add(to, policy_index_hash(hash, kind, exact, use), rule))
				return false;
		}
	}
	return true;
}

static int build_slots(struct policy_index *index, const struct filings *filings)
{
	size_t slots = 16;

	if (filings->count > UINT32_MAX)
		return -ENOMEM;
	while (slots < filings->count * 2)
		slots *= 2;
	index->slots = calloc(slots, sizeof(*index->slots));
	index->entries = calloc(filings->count + 1, sizeof(*index->entries));
	if (!index->slots || !index->entries)
		return -ENOMEM;
	index->mask = slots - 1;
	for (size_t i = 0; i < filings->count;) {
		uint64_t hash = filings->items[i].hash;
		size_t slot = hash & index->mask, start = i;

		while (index->slots[slot].count)
			slot = (slot + 1) & index->mask;
		for (; i < filings->count && filings->items[i].hash == hash; i++)
			index->entries[i] = filings->items[i].rule;
		index->slots[slot] = (struct policy_slot){
			.hash = hash,
			.start = (uint32_t)start,
			.count = (uint32_t)(i - start),
		};
	}
	return 0;
}

int policy_index_build(struct policy *policy)
{
	cleanup(cleanup_filings) struct filings all = { 0 }, chosen = { 0 };
	int r;

	if (!policy->n_rules)
		return 0;
	if (!census(policy, &all))
		return -ENOMEM;
	for (size_t i = 0; i < policy->n_rules; i++) {
		const struct policy_entry *entry = &policy->rules[i];
		unsigned int kind = choose(entry, &all);

		note(&policy->index, entry, kind);
		if (!file_rule(entry, kind, i, &chosen))
			return -ENOMEM;
	}
	sort(&chosen);
	r = build_slots(&policy->index, &chosen);
	if (r < 0)
		policy_index_done(&policy->index);
	return r;
}

void policy_index_done(struct policy_index *index)
{
	free(index->slots);
	free(index->entries);
	*index = (struct policy_index){ 0 };
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks up in the index what a peer has. It must find exactly the rule that a scan of all rules in
 * order would find.
 */
#include "policy-index.h"

struct search {
	const struct policy *policy;
	const struct identity *peer;
	enum transport transport;
	uint32_t use;
	uint32_t best; /* the first rule found so far */
};

static void look_in(struct search *search, uint64_t hash)
{
	const struct policy *policy = search->policy;
	const struct policy_index *index = &policy->index;
	size_t slot = hash & index->mask;
	const struct policy_slot *found;

	while (index->slots[slot].count && index->slots[slot].hash != hash)
		slot = (slot + 1) & index->mask;
	found = &index->slots[slot];
	for (uint32_t i = 0; i < found->count; i++) {
		uint32_t rule = index->entries[found->start + i];
		const struct policy_entry *entry = &policy->rules[rule];

		if (rule >= search->best)
			return;
		if (policy_match_speaks(entry, search->use) &&
			policy_match_holds(&entry->match, search->peer, search->transport)) {
			search->best = rule;
			return;
		}
	}
}

/* Rules for this use, and those for every use. */
static void look(struct search *search, uint64_t hash, unsigned int kind, bool exact)
{
	look_in(search, policy_index_hash(hash, kind, exact, search->use));
	if (search->policy->index.all_uses)
		look_in(search, policy_index_hash(hash, kind, exact, POLICY_INDEX_ALL_USES));
}

static void look_text(struct search *search, enum policy_text_key key, const char *text)
{
	uint64_t prefixes = search->policy->index.prefixes[key], hash = POLICY_INDEX_HASH;
	bool exact = search->policy->index.exact[key];

	if (!text)
		return;
	/* bit 0 is the prefix of no bytes: never filed */
	for (size_t i = 0; text[i] && (exact || prefixes >> 1); i++) {
		prefixes >>= 1;
		hash = policy_index_byte(hash, text[i]);
		if (prefixes & 1)
			look(search, hash, key, false);
	}
	if (exact)
		look(search, hash, key, true);
}

const struct policy_entry *policy_index_find(const struct policy *policy, uint32_t use,
	const struct identity *peer, enum transport transport)
{
	const struct policy_index *index = &policy->index;
	struct search search = {
		.policy = policy,
		.peer = peer,
		.transport = transport,
		.use = use,
		.best = UINT32_MAX,
	};

	if (!index->slots)
		return NULL;
	look_text(&search, POLICY_UNIT, peer->unit);
	look_text(&search, POLICY_EXE, peer->exe);
	look_text(&search, POLICY_LABEL, peer->label);
	look_text(&search, POLICY_CGROUP, peer->cgroup);
	look_text(&search, POLICY_SLICE, peer->slice);
	if (index->users)
		look(&search, peer->uid, POLICY_BY_USER, true);
	if (index->groups) {
		look(&search, peer->gid, POLICY_BY_GROUP, true);
		for (size_t i = 0; i < peer->n_groups; i++)
			look(&search, peer->groups[i], POLICY_BY_GROUP, true);
	}
	look(&search, 0, POLICY_BY_NOTHING, false);
	return search.best == UINT32_MAX ? NULL : &policy->rules[search.best];
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a rule's match holds for a peer. A key never holds for a value that the kernel does not
 * say. It looks nothing up: it runs for every request.
 */
#include <fnmatch.h>

#include "policy-internal.h"

bool policy_match_pattern(
	enum policy_text_key key, const struct policy_pattern *pattern, const char *text)
{
	/* Names of units contain backslashes (foo\x2dbar), so a backslash is literal. */
	int flags = FNM_NOESCAPE;

	if (strncmp(pattern->text, text, pattern->prefix))
		return false;
	if (key == POLICY_CGROUP) {
		char next;

		/* A cgroup contains those below it; a process may be allowed to move down. */
		if (pattern->glob)
			return !fnmatch(
				pattern->text, text, flags | FNM_PATHNAME | FNM_LEADING_DIR);
		next = text[pattern->prefix];
		return next == 0 || (next == '/' && pattern->prefix > 1);
	}
	if (!pattern->glob)
		return text[pattern->prefix] == 0;
	if (key == POLICY_EXE)
		flags |= FNM_PATHNAME;
	return !fnmatch(pattern->text, text, flags);
}

static bool text_holds(
	enum policy_text_key key, const struct policy_patterns *patterns, const char *text)
{
	if (!patterns->count)
		return true;
	if (!text)
		return false;
	for (size_t i = 0; i < patterns->count; i++)
		if (policy_match_pattern(key, &patterns->items[i], text))
			return true;
	return false;
}

static int compare_id(const void *key, const void *item)
{
	uint32_t wanted = *(const uint32_t *)key, id = ((const struct policy_id *)item)->id;

	return wanted < id ? -1 : wanted > id;
}

static bool has_id(const struct policy_ids *ids, uint32_t id)
{
	return ids->count && bsearch(&id, ids->items, ids->count, sizeof(*ids->items), compare_id);
}

static bool groups_hold(const struct policy_ids *groups, const struct identity *peer)
{
	if (!groups->count || has_id(groups, peer->gid))
		return true;
	for (size_t i = 0; i < peer->n_groups; i++)
		if (has_id(groups, peer->groups[i]))
			return true;
	return false;
}

bool policy_match_holds(
	const struct policy_match *match, const struct identity *peer, enum transport transport)
{
	if (match->empty)
		return true;
	if (match->transports && !(match->transports & (1u << transport)))
		return false;
	if (match->identities && !(match->identities & (peer->strong ? 2u : 1u)))
		return false;
	if (match->container_asked && match->container != peer->container)
		return false;
	if (match->users.count && !has_id(&match->users, peer->uid))
		return false;
	if (!groups_hold(&match->groups, peer))
		return false;
	for (enum policy_text_key key = 0; key < POLICY_TEXT_KEYS; key++)
		if (!text_holds(key, &match->texts[key], policy_text_of(peer, key)))
			return false;
	return !match->except || !policy_match_holds(match->except, peer, transport);
}

static int compare_use(const void *key, const void *item)
{
	uint32_t wanted = *(const uint32_t *)key, use = *(const uint32_t *)item;

	return wanted < use ? -1 : wanted > use;
}

bool policy_match_speaks(const struct policy_entry *entry, uint32_t use)
{
	return entry->all_uses || (entry->n_uses && bsearch(&use, entry->uses, entry->n_uses,
							    sizeof(use), compare_use));
}

/* Rules are few, and most fail at their first key: 100 rules cost less than an index. */
const struct policy_entry *policy_match_first(const struct policy *policy, uint32_t use,
	const struct identity *peer, enum transport transport)
{
	for (size_t i = 0; i < policy->n_rules; i++) {
		const struct policy_entry *entry = &policy->rules[i];

		if (policy_match_speaks(entry, use) &&
			policy_match_holds(&entry->match, peer, transport))
			return entry;
	}
	return NULL;
}

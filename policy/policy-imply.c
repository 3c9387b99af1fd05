/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Relations of two matches that are true for every peer: one implies the other, or both together
 * are impossible. True must be certain; false means "not known".
 */
#include "policy-internal.h"

#define DEPTH_MAX 3 /* levels of "not" in "not" that are judged, as each doubles the work */

static bool has_id(const struct policy_ids *ids, uint32_t id)
{
	for (size_t i = 0; i < ids->count; i++)
		if (ids->items[i].id == id)
			return true;
	return false;
}

static bool ids_within(const struct policy_ids *a, const struct policy_ids *b)
{
	if (!b->count)
		return true;
	for (size_t i = 0; i < a->count; i++)
		if (!has_id(b, a->items[i].id))
			return false;
	return a->count;
}

static bool ids_apart(const struct policy_ids *a, const struct policy_ids *b)
{
	for (size_t i = 0; i < a->count; i++)
		if (has_id(b, a->items[i].id))
			return false;
	return a->count && b->count;
}

/* Compares two sets of choices. */
static bool bits_within(unsigned int a, unsigned int b)
{
	return !b || b == 3 || (a && !(a & ~b));
}

/* Whether one pattern matches every text that the other one matches. */
static bool covers(
	enum policy_text_key key, const struct policy_pattern *b, const struct policy_pattern *a)
{
	if (streq(a->text, b->text))
		return true;
	if (!a->glob)
		return policy_match_pattern(key, b, a->text);
	return (key == POLICY_UNIT || key == POLICY_SLICE) && streq(b->text, "*");
}

static bool texts_within(
	enum policy_text_key key, const struct policy_patterns *a, const struct policy_patterns *b)
{
	for (size_t i = 0; b->count && i < a->count; i++) {
		size_t j = 0;

		while (j < b->count && !covers(key, &b->items[j], &a->items[i]))
			j++;
		if (j == b->count)
			return false;
	}
	return !b->count || a->count;
}

static bool apart(
	enum policy_text_key key, const struct policy_pattern *a, const struct policy_pattern *b)
{
	size_t prefix = a->prefix < b->prefix ? a->prefix : b->prefix;

	if (strncmp(a->text, b->text, prefix) != 0)
		return true;
	if (a->glob && b->glob)
		return false;
	/* a cgroup contains those below it */
	if (key == POLICY_CGROUP)
		return !a->glob && !b->glob && !covers(key, a, b) && !covers(key, b, a);
	return a->glob ? !policy_match_pattern(key, a, b->text)
		       : !policy_match_pattern(key, b, a->text);
}

static bool texts_apart(
	enum policy_text_key key, const struct policy_patterns *a, const struct policy_patterns *b)
{
	for (size_t i = 0; i < a->count; i++)
		for (size_t j = 0; j < b->count; j++)
			if (!apart(key, &a->items[i], &b->items[j]))
				return false;
	return a->count && b->count;
}

/* Ignores the "not" of both. */
static bool base_implies(const struct policy_match *a, const struct policy_match *b)
{
	for (int key = 0; key < POLICY_TEXT_KEYS; key++)
		if (!texts_within((enum policy_text_key)key, &a->texts[key], &b->texts[key]))
			return false;
	return ids_within(&a->users, &b->users) && ids_within(&a->groups, &b->groups) &&
	       bits_within(a->identities, b->identities) &&
	       bits_within(a->transports, b->transports) &&
	       (!b->container_asked || (a->container_asked && a->container == b->container));
}

static bool base_apart(const struct policy_match *a, const struct policy_match *b)
{
	for (int key = 0; key < POLICY_TEXT_KEYS; key++)
		if (texts_apart((enum policy_text_key)key, &a->texts[key], &b->texts[key]))
			return true;
	/* not groups: a process has several */
	return ids_apart(&a->users, &b->users) ||
	       (a->identities && b->identities && !(a->identities & b->identities)) ||
	       (a->transports && b->transports && !(a->transports & b->transports)) ||
	       (a->container_asked && b->container_asked && a->container != b->container);
}

static unsigned int depth(const struct policy_match *match)
{
	unsigned int depth = 0;

	while ((match = match->except))
		depth++;
	return depth;
}

static bool implies(const struct policy_match *a, const struct policy_match *b);

static bool never(const struct policy_match *match)
{
	struct policy_match base = *match;

	base.except = NULL;
	return match->except && implies(&base, match->except);
}

static bool is_apart(const struct policy_match *a, const struct policy_match *b)
{
	return base_apart(a, b) || (a->except && implies(b, a->except)) ||
	       (b->except && implies(a, b->except)) || never(b);
}

static bool implies(const struct policy_match *a, const struct policy_match *b)
{
	return base_implies(a, b) && (!b->except || is_apart(a, b->except));
}

bool policy_imply_whole(const struct policy_match *a, const struct policy_match *b)
{
	return depth(a) <= DEPTH_MAX && depth(b) <= DEPTH_MAX && implies(a, b);
}

bool policy_imply_never(const struct policy_match *match)
{
	return depth(match) <= DEPTH_MAX && never(match);
}

bool policy_imply_needless(const struct policy_match *match)
{
	struct policy_match base = *match;

	base.except = NULL;
	return match->except && depth(match) <= DEPTH_MAX && is_apart(&base, match->except);
}

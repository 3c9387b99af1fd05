/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How the index hashes what a rule is filed under, for building and for finding. A hash is all that
 * the index keeps of a value. Nothing else may include this.
 */
#pragma once

#include "policy-internal.h"

#define POLICY_INDEX_PREFIX_MAX 63 /* bytes of a glob's beginning that are used: bits of a word */
#define POLICY_INDEX_ALL_USES	UINT32_MAX
#define POLICY_INDEX_HASH	UINT64_C(0xcbf29ce484222325)

/* What a rule is filed under: the keys of enum policy_text_key, then these. */
enum { POLICY_BY_USER = POLICY_TEXT_KEYS, POLICY_BY_GROUP, POLICY_BY_NOTHING };

/* One more byte of a text, from POLICY_INDEX_HASH on (FNV-1a). */
static inline uint64_t policy_index_byte(uint64_t hash, char c)
{
	return (hash ^ (unsigned char)c) * UINT64_C(0x100000001b3);
}

/* Spreads all bits over all others; kind and use keep apart what is filed differently. */
static inline uint64_t policy_index_hash(uint64_t hash, unsigned int kind, bool exact, uint32_t use)
{
	hash ^= ((uint64_t)use << 8 | (uint64_t)kind << 1 | exact) * UINT64_C(0x9e3779b97f4a7c15);
	hash = (hash ^ hash >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	hash = (hash ^ hash >> 27) * UINT64_C(0x94d049bb133111eb);
	return hash ^ hash >> 31;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A copy of an event's fields that outlives the call that reported it: for the journal, which gets
 * it later, and for the counted record of folded refusals.
 */
#pragma once

#include "audit/fields.h"
#include "chain.h"

struct audit_copy {
	struct audit_copy *next;
	size_t size;	   /* of the whole allocation */
	uint64_t sequence; /* of the record in the trail; 0 for none */
	uint8_t hash[CHAIN_HASH_SIZE];
	struct audit_fields fields; /* point into this allocation; user is NULL */
	_Alignas(uint64_t) char rest[];
};

/* One allocation, which the caller frees with free(). Texts and groups are cut where a record cuts
 * them, so the size has a bound. NULL when out of memory. */
struct audit_copy *audit_copy_new(const struct audit_fields *fields);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fields of an event that outlive the call that reported it: for the journal, which is told
 * later, and for the counted record of refusals that are folded.
 */
#pragma once

#include "audit/fields.h"
#include "chain.h"

struct audit_copy {
	struct audit_copy *next;
	size_t size;	   /* of the whole allocation */
	uint64_t sequence; /* of the record in the trail; 0 for none */
	uint8_t hash[CHAIN_HASH_SIZE];
	struct audit_fields fields; /* all of it points into this allocation; user is NULL */
	_Alignas(uint64_t) char rest[];
};

/* One allocation that the caller frees with free(). Texts and groups are kept as far as a record
 * would show them, so that its size has a bound. NULL when out of memory. */
struct audit_copy *audit_copy_new(const struct audit_fields *fields);

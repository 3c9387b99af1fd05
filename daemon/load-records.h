/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a child said of a load, as it came, and the policy that it makes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "helper/load-names.h"
#include "helper/load-stream.h"
#include "policy.h"

#define LOAD_PACKET_MAX	 (sizeof(struct load_record) + LOAD_TEXT_MAX)
#define LOAD_RECORDS_MAX (256u << 20) /* bytes of all */

struct load_records {
	unsigned char *data; /* each after a uint32_t with its size */
	size_t size, capacity;
	/* Once compiled: */
	struct load_names names;
	uint32_t folders; /* a bit for each that is there, the first one's is bit 0 */
};

/* Where the next packet goes, which may be of LOAD_PACKET_MAX bytes, with room for a NUL behind.
 * NULL when out of memory. */
struct load_record *load_records_next(struct load_records *records);
/* It has come, and is kept. False when these are too many. */
bool load_records_keep(struct load_records *records, size_t size);

/* Makes the policy, see load_compile(). failed: the child could not make it, so there is a mistake.
 */
int load_records_compile(struct load_records *records, uint32_t required, bool failed,
	struct policy_errors *ret_errors, struct policy **ret_policy);
void load_records_done(struct load_records *records);

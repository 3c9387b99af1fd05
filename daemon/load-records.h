/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The records of a load as the child sent them, and the policy that they make.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "helper/load-names.h"
#include "helper/load-stream.h"
#include "policy.h"

#define LOAD_PACKET_MAX	 (sizeof(struct load_record) + LOAD_TEXT_MAX)
#define LOAD_RECORDS_MAX (256u << 20) /* bytes of all records */

struct load_records {
	unsigned char *data; /* each record follows a uint32_t with its size */
	size_t size, capacity;
	/* Once compiled: */
	struct load_names names;
	uint32_t folders; /* a bit for each that exists, bit 0 for the first */
};

/* The place for the next packet of up to LOAD_PACKET_MAX bytes, with room for a NUL behind it. NULL
 * when out of memory. */
struct load_record *load_records_next(struct load_records *records);
/* Keeps the packet that was received there. Returns false when there are too many. */
bool load_records_keep(struct load_records *records, size_t size);

/* Makes the policy, see load_compile(). failed: the child found a mistake. */
int load_records_compile(struct load_records *records, uint32_t required, bool failed,
	struct policy_errors *ret_errors, struct policy **ret_policy);
void load_records_done(struct load_records *records);

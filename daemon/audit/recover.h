/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads the end of the trail's files, to find where the chain goes on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "audit/audit.h"
#include "chain.h"

struct audit_tail {
	struct chain chain; /* as of the last record; all zero when there is none */
	uint64_t size;	    /* bytes of whole lines */
	uint64_t cut;	    /* bytes of an incomplete line after them */
	bool damaged;	    /* it does not end in a valid record (size and cut mean nothing) */
	uint64_t highest;   /* the highest sequence number seen, also in a damaged file */
};

/* Finds the end of a file; only reads. known (or NULL) is a record that is accepted as the last one
 * without a look at the one before; any other record has to follow from the one before. A file that
 * is not regular counts as damaged. Returns 0 or a negative errno of reading. */
int audit_recover_tail(int fd, const struct chain *known, struct audit_tail *ret_tail);

/* Finds the end of the newest rotated file. Returns 0, -ENOENT when there is none, or a negative
 * errno of finding or reading it. highest is at least the number in its name. */
int audit_recover_newest(int folder, const char *name, struct audit_tail *ret_tail);

/* Where records are missing between files, or before the first of them. */
struct audit_gaps {
	struct audit_range ranges[AUDIT_RANGES_MAX];
	size_t n;	  /* ranges; there may be more gaps than fit */
	uint64_t records; /* in all gaps */
};

/*
 * Finds the gaps in the rotated files and the current one, up to the record last. The current file
 * has the records current (last 0 for none). Records up to deleted are not expected. A file whose
 * end cannot be read is assumed to reach the next one. Returns 0 or a negative errno.
 */
int audit_recover_gaps(int folder, const char *name, uint64_t deleted,
	const struct audit_range *current, uint64_t last, struct audit_gaps *ret_gaps);

/* The sequence number of the file's first record; fallback when that cannot be read. */
uint64_t audit_recover_first(int fd, uint64_t fallback);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the end of a file of the trail says about where the chain goes on.
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

/* Reads only. known, which may be NULL, is a record that may be the last one whatever stands before
 * it; any other has to follow from the one before. What is no regular file is damaged. 0 or a
 * negative errno of reading. */
int audit_recover_tail(int fd, const struct chain *known, struct audit_tail *ret_tail);

/* The tail of the newest of the files that rotation set aside. 0, -ENOENT when there is none, or a
 * negative errno of finding or reading it. highest is the number in its name at least. */
int audit_recover_newest(int folder, const char *name, struct audit_tail *ret_tail);

/* Where records are missing between files, or before the first of them. */
struct audit_gaps {
	struct audit_range ranges[AUDIT_RANGES_MAX];
	size_t n;	  /* of ranges; there may be more than have room */
	uint64_t records; /* in all gaps */
};

/*
 * Goes through the files that rotation set aside and the current one, which has the records current
 * (last 0 for none), to the record last. Those up to deleted are not expected. A file whose end
 * cannot be read is taken to reach to the next one. 0 or a negative errno.
 */
int audit_recover_gaps(int folder, const char *name, uint64_t deleted,
	const struct audit_range *current, uint64_t last, struct audit_gaps *ret_gaps);

/* The sequence number of the file's first record, fallback when it has none that can be read. */
uint64_t audit_recover_first(int fd, uint64_t fallback);

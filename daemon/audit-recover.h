/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the end of a file of the trail says about where the chain goes on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "chain.h"

struct audit_tail {
	struct chain chain; /* as of the last record; all zero when there is none */
	uint64_t size;	    /* bytes of whole lines */
	uint64_t cut;	    /* bytes of an incomplete line after them */
	bool damaged;	    /* it does not end in a valid record (size and cut mean nothing) */
	uint64_t highest;   /* the highest sequence number seen, also in a damaged file */
};

/* Reads only. 0 or a negative errno of reading. */
int audit_recover_tail(int fd, struct audit_tail *ret_tail);

/* The sequence number of the file's first record, fallback when it has none that can be read. */
uint64_t audit_recover_first(int fd, uint64_t fallback);

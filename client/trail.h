/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files of an audit trail: the current one and the rotated ones.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

#define TRAIL_PATH CCBUF_LOCALSTATEDIR "/log/ccbufd/audit.jsonl"

struct trail_file {
	char *path;
	uint64_t first; /* sequence number in its name, of its first record; 0 for none */
	int fd;		/* open for reading; the owner may take it */
};

struct trail {
	struct trail_file *files;
	size_t n_files;
	bool gone; /* the current one is missing, older ones exist */
};

#define TRAIL_NONE                                                                                 \
	{                                                                                          \
		.n_files = 0                                                                       \
	}

/* Closes and frees all. */
void trail_done(struct trail *trail);

/*
 * Opens path and, with rotated, the files PATH.SEQ (20 digits) before it, oldest first. The files
 * are consistent, even if the daemon rotates meanwhile. Adds to trail, which may have files
 * already. Returns 0 or a negative errno; -ENOENT when there is none of these files.
 */
int trail_open(struct trail *trail, const char *path, bool rotated);

/* Says in one line why a trail cannot be read. */
void trail_complain(const char *path, int r);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files of an audit trail: the one that is written, and those that rotation set aside.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

#define TRAIL_PATH CCBUF_LOCALSTATEDIR "/log/ccbufd/audit.jsonl"

struct trail_file {
	char *path;
	uint64_t first; /* sequence number that its name says it begins with; 0 for none */
	int fd;		/* open for reading; the owner may take it */
};

struct trail {
	struct trail_file *files;
	size_t n_files;
	bool gone; /* the one that is written is not there, older ones are */
};

#define TRAIL_NONE                                                                                 \
	{                                                                                          \
		.n_files = 0                                                                       \
	}

/* Closes and frees all. */
void trail_done(struct trail *trail);

/*
 * Opens path and, with rotated, the files PATH.SEQ (20 digits) before it, oldest first. The files
 * are those of one moment, also when the daemon rotates meanwhile. Adds to trail, which may
 * hold files already. 0 or a negative errno; -ENOENT when there is neither the one nor the others.
 */
int trail_open(struct trail *trail, const char *path, bool rotated);

/* Says in one line why a trail cannot be read. */
void trail_complain(const char *path, int r);

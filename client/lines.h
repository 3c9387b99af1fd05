/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lines of a file that may still grow, with a limit on their length.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINES_MAX (1u << 20) /* bytes of a line; no record is as long */

struct lines {
	int fd;
	char *data;
	size_t begin, end, size; /* of the bytes read and not yet returned */
	uint64_t offset;	 /* in the file, of the next line */
	uint64_t position;	 /* likewise, of what is read next */
	bool skipping;		 /* in a line that is too long */
};

/* Takes the fd. */
void lines_init(struct lines *lines, int *fd);
/* Closes it. */
void lines_done(struct lines *lines);

/*
 * Returns 1 with the next whole line, its newline not counted, valid until the next call; 0 at the
 * end, where an incomplete line may be left (more may come later); -EMSGSIZE instead of a line that
 * is too long; or another negative errno of reading.
 */
int lines_next(struct lines *lines, const char **ret_line, size_t *ret_length);

/* Drops the part of an incomplete line: the next call reads it again. Valid after lines_next()
 * returned 0. Returns 0 or a negative errno. */
int lines_again(struct lines *lines);

/* The offset of the next line in the file. */
uint64_t lines_offset(const struct lines *lines);

/* Continues at the beginning of the file. Returns 0 or a negative errno. */
int lines_rewind(struct lines *lines);

/* Whether the file ends without a newline. Valid after lines_next() returned 0. */
bool lines_incomplete(const struct lines *lines);

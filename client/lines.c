/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lines of a file. The limit of a line bounds its memory, whatever the file is.
 */
#include "lines.h"

#include "util.h"

void lines_init(struct lines *lines, int *fd)
{
	*lines = (struct lines){ .fd = steal_fd(fd) };
}

void lines_done(struct lines *lines)
{
	free(lines->data);
	close_fd(&lines->fd);
	*lines = (struct lines){ .fd = -1 };
}

bool lines_incomplete(const struct lines *lines)
{
	return lines->skipping || lines->end > lines->begin;
}

static int go_to(struct lines *lines, uint64_t offset)
{
	if (lseek(lines->fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	lines->begin = lines->end = 0;
	lines->skipping = false;
	lines->offset = lines->position = offset;
	return 0;
}

int lines_again(struct lines *lines)
{
	return go_to(lines, lines->offset);
}

uint64_t lines_offset(const struct lines *lines)
{
	return lines->offset;
}

int lines_rewind(struct lines *lines)
{
	return go_to(lines, 0);
}

/* Reads more. Returns 1, 0 at the end of the file, or a negative errno. */
static int fill(struct lines *lines)
{
	ssize_t n;

	if (!lines->data) {
		lines->data = malloc(LINES_MAX);
		if (!lines->data)
			return -ENOMEM;
		lines->size = LINES_MAX;
	}
	if (lines->begin) {
		memmove(lines->data, lines->data + lines->begin, lines->end - lines->begin);
		lines->end -= lines->begin;
		lines->begin = 0;
	}
	if (lines->end == lines->size) {
		lines->skipping = true;
		lines->end = 0;
	}
	do
		n = read(lines->fd, lines->data + lines->end, lines->size - lines->end);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	lines->end += (size_t)n;
	lines->position += (uint64_t)n;
	return n > 0;
}

int lines_next(struct lines *lines, const char **ret_line, size_t *ret_length)
{
	size_t seen = 0;
	int r;

	for (;;) {
		char *from = lines->data ? lines->data + lines->begin : NULL;
		size_t left = lines->end - lines->begin;
		char *newline = left > seen ? memchr(from + seen, '\n', left - seen) : NULL;

		if (newline) {
			lines->begin += (size_t)(newline - from) + 1;
			lines->offset = lines->position - (lines->end - lines->begin);
			if (lines->skipping) {
				lines->skipping = false;
				return -EMSGSIZE;
			}
			*ret_line = from;
			*ret_length = (size_t)(newline - from);
			return 1;
		}
		if (lines->skipping)
			lines->begin = lines->end;
		seen = lines->end - lines->begin;
		r = fill(lines);
		if (r <= 0)
			return r;
		if (lines->skipping)
			seen = 0;
	}
}

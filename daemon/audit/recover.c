/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading the end of a trail after a stop or a crash. It never writes. It must never accept as a
 * record what is none: anybody may have changed the disk.
 */
#include "audit/recover.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "audit/format.h"
#include "audit/record.h"
#include "audit/rotate.h"
#include "lease.h"
#include "util.h"

#define LINE_MAX_BYTES (AUDIT_PREFIX_MAX + AUDIT_FORMAT_BODY_MAX)
/* Room for the incomplete line, the last record and the one before it. */
#define WINDOW (3 * (size_t)LINE_MAX_BYTES)

static const char beginning[] = "{\"seq\":";

static int read_at(int fd, char *buffer, size_t size, uint64_t offset)
{
	while (size) {
		ssize_t n = pread(fd, buffer, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		buffer += n;
		size -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

/* Whether the line is a record. Its number must leave room to count on. */
static bool record(struct chain *chain, const char *line, size_t length)
{
	struct chain found;

	if (chain_start(&found, line, length) < 0 || found.sequence >= INT64_MAX)
		return false;
	*chain = found;
	return true;
}

/* Whether the text may come from a crash during a write of ours: the beginning of a record, or
 * zeros that the file system allocated. Anything else is somebody else's. */
static bool torn(const char *text, size_t length)
{
	size_t compared = length < sizeof(beginning) - 1 ? length : sizeof(beginning) - 1;

	if (length > LINE_MAX_BYTES)
		return false;
	if (memcmp(text, beginning, compared) == 0)
		return true;
	for (size_t i = 0; i < length; i++)
		if (text[i])
			return false;
	return true;
}

/* Finds the line that ends before *end, and moves *end to its beginning. False when it does not
 * begin in the window. */
static bool line_before(const char *window, bool whole, size_t *end, size_t *ret_length)
{
	const char *newline = memrchr(window, '\n', *end);
	size_t begin = newline ? (size_t)(newline - window) + 1 : 0;

	if (!newline && !whole)
		return false;
	*ret_length = *end - begin;
	*end = begin;
	return true;
}

static uint64_t highest(const char *window, size_t size, bool whole)
{
	struct chain chain;
	uint64_t found = 0;
	size_t end = size, length;

	while (end && line_before(window, whole, &end, &length)) {
		if (record(&chain, window + end, length) && chain.sequence > found)
			found = chain.sequence;
		if (end)
			end--;
	}
	return found;
}

/* Whether the lines of the window form a chain, or the last one is known. The last one ends at end,
 * its newline not counted. */
static bool check(const char *window, bool whole, size_t end, const struct chain *known,
	struct chain *ret_chain)
{
	struct chain last, before;
	size_t length, length_before;
	const char *line;

	if (!line_before(window, whole, &end, &length))
		return false;
	line = window + end;
	if (!record(&last, line, length))
		return false;
	if (end && !(known && chain_same(&last, known))) {
		end--;
		if (line_before(window, whole, &end, &length_before) &&
			(!record(&before, window + end, length_before) ||
				chain_check(&before, line, length) < 0))
			return false;
	}
	*ret_chain = last;
	return true;
}

int audit_recover_tail(int fd, const struct chain *known, struct audit_tail *ret_tail)
{
	cleanup(cleanup_free) char *window = NULL;
	struct audit_tail tail = { 0 };
	uint64_t total;
	size_t size, lines;
	const char *newline;
	struct stat st;
	bool whole;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode)) {
		tail.damaged = true;
		*ret_tail = tail;
		return 0;
	}
	total = (uint64_t)st.st_size;
	if (!total) {
		*ret_tail = tail;
		return 0;
	}
	whole = total <= WINDOW;
	size = whole ? (size_t)total : WINDOW;
	window = malloc(size);
	if (!window)
		return -ENOMEM;
	r = read_at(fd, window, size, total - size);
	if (r < 0)
		return r;

	newline = memrchr(window, '\n', size);
	lines = newline ? (size_t)(newline - window) + 1 : 0;
	tail.cut = size - lines;
	tail.size = total - tail.cut;
	if (!lines && !whole)
		tail.damaged = true;
	if (tail.cut && !torn(window + lines, size - lines))
		tail.damaged = true;
	if (lines && !check(window, whole, lines - 1, known, &tail.chain))
		tail.damaged = true;
	if (tail.damaged) {
		memset(&tail.chain, 0, sizeof(tail.chain));
		tail.highest = highest(window, size, whole);
	} else {
		tail.highest = tail.chain.sequence;
	}
	*ret_tail = tail;
	return 0;
}

uint64_t audit_recover_first(int fd, uint64_t fallback)
{
	cleanup(cleanup_free) char *window = NULL;
	struct chain chain;
	const char *newline;
	struct stat st;
	size_t size;

	if (fstat(fd, &st) < 0 || !st.st_size)
		return fallback;
	size = (uint64_t)st.st_size < LINE_MAX_BYTES ? (size_t)st.st_size : LINE_MAX_BYTES;
	window = malloc(size);
	if (!window || read_at(fd, window, size, 0) < 0)
		return fallback;
	newline = memchr(window, '\n', size);
	if (!newline || !record(&chain, window, (size_t)(newline - window)))
		return fallback;
	return chain.sequence;
}

static int tail_of(int folder, const char *name, uint64_t number, struct audit_tail *ret_tail)
{
	cleanup(cleanup_free) char *file = audit_rotate_name(name, number);
	cleanup(cleanup_fd) int fd = -1;

	if (!file)
		return -ENOMEM;
	fd = lease_openat(
		folder, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0, LEASE_MSEC);
	return fd < 0 ? fd : audit_recover_tail(fd, NULL, ret_tail);
}

int audit_recover_newest(int folder, const char *name, struct audit_tail *ret_tail)
{
	cleanup(cleanup_free) uint64_t *numbers = NULL;
	size_t n;
	int r;

	r = audit_rotate_list(folder, name, &numbers, &n);
	if (r < 0)
		return r;
	if (!n)
		return -ENOENT;
	r = tail_of(folder, name, numbers[n - 1], ret_tail);
	if (r < 0)
		return r;
	if (ret_tail->highest < numbers[n - 1] && numbers[n - 1] < INT64_MAX)
		ret_tail->highest = numbers[n - 1];
	return 0;
}

static void gap(struct audit_gaps *gaps, uint64_t *expected, uint64_t found)
{
	if (found <= *expected)
		return;
	gaps->records += found - *expected;
	if (gaps->n < AUDIT_RANGES_MAX)
		gaps->ranges[gaps->n++] = (struct audit_range){ *expected, found - 1 };
	*expected = found;
}

int audit_recover_gaps(int folder, const char *name, uint64_t deleted,
	const struct audit_range *current, uint64_t last, struct audit_gaps *ret_gaps)
{
	cleanup(cleanup_free) uint64_t *numbers = NULL;
	struct audit_gaps gaps = { .n = 0 };
	uint64_t expected = deleted + 1;
	size_t n;
	int r;

	r = audit_rotate_list(folder, name, &numbers, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n && numbers[i] <= last; i++) {
		uint64_t next = i + 1 < n	? numbers[i + 1]
				: current->last ? current->first
						: last + 1;
		struct audit_tail tail;

		gap(&gaps, &expected, numbers[i]);
		if (tail_of(folder, name, numbers[i], &tail) >= 0 && !tail.damaged)
			next = tail.chain.sequence + 1;
		if (next > expected)
			expected = next;
	}
	if (current->last) {
		gap(&gaps, &expected, current->first);
		if (current->last >= expected)
			expected = current->last + 1;
	}
	gap(&gaps, &expected, last + 1);
	*ret_gaps = gaps;
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lock and the notes of the trail. It never waits for another's lock, and must never accept
 * notes that do not have their exact form.
 */
#include "audit/state.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "audit/rotate.h"
#include "lease.h"
#include "util.h"

#define TRIES 16

/* "SEQUENCE HASH DELETED MISSING\n", all of fixed width, then the line of audit_lost_format(). */
#define NUMBER	  20
#define LINE	  (NUMBER + 1 + (CHAIN_HASH_TEXT - 1) + 1 + NUMBER + 1 + NUMBER + 1)
#define TEXT_SIZE (LINE + AUDIT_LOST_TEXT + 1)

char *audit_state_name(const char *name)
{
	char *text;

	return asprintf(&text, ".%s.state", name) < 0 ? NULL : text;
}

static bool number(const char *digits, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (size_t i = 0; i < NUMBER; i++)
		if (digits[i] < '0' || digits[i] > '9' ||
			__builtin_mul_overflow(value, UINT64_C(10), &value) ||
			__builtin_add_overflow(value, (uint64_t)(digits[i] - '0'), &value))
			return false;
	/* Numbers must leave room to count on. */
	*ret_value = value;
	return value < INT64_MAX;
}

static bool hash(const char *text, uint8_t digest[static CHAIN_HASH_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < CHAIN_HASH_SIZE; i++) {
		const char *high = memchr(digits, text[2 * i], 16);
		const char *low = memchr(digits, text[2 * i + 1], 16);

		if (!high || !low)
			return false;
		digest[i] = (uint8_t)((high - digits) << 4 | (low - digits));
	}
	return true;
}

static bool parse(const char *untrusted_text, size_t size, struct audit_state *ret_state)
{
	const char *sum = untrusted_text + NUMBER + 1, *deleted = sum + CHAIN_HASH_TEXT;
	const char *missing = deleted + NUMBER + 1, *lost = untrusted_text + LINE, *end;
	struct audit_state state = { 0 };

	if (size <= LINE || sum[-1] != ' ' || deleted[-1] != ' ' || missing[-1] != ' ' ||
		lost[-1] != '\n')
		return false;
	end = memchr(lost, '\n', size - LINE);
	if (!end || !number(untrusted_text, &state.chain.sequence) ||
		!hash(sum, state.chain.hash) || !number(deleted, &state.deleted) ||
		!number(missing, &state.missing) || state.deleted > state.chain.sequence ||
		!audit_lost_parse(lost, (size_t)(end - lost), &state.lost))
		return false;
	*ret_state = state;
	return true;
}

static void read_state(int fd, struct audit_state *ret_state)
{
	char text[TEXT_SIZE];
	ssize_t n = pread(fd, text, sizeof(text), 0);

	if (n <= 0 || !parse(text, (size_t)n, ret_state))
		*ret_state = (struct audit_state){ 0 };
}

bool audit_state_holds(int folder, const char *name, int fd)
{
	cleanup(cleanup_free) char *own = audit_state_name(name);

	return own && audit_rotate_same(folder, own, fd);
}

int audit_state_open(int folder, const char *name, struct audit_state *ret_state, int *ret_fd)
{
	cleanup(cleanup_free) char *own = audit_state_name(name);

	if (!own)
		return -ENOMEM;
	for (int i = 0; i < TRIES; i++) {
		cleanup(cleanup_fd) int fd = lease_openat(folder, own,
			O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600, LEASE_MSEC);
		struct stat st;

		if (fd < 0)
			return fd == -EISDIR || fd == -ENXIO ? -EINVAL : fd;
		if (fstat(fd, &st) < 0)
			return -errno;
		if (!S_ISREG(st.st_mode))
			return -EINVAL;
		/* Any mode but 0600 is reset: whoever can open the file can lock it. */
		if ((st.st_mode & 0777) != 0600 && fchmod(fd, 0600) < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			return errno == EWOULDBLOCK ? -EBUSY : -errno;
		/* Removed between the open and the lock? */
		if (!audit_rotate_same(folder, own, fd))
			continue;
		read_state(fd, ret_state);
		*ret_fd = steal_fd(&fd);
		return 0;
	}
	return -EBUSY;
}

/* By hand, because every grant needs it. */
static char *put_number(char *at, uint64_t value, char end)
{
	for (size_t i = NUMBER; i > 0; i--, value /= 10)
		at[i - 1] = (char)('0' + value % 10);
	at[NUMBER] = end;
	return at + NUMBER + 1;
}

int audit_state_write(int fd, const struct audit_state *state)
{
	char text[TEXT_SIZE], *at = text;
	ssize_t n;

	at = put_number(at, state->chain.sequence, ' ');
	chain_hash_text(&state->chain, at);
	at += CHAIN_HASH_TEXT;
	at[-1] = ' ';
	at = put_number(at, state->deleted, ' ');
	at = put_number(at, state->missing, '\n');
	at += audit_lost_format(&state->lost, at);
	*at++ = '\n';
	n = pwrite(fd, text, (size_t)(at - text), 0);
	if (n < 0)
		return -errno;
	return n == at - text ? 0 : -ENOSPC;
}

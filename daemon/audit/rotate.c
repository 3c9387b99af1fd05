/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The names of the trail's files. It must never overwrite a file that has records. Where the file
 * system allows it, the current file is never absent, not even for a moment.
 */
#include "audit/rotate.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lease.h"
#include "util.h"

#define FLAGS (O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
#define MODE  0640

/* Tries while files of that name come and go. */
#define TRIES	    16
#define ASIDE_NAMES 1000

static int create(int folder, const char *name, int *ret_fd)
{
	cleanup(cleanup_fd) int fd = -1;

	fd = openat(folder, name, FLAGS | O_CREAT | O_EXCL, MODE);
	if (fd < 0)
		return -errno;
	/* The umask does not count. */
	if (fchmod(fd, MODE) < 0)
		return -errno;
	*ret_fd = steal_fd(&fd);
	return 0;
}

bool audit_rotate_same(int folder, const char *name, int fd)
{
	struct stat named, opened;

	return fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &opened) == 0 &&
	       named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

int audit_rotate_open(int folder, const char *name, bool *ret_created, int *ret_fd)
{
	for (int i = 0; i < TRIES; i++) {
		cleanup(cleanup_fd) int fd = -1;
		bool created = false;
		struct stat st;
		int r;

		fd = lease_openat(folder, name, FLAGS, 0, LEASE_MSEC);
		if (fd == -ENOENT) {
			r = create(folder, name, &fd);
			if (r == -EEXIST)
				continue;
			if (r < 0)
				return r;
			created = true;
		}
		if (fd < 0)
			return fd == -EISDIR || fd == -ENXIO ? -EINVAL : fd;
		if (fstat(fd, &st) < 0)
			return -errno;
		if (!S_ISREG(st.st_mode))
			return -EINVAL;
		*ret_created = created;
		*ret_fd = steal_fd(&fd);
		return 0;
	}
	return -EBUSY;
}

/* Returns 0 when the file has both names. A folder, or a file that we may not link, is renamed:
 * 1. */
static int add_name(int folder, const char *name, const char *more)
{
	if (linkat(folder, name, folder, more, 0) == 0)
		return 0;
	if (errno == EPERM && renameat2(folder, name, folder, more, RENAME_NOREPLACE) == 0)
		return 1;
	return -errno;
}

/* Puts next in the place of what has the name. */
static int put_in_place(int folder, const char *next, const char *name, const char *aside)
{
	int renamed = add_name(folder, name, aside), r;

	if (renamed < 0)
		return renamed;
	if (renameat(folder, next, folder, name) == 0)
		return 0;
	r = -errno;
	if (renamed)
		(void)renameat2(folder, aside, folder, name, RENAME_NOREPLACE);
	else
		unlinkat(folder, aside, 0);
	return r;
}

int audit_rotate_replace(int folder, const char *name, const char *aside, int *fd)
{
	cleanup(cleanup_free) char *next = NULL;
	cleanup(cleanup_fd) int fresh = -1;
	int r;

	if (asprintf(&next, "%s.next", name) < 0) {
		next = NULL;
		return -ENOMEM;
	}
	if (unlinkat(folder, next, 0) < 0 && errno != ENOENT)
		return -errno;
	r = create(folder, next, &fresh);
	if (r < 0)
		return r;
	if (!aside) {
		r = add_name(folder, next, name);
		if (r < 0)
			goto fail;
		if (!r)
			unlinkat(folder, next, 0);
	} else {
		r = put_in_place(folder, next, name, aside);
		if (r < 0)
			goto fail;
	}
	/* The new names are there. If this fails, a crash may restore the old ones;
	 * audit_rotate_repair() then handles them. */
	(void)fsync(folder);
	close_fd(fd);
	*fd = steal_fd(&fresh);
	return 0;
fail:
	unlinkat(folder, next, 0);
	return r;
}

int audit_rotate_set_aside(
	int folder, const char *name, uint64_t sequence, int *fd, char **ret_aside)
{
	for (unsigned int i = 0; i < ASIDE_NAMES; i++) {
		cleanup(cleanup_free) char *aside = NULL;
		char suffix[16] = "";
		int r;

		if (i)
			snprintf(suffix, sizeof(suffix), ".%u", i);
		if (asprintf(&aside, "%s.damaged-%" PRIu64 "%s", name, sequence, suffix) < 0) {
			aside = NULL;
			return -ENOMEM;
		}
		r = audit_rotate_replace(folder, name, aside, fd);
		if (r == -EEXIST)
			continue;
		if (r < 0)
			return r;
		*ret_aside = steal_pointer(&aside);
		return 0;
	}
	return -EEXIST;
}

void audit_rotate_repair(int folder, const char *name, uint64_t first, int fd)
{
	cleanup(cleanup_free) char *aside = audit_rotate_name(name, first);
	cleanup(cleanup_free) char *next = NULL;

	if (asprintf(&next, "%s.next", name) < 0)
		next = NULL;
	else
		unlinkat(folder, next, 0);
	if (aside && audit_rotate_same(folder, aside, fd))
		unlinkat(folder, aside, 0);
}

static int ascending(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool number_of(const char *entry, const char *name, uint64_t *ret_number)
{
	size_t length = strlen(name);
	uint64_t number = 0;

	if (strlen(entry) != length + AUDIT_ROTATE_SUFFIX || memcmp(entry, name, length) ||
		entry[length] != '.')
		return false;
	for (const char *p = entry + length + 1; *p; p++)
		if (*p < '0' || *p > '9' || __builtin_mul_overflow(number, UINT64_C(10), &number) ||
			__builtin_add_overflow(number, (uint64_t)(*p - '0'), &number))
			return false;
	*ret_number = number;
	return true;
}

/* Whether it is a file, or a link that somebody put in the place of one. True when unknown. */
static bool is_file(int folder, const char *name)
{
	struct stat st;

	return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISREG(st.st_mode) ||
	       S_ISLNK(st.st_mode);
}

int audit_rotate_list(int folder, const char *name, uint64_t **ret_numbers, size_t *ret_n)
{
	cleanup(cleanup_free) uint64_t *numbers = NULL;
	size_t n = 0, room = 0;
	struct dirent *entry;
	uint64_t number;
	DIR *dir;
	int fd, r = 0;

	fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close_fd(&fd);
		return -errno;
	}
	for (errno = 0; (entry = readdir(dir)); errno = 0) {
		if (!number_of(entry->d_name, name, &number) || !is_file(folder, entry->d_name))
			continue;
		if (n == room) {
			uint64_t *more;

			room = room ? 2 * room : 64;
			more = reallocarray(numbers, room, sizeof(*numbers));
			if (!more) {
				errno = ENOMEM;
				break;
			}
			numbers = more;
		}
		numbers[n++] = number;
	}
	r = -errno;
	closedir(dir);
	if (r < 0)
		return r;
	if (n)
		qsort(numbers, n, sizeof(*numbers), ascending);
	*ret_numbers = steal_pointer(&numbers);
	*ret_n = n;
	return 0;
}

int audit_rotate_prune(int folder, const char *name, uint64_t first)
{
	cleanup(cleanup_free) uint64_t *numbers = NULL;
	size_t n;
	int r;

	r = audit_rotate_list(folder, name, &numbers, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n && numbers[i] < first; i++) {
		cleanup(cleanup_free) char *old = audit_rotate_name(name, numbers[i]);

		if (!old)
			return -ENOMEM;
		if (unlinkat(folder, old, 0) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

char *audit_rotate_name(const char *name, uint64_t first)
{
	char *text;

	return asprintf(&text, "%s.%020" PRIu64, name, first) < 0 ? NULL : text;
}

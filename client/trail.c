/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files of an audit trail. It only reads. The names alone give the order of the files.
 */
#include "trail.h"

#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lease.h"
#include "output.h"

#define DIGITS 20

void trail_done(struct trail *trail)
{
	for (size_t i = 0; i < trail->n_files; i++) {
		free(trail->files[i].path);
		close_fd(&trail->files[i].fd);
	}
	free(trail->files);
	*trail = (struct trail)TRAIL_NONE;
}

/* Takes path and fd. */
static int add(struct trail *trail, char **path, uint64_t first, int *fd)
{
	struct trail_file *files =
		reallocarray(trail->files, trail->n_files + 1, sizeof(*trail->files));

	if (!files)
		return -ENOMEM;
	trail->files = files;
	files[trail->n_files++] = (struct trail_file){ steal_pointer(path), first, steal_fd(fd) };
	return 0;
}

static int open_file(const char *path, int *ret_fd)
{
	struct stat st;
	int fd = lease_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0, LEASE_MSEC);

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	*ret_fd = fd;
	return 0;
}

/* The number in NAME.00000000000000000017; 0 for any other name. */
static uint64_t number_of(const char *entry, const char *name)
{
	size_t length = strlen(name);
	uint64_t number = 0;

	if (strncmp(entry, name, length) != 0 || entry[length] != '.' ||
		strlen(entry + length + 1) != DIGITS ||
		strspn(entry + length + 1, "0123456789") != DIGITS)
		return 0;
	for (const char *p = entry + length + 1; *p; p++)
		if (__builtin_mul_overflow(number, UINT64_C(10), &number) ||
			__builtin_add_overflow(number, (uint64_t)(*p - '0'), &number))
			return 0;
	return number;
}

static int by_number(const void *a, const void *b)
{
	const struct trail_file *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int add_rotated(struct trail *trail, const char *path, int current)
{
	cleanup(cleanup_free) char *for_folder = strdup(path), *for_name = strdup(path);
	cleanup(cleanup_dir) DIR *dir = NULL;
	size_t begin = trail->n_files;
	const char *folder, *name;
	struct dirent *entry;

	if (!for_folder || !for_name)
		return -ENOMEM;
	folder = dirname(for_folder);
	name = basename(for_name);
	dir = opendir(folder);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		cleanup(cleanup_free) char *full = NULL;
		cleanup(cleanup_fd) int fd = -1;
		uint64_t first = number_of(entry->d_name, name);
		int r;

		if (!first)
			continue;
		if (asprintf(&full, "%s/%s", folder, entry->d_name) < 0)
			return -ENOMEM;
		r = open_file(full, &fd);
		/* Rotation may have deleted the oldest meanwhile. */
		if (r == -ENOENT)
			continue;
		/* It is not a file, so its records are missing. */
		if (r == -EINVAL) {
			complain("%s is no regular file, and passed over", shown_name(full));
			continue;
		}
		if (r < 0)
			return r;
		/* Or rotation renamed the current one, which is open already. */
		if (same_file(fd, current))
			continue;
		r = add(trail, &full, first, &fd);
		if (r < 0)
			return r;
	}
	if (trail->n_files > begin)
		qsort(trail->files + begin, trail->n_files - begin, sizeof(*trail->files),
			by_number);
	return 0;
}

int trail_open(struct trail *trail, const char *path, bool rotated)
{
	cleanup(cleanup_free) char *copy = strdup(path);
	cleanup(cleanup_fd) int fd = -1;
	size_t before = trail->n_files;
	int r, missing;

	if (!copy)
		return -ENOMEM;
	r = missing = open_file(path, &fd);
	if (r < 0 && (r != -ENOENT || !rotated))
		return r;
	if (rotated) {
		r = add_rotated(trail, path, fd);
		if (r < 0)
			return r;
	}
	if (fd >= 0)
		return add(trail, &copy, 0, &fd);
	trail->gone = trail->n_files > before;
	return trail->gone ? 0 : missing;
}

void trail_complain(const char *path, int r)
{
	path = shown_name(path);
	errno = -r;
	switch (r) {
	case -ENOENT:
		complain("there is no audit trail %s; name another file, or start ccbufd", path);
		break;
	case -EACCES:
		complain("no permission to read %s; the trail is for root and group ccbuf-admin",
			path);
		break;
	case -EAGAIN:
		complain("%s cannot be opened: another process has a lease on it (see /proc/locks)",
			path);
		break;
	case -EINVAL:
		complain("%s is no regular file", path);
		break;
	case -ESTALE:
		complain("%s was cut off while it was read; try again, and see what ccbufd says "
			 "in it",
			path);
		break;
	default:
		complain("cannot read %s: %m", path);
	}
}

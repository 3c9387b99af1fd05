/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Follows a path folder by folder. It checks what it has opened, and must never use a name twice.
 */
#include "way.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "util.h"

#define LINKS_MAX 40 /* as many as the kernel follows */

enum way_trust way_judge(const struct stat *st, uid_t trusted_uid, const struct unmapped *unmapped)
{
	if (unmapped_uid(unmapped, st->st_uid))
		return WAY_UNMAPPED;
	if (st->st_uid != 0 && st->st_uid != trusted_uid)
		return WAY_OWNER;
	/* the mode of a link means nothing */
	if (S_ISLNK(st->st_mode))
		return WAY_TRUSTED;
	return st->st_mode & S_IWOTH ? WAY_OTHERS : st->st_mode & S_IWGRP ? WAY_GROUP : WAY_TRUSTED;
}

const char *way_words(char buffer[static WAY_WORDS_MAX], const struct stat *st, uid_t trusted_uid,
	const struct unmapped *unmapped)
{
	enum way_trust trust = way_judge(st, trusted_uid, unmapped);

	switch (trust) {
	case WAY_UNMAPPED:
		snprintf(buffer, WAY_WORDS_MAX,
			"belongs to user %ju, which in this user namespace is every user without a "
			"number of its own",
			(uintmax_t)st->st_uid);
		break;
	case WAY_OWNER:
		snprintf(buffer, WAY_WORDS_MAX, "belongs to user %ju", (uintmax_t)st->st_uid);
		break;
	case WAY_GROUP:
	case WAY_OTHERS:
		snprintf(buffer, WAY_WORDS_MAX, "may be written by %s (mode %04o)",
			trust == WAY_OTHERS ? "everyone" : "its group",
			(unsigned int)st->st_mode & 07777);
		break;
	case WAY_TRUSTED:
		snprintf(buffer, WAY_WORDS_MAX, "is trusted");
		break;
	}
	return buffer;
}

struct walk {
	uid_t trusted_uid;
	const struct unmapped *unmapped;
	int fd;	       /* of the folder that was reached */
	char *reached; /* its path, without a "/" at the end */
	char *left;    /* the rest of the path */
	unsigned int links;
};

static void cleanup_walk(struct walk *walk)
{
	close_fd(&walk->fd);
	free(walk->reached);
	free(walk->left);
}

/* Ends the walk at name in the folder that was reached; with NULL, at the folder itself. */
static int end(const struct walk *walk, const char *name, const struct stat *st, int result,
	struct way_end *ret_end)
{
	char *path;

	if (asprintf(&path, "%s%s%s", walk->reached, name || !*walk->reached ? "/" : "",
		    name ? name : "") < 0)
		return -ENOMEM;
	ret_end->path = path;
	if (st)
		ret_end->st = *st;
	return result;
}

/* Checks a folder on the way. */
static int look(const struct walk *walk, struct way_end *ret_end)
{
	enum way_trust trust;
	struct stat st;

	if (fstat(walk->fd, &st) < 0)
		return end(walk, NULL, NULL, -errno, ret_end);
	trust = way_judge(&st, walk->trusted_uid, walk->unmapped);
	if (trust == WAY_TRUSTED ||
		((st.st_mode & S_ISVTX) && (trust == WAY_GROUP || trust == WAY_OTHERS)))
		return 0;
	return end(walk, NULL, &st, 1, ret_end);
}

static int begin(struct walk *walk, const char *path)
{
	char *left = strdup(path);

	if (!left)
		return -ENOMEM;
	free(walk->left);
	walk->left = left;
	if (path[0] != '/')
		return 0;
	close_fd(&walk->fd);
	walk->fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (walk->fd < 0)
		return -errno;
	walk->reached[0] = 0;
	return 0;
}

/* Continues at the target of a link. */
static int follow(struct walk *walk, const char *name, struct way_end *ret_end)
{
	char target[PATH_MAX], *path;
	ssize_t n;
	int r;

	if (++walk->links > LINKS_MAX)
		return end(walk, name, NULL, -ELOOP, ret_end);
	n = readlinkat(walk->fd, name, target, sizeof(target));
	if (n < 0 || (size_t)n == sizeof(target))
		return end(walk, name, NULL, n < 0 ? -errno : -ENAMETOOLONG, ret_end);
	if (asprintf(&path, "%.*s/%s", (int)n, target, walk->left) < 0)
		return -ENOMEM;
	r = begin(walk, path);
	free(path);
	return r;
}

static int enter(struct walk *walk, const char *name, int *fd)
{
	char *slash, *path;

	if (streq(name, "..")) {
		slash = strrchr(walk->reached, '/');
		if (slash)
			*slash = 0;
	} else {
		if (asprintf(&path, "%s/%s", walk->reached, name) < 0)
			return -ENOMEM;
		free(walk->reached);
		walk->reached = path;
	}
	close_fd(&walk->fd);
	walk->fd = steal_fd(fd);
	return 0;
}

/* Follows one component. Returns 0, 1 at something that is not trusted, or a negative errno. */
static int go(struct walk *walk, const char *name, struct way_end *ret_end)
{
	cleanup(cleanup_fd) int fd = -1;
	struct stat st;
	int r = look(walk, ret_end);

	if (r != 0)
		return r;
	fd = openat(walk->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return end(walk, name, NULL, -errno, ret_end);
	if (!S_ISLNK(st.st_mode))
		return enter(walk, name, &fd);
	if (way_judge(&st, walk->trusted_uid, walk->unmapped) != WAY_TRUSTED)
		return end(walk, name, &st, 1, ret_end);
	return follow(walk, name, ret_end);
}

int way_open(const char *path, uid_t trusted_uid, const struct unmapped *unmapped, int *ret_fd,
	struct way_end *ret_end)
{
	cleanup(cleanup_walk) struct walk walk = {
		.trusted_uid = trusted_uid,
		.unmapped = unmapped,
		.fd = -1,
		.reached = calloc(1, 1),
	};
	cleanup(cleanup_free) char *here = NULL, *whole = NULL;
	int r;

	*ret_end = (struct way_end){ 0 };
	if (!walk.reached)
		return -ENOMEM;
	if (path[0] != '/') {
		here = getcwd(NULL, 0);
		if (!here)
			return -errno;
		if (asprintf(&whole, "%s/%s", here, path) < 0) {
			whole = NULL;
			return -ENOMEM;
		}
	}
	r = begin(&walk, whole ? whole : path);
	while (r == 0) {
		cleanup(cleanup_free) char *name = NULL;
		size_t slashes = strspn(walk.left, "/"), length = strcspn(walk.left + slashes, "/");

		if (!length)
			break;
		name = strndup(walk.left + slashes, length);
		if (!name)
			return -ENOMEM;
		memmove(walk.left, walk.left + slashes + length,
			strlen(walk.left + slashes + length) + 1);
		if (!streq(name, "."))
			r = go(&walk, name, ret_end);
	}
	if (r == 0)
		*ret_fd = steal_fd(&walk.fd);
	return r;
}

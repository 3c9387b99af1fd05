/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Explains why a trail cannot be opened or written. It only looks, and changes nothing.
 */
#include "audit/trouble.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "audit/state.h"
#include "lease.h"
#include "util.h"

/* What is wrong with the folder; false when it is there and may be written. */
static bool folder_words(const char *folder, char *text, size_t size)
{
	struct stat st;

	if (stat(folder, &st) < 0)
		snprintf(text, size,
			"folder %s: %s; the folder must exist and be writable for user %u "
			"(\"systemd-tmpfiles --create\" makes that of the service)",
			folder, strerror(errno), geteuid());
	else if (!S_ISDIR(st.st_mode))
		snprintf(text, size,
			"%s is no folder; put a folder in its place that is writable for user %u",
			folder, geteuid());
	else if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) < 0)
		snprintf(text, size,
			"user %u may not write in folder %s (%s; owner %u, mode 0%o); give the "
			"folder to that user",
			geteuid(), folder, strerror(errno), st.st_uid, st.st_mode & 07777);
	else
		return false;
	return true;
}

static bool immutable(const char *path)
{
	struct statx st;

	return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, 0, &st) == 0 &&
	       st.stx_attributes & STATX_ATTR_IMMUTABLE;
}

/* What is wrong with the file itself. */
static bool file_words(const char *path, int error, char *text, size_t size)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return false;
	if (S_ISLNK(st.st_mode))
		snprintf(text, size,
			"%s is a symbolic link; the trail has to be a file: remove the link, or "
			"name another file",
			path);
	else if (!S_ISREG(st.st_mode))
		snprintf(text, size, "%s is %s; the trail has to be a file: remove it", path,
			S_ISDIR(st.st_mode) ? "a folder" : "no regular file");
	else if (error == -EPERM && immutable(path))
		snprintf(text, size,
			"%s has the attribute \"immutable\" (lsattr); take it away (chattr -i)",
			path);
	else if (error == -EACCES || error == -EPERM)
		snprintf(text, size, "user %u may not write %s (%s; owner %u, mode 0%o)", geteuid(),
			path, strerror(-error), st.st_uid, st.st_mode & 07777);
	else
		return false;
	return true;
}

/* Whether a lease keeps the file, or the state, from being opened. */
static bool leased(const char *path, char *text, size_t size)
{
	char words[LEASE_WORDS_MAX];

	if (!lease_words(AT_FDCWD, path, words))
		return false;
	snprintf(text, size, "%s cannot be opened: %s", path, words);
	return true;
}

/* What is wrong with the state file. */
static bool state_words(const char *folder, const char *path, int error, char *text, size_t size)
{
	const char *slash = strrchr(path, '/');
	cleanup(cleanup_free) char *name = audit_state_name(slash ? slash + 1 : path);
	cleanup(cleanup_free) char *state = NULL;
	struct stat st;

	if (!name || asprintf(&state, "%s/%s", folder, name) < 0) {
		state = NULL;
		return false;
	}
	if (lstat(state, &st) < 0)
		return false;
	if (error == -EAGAIN)
		return leased(state, text, size);
	if (S_ISREG(st.st_mode) && (st.st_uid == geteuid() || geteuid() == 0 || error != -EACCES))
		return false;
	snprintf(text, size,
		"%s, by which it is locked, is %s (owner %u); remove it when no other ccbufd runs, "
		"this one is of user %u",
		state, S_ISREG(st.st_mode) ? "another user's" : "no regular file", st.st_uid,
		geteuid());
	return true;
}

void audit_trouble_words(const char *path, int error, char *text, size_t size)
{
	const char *slash = strrchr(path, '/');
	cleanup(cleanup_free) char *folder =
		!slash ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));

	if (error == -EBUSY) {
		snprintf(text, size, "%s is in use by another process; is ccbufd running already?",
			path);
		return;
	}
	if (error == -ENOSPC || error == -EDQUOT) {
		snprintf(text, size, "there is no room for %s (%s): make room on its file system",
			path, strerror(-error));
		return;
	}
	if (error == -EROFS) {
		snprintf(text, size,
			"the file system of %s is read-only for ccbufd; if it was mounted or made "
			"anew, restart ccbufd",
			path);
		return;
	}
	if (error == -EAGAIN && leased(path, text, size))
		return;
	if (folder && (folder_words(folder, text, size) || file_words(path, error, text, size) ||
			      state_words(folder, path, error, text, size)))
		return;
	snprintf(text, size, "%s cannot be opened or written by user %u: %s", path, geteuid(),
		strerror(-error));
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The path to a file or folder: finds out who could replace it.
 */
#pragma once

#include <sys/stat.h>

#include "unmapped.h"

/* Whether anybody but root and one trusted user can change something, by its owner and mode. An
 * access control list that lets others write shows in the mode of the group. */
enum way_trust {
	WAY_TRUSTED,
	WAY_UNMAPPED, /* its owner is not mapped here (unmapped.h), whatever its number is */
	WAY_OWNER,    /* belongs to another user */
	WAY_GROUP,    /* its group may write */
	WAY_OTHERS,   /* everybody may write */
};
enum way_trust way_judge(const struct stat *st, uid_t trusted_uid, const struct unmapped *unmapped);

/* Why something is not trusted, in words: "may be written by everyone (mode 0777)". */
#define WAY_WORDS_MAX 160
const char *way_words(char buffer[static WAY_WORDS_MAX], const struct stat *st, uid_t trusted_uid,
	const struct unmapped *unmapped);

/* The place where a path ended. */
struct way_end {
	char *path; /* the caller frees it; NULL when the path is good */
	struct stat st;
};

/*
 * Follows a path to a file or folder as open() does, including symbolic links, and checks each
 * folder and link on the way: whoever may rename an entry of such a folder can replace the target.
 * A sticky folder may be writable by others, who can rename only their own entries in it. The
 * target itself is not checked.
 *
 * Returns 0 and an O_PATH fd of the target, never of a link; 1, and in ret_end what is not trusted;
 * or a negative errno, and in ret_end the place (path NULL when out of memory).
 */
int way_open(const char *path, uid_t trusted_uid, const struct unmapped *unmapped, int *ret_fd,
	struct way_end *ret_end);

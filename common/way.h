/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way to a file or folder: who could put another one in its place.
 */
#pragma once

#include <sys/stat.h>

#include "unmapped.h"

/* Whether others than root and one trusted user can change something, by its owner and mode. An
 * access control list that lets others write shows in the mode of the group. */
enum way_trust {
	WAY_TRUSTED,
	WAY_UNMAPPED, /* its owner has no id here (unmapped.h), whatever number that is */
	WAY_OWNER,    /* belongs to another user */
	WAY_GROUP,    /* its group may write */
	WAY_OTHERS,   /* everybody may write */
};
enum way_trust way_judge(const struct stat *st, uid_t trusted_uid, const struct unmapped *unmapped);

/* Why it is not trusted, in words: "may be written by everyone (mode 0777)". */
#define WAY_WORDS_MAX 160
const char *way_words(char buffer[static WAY_WORDS_MAX], const struct stat *st, uid_t trusted_uid,
	const struct unmapped *unmapped);

/* Where a way ended. */
struct way_end {
	char *path; /* the caller frees it; NULL when the way was good */
	struct stat st;
};

/*
 * Goes to a file or folder as open() does, through symbolic links too, and looks at each folder
 * that it goes through and at each link: who may rename what is in one of them can put another
 * thing in the place of the last. A sticky folder is good where only what is in it is another's.
 * The last itself is not looked at.
 *
 * Returns 0 and an O_PATH fd of it, not a link; 1 and in ret_end what is not to be trusted; or a
 * negative errno and in ret_end where that came (path NULL when out of memory).
 */
int way_open(const char *path, uid_t trusted_uid, const struct unmapped *unmapped, int *ret_fd,
	struct way_end *ret_end);

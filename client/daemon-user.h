/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whom ccbufd runs as, and what that user can do: what root can read is not what the daemon can
 * read, so checks are made in a process that has become that user.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>
#include <json-c/json.h>

#define DAEMON_USER_GROUPS 256

struct daemon_user {
	uid_t uid;
	gid_t gid;
	gid_t groups[DAEMON_USER_GROUPS];
	size_t n_groups;
	pid_t pid;	 /* of the ccbufd that runs; 0 for none that could be found */
	bool as_caller;	 /* another user cannot be become: checks are made with the caller's rights
			  */
	char words[160]; /* "user ccbufd", for "checked for ..." */
};

/* The user of the ccbufd that is on the bus; else user ccbufd; else, where there is none, an
 * ordinary user as it would be one. Never fails. */
void daemon_user_find(struct daemon_user *ret_user);

/* Runs function as that user, without capabilities, and returns the object that it made; NULL when
 * that was not possible, and then it is told. The function runs in another process (but for
 * as_caller): what it changes is lost. It must not print. */
struct json_object *daemon_user_run(const struct daemon_user *user,
	struct json_object *(*function)(void *userdata), void *userdata);

/* Whether the user may access(2) a path so (R_OK, ...): 0 or a negative errno, and where nobody can
 * tell (as_caller) 0. */
int daemon_user_access(const struct daemon_user *user, const char *path, int mode);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The user that ccbufd runs as, and what that user can do. Root can read more than the daemon, so
 * checks are made in a process that has become that user.
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
	pid_t pid;	 /* of the running ccbufd; 0 when none was found */
	bool as_caller;	 /* the caller cannot become that user: checks use the caller's rights */
	char words[160]; /* "user ccbufd", for "checked for ..." */
};

/* The user of the ccbufd on the bus; else user ccbufd; if there is no such user, an ordinary user.
 * Never fails. */
void daemon_user_find(struct daemon_user *ret_user);

/* Runs function as that user, without capabilities, and returns its object; NULL after reporting
 * that this was not possible. The function runs in another process (unless as_caller), so its
 * changes are lost. It must not print. */
struct json_object *daemon_user_run(const struct daemon_user *user,
	struct json_object *(*function)(void *userdata), void *userdata);

/* Whether the user may access(2) a path in a mode (R_OK, ...). Returns 0 or a negative errno; 0
 * when that cannot be found out (as_caller). */
int daemon_user_access(const struct daemon_user *user, const char *path, int mode);

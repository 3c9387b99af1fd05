/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Policy files from folders: which files count, in which order, and who must own them. Only this
 * part of policy/ uses the file system and (by policy-system) the user database.
 */
#pragma once

#include "policy.h"

/* The default folders, first one wins for a file name: /etc, /run, /usr/lib/ccbufd/policy.d
 * (with meson's sysconfdir and prefix). NULL-terminated. */
extern const char *const policy_default_dirs[];

/*
 * Reads *.json of the folders in the byte order of the file names. A file in an earlier folder
 * masks one of the same name in a later one. A symlink to /dev/null masks without adding anything;
 * any other symlink is a mistake. An empty file is a mistake: it may be one that is just being
 * written. A folder that does not exist is skipped. Each file must be a regular file of at most
 * POLICY_FILE_MAX bytes that belongs to root (or to trusted_uid; pass 0 for root only) and is not
 * writable by group or others. The same holds for the folders, whose writers could remove files,
 * and for their paths, as in way_open(). Everything else is a mistake, reported with the rest.
 * Users and groups are resolved by getpwnam and getgrnam.
 *
 * Returns as policy_new(). A file that cannot be read is a mistake with its path and reason
 * (-EINVAL).
 */
int policy_load(const char *const *dirs, uid_t trusted_uid, struct policy_errors *ret_errors,
	struct policy **ret_policy);

/* Lists files that somebody may take for a part of the policy, but that are not read: files with
 * other names (except known left-overs), files that an earlier folder hides, files in places beside
 * the folders. One line each. The policy is that of paths, or of the default folders without any.
 * Returns 0 or -ENOMEM. */
int policy_leftovers(const char *const *paths, size_t n_paths, struct policy_errors *ret_leftovers);

/* The users, groups and memory of this machine. */
struct policy_env policy_system_env(void);

/* Finds out what can be known here by a process with the capabilities of the process looks (0 for
 * this one) or of a child of it; -1 stands for all capabilities. Opens files. The strings are
 * static. */
void policy_facts_detect(pid_t looks, struct policy_facts *ret_facts);

/* Callbacks of a load, and its look-ups of names. */
struct policy_load_events {
	struct policy_env env; /* instead of policy_system_env() */
	/* Called before a folder or a file is opened, which may take long. */
	void (*opening)(void *userdata, const char *path);
	/* Called for each folder, in order: whether it exists. */
	void (*folder)(void *userdata, const char *path, bool there);
	/* Called after a load without a mistake for each file of the policy, in order. policy_new()
	 * of these files, with an env that gives the same answers, makes the same policy. */
	void (*source)(void *userdata, const struct policy_source *source);
	void *userdata;
};
int policy_load_telling(const char *const *dirs, uid_t trusted_uid,
	const struct policy_load_events *events, struct policy_errors *ret_errors,
	struct policy **ret_policy);

/* The same for single paths (files, or folders as in policy_load), without checking owners: for
 * `ccbuf-client policy check PATH`. */
int policy_load_paths(const char *const *paths, size_t n_paths, struct policy_errors *ret_errors,
	struct policy **ret_policy);

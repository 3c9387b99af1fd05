/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Policy files from folders: which files count, in which order, and whom they must belong to. The
 * one part of policy/ that touches the file system, and (by policy-system) the user database.
 */
#pragma once

#include "policy.h"

/* The default folders, first one wins for a file name: /etc, /run, /usr/lib/ccbufd/policy.d
 * (with meson's sysconfdir and prefix). NULL-terminated. */
extern const char *const policy_default_dirs[];

/*
 * Reads *.json of the folders in name order (byte order of the file names); a file in an earlier
 * folder masks one of the same name in a later one; a symlink to /dev/null masks without
 * adding anything (an empty file is a mistake: it may be one that is just being written). A folder
 * that does not exist is skipped. Each file must be a regular file of at most POLICY_FILE_MAX bytes
 * that belongs to root (or to trusted_uid; pass 0 for root only) and is not writable by group or
 * others, else it is a mistake that is reported with the rest; the same holds for the folders,
 * whose writers could take files away, and for all that the way to them leads through, as by
 * way_open(). A symlink to anything but /dev/null is a mistake too. Users and groups are resolved
 * by getpwnam and getgrnam.
 *
 * Returns as policy_new(); also -EIO and the like only through ret_errors as -EINVAL: a file that
 * cannot be read is a mistake with its path and reason.
 */
int policy_load(const char *const *dirs, uid_t trusted_uid, struct policy_errors *ret_errors,
	struct policy **ret_policy);

/* What somebody may take for a part of the policy of paths, or of the default folders when there
 * are none, and is not read: names that are passed over and no known left-overs, files that an
 * earlier folder hides, places beside the folders; a line each. 0 or -ENOMEM. */
int policy_leftovers(const char *const *paths, size_t n_paths, struct policy_errors *ret_leftovers);

/* The users, groups and memory of this machine. */
struct policy_env policy_system_env(void);

/* What can be known here, when a process looks that has the capabilities of one, or of a child of
 * it: 0 for this one, or a pid; -1 for one that has them all. Opens files; the strings are static.
 */
void policy_facts_detect(pid_t looks, struct policy_facts *ret_facts);

/* What a load tells on its way, and the names that it asks for. */
struct policy_load_events {
	struct policy_env env; /* in the place of policy_system_env() */
	/* It is about to open a folder or a file, which may take its time. */
	void (*opening)(void *userdata, const char *path);
	/* For each folder, in order: whether there is one. */
	void (*folder)(void *userdata, const char *path, bool there);
	/* After a load without a mistake, the files that the policy is made of, in order:
	 * policy_new() of them, with an env that gives the same answers, is the same policy. */
	void (*source)(void *userdata, const struct policy_source *source);
	void *userdata;
};
int policy_load_telling(const char *const *dirs, uid_t trusted_uid,
	const struct policy_load_events *events, struct policy_errors *ret_errors,
	struct policy **ret_policy);

/* The same for paths (files, or folders taken as by policy_load) named one by one, owners not
 * checked: for `ccbuf-client policy check PATH`. */
int policy_load_paths(const char *const *paths, size_t n_paths, struct policy_errors *ret_errors,
	struct policy **ret_policy);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading one process's folder in /proc. Every function takes an fd of /proc/PID (O_PATH will do):
 * such an fd belongs to one process for good, and after that process is gone every read through it
 * fails with -ESRCH, so what is read can never be another process's. All return 0 or a negative
 * errno; -EACCES or -EPERM where the kernel keeps the entry from us.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Real, effective, saved and file-system ids. */
struct proc_credentials {
	uid_t uids[4];
	gid_t gids[4];
};

/* The whole of a small file, NUL-terminated, at most size - 1 bytes. Returns the length. */
ssize_t proc_read(int proc, const char *name, char *buffer, size_t size);
/* /proc/PID/status, Uid: and Gid:. */
int proc_credentials(int proc, struct proc_credentials *ret_credentials);
/* /proc/PID/stat, field 22: clock ticks since boot. */
int proc_start_time(int proc, uint64_t *ret_ticks);
/* The path of the process in the cgroup v2 hierarchy. The caller frees it. -ENODATA without one;
 * -EMSGSIZE when the paths of all hierarchies are too long to be sure. */
int proc_cgroup(int proc, char **ret_path);
/* The innermost system unit and slice of a cgroup path ("mpi@3.service", "system.slice"), NULL for
 * what it has not; a user manager's own units do not count. The caller frees both. -ENOMEM. */
int proc_cgroup_unit(const char *cgroup, char **ret_unit, char **ret_slice);
/* Inode of /proc/PID/ns/NAME. */
int proc_namespace(int proc, const char *name, ino_t *ret_inode);
/* Device and inode of what a magic link of the folder ("exe", "root") leads to. */
int proc_link_target(int proc, const char *name, dev_t *ret_dev, ino_t *ret_ino);
/* The text of such a link. The caller frees it. */
int proc_link_text(int proc, const char *name, char **ret_text);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads one process's folder in /proc. Every function takes an fd of /proc/PID (O_PATH is enough).
 * Such an fd always belongs to one process: after that process is gone, every read through it fails
 * with -ESRCH, so the data can never be another process's. All return 0 or a negative errno;
 * -EACCES or -EPERM where the kernel denies the entry. None allocates memory, and none makes a file
 * system refresh a file's attributes (AT_STATX_DONT_SYNC).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Real, effective, saved and file-system ids. */
struct proc_credentials {
	uid_t uids[4];
	gid_t gids[4];
	uint64_t permitted; /* capabilities, a bit each */
};

/* The whole of a small file, NUL-terminated, at most size - 1 bytes. Returns the length. */
ssize_t proc_read(int proc, const char *name, char *buffer, size_t size);
/* Reads Uid:, Gid: and CapPrm: of /proc/PID/status, and up to max supplementary groups. The buffer
 * is for the file. -EMSGSIZE when there are more groups, or the file does not fit the buffer. */
int proc_credentials(int proc, char *buffer, size_t size, struct proc_credentials *ret_credentials,
	gid_t *ret_groups, size_t max, size_t *ret_count);
/* /proc/PID/stat, field 22: clock ticks since boot. */
int proc_start_time(int proc, uint64_t *ret_ticks);
/* The path of the process in the cgroup v2 hierarchy; it points into the buffer. -ENODATA when
 * there is none; -EMSGSIZE when the paths of all hierarchies do not fit the buffer. */
int proc_cgroup(int proc, char *buffer, size_t size, const char **ret_path);
/* The innermost system unit and slice of a cgroup path ("mpi@3.service", "system.slice"), each NULL
 * when the path has none. Units of a user manager do not count. The caller frees both. Returns 0 or
 * -ENOMEM. */
int proc_cgroup_unit(const char *cgroup, char **ret_unit, char **ret_slice);
/* Inode of /proc/PID/ns/NAME. */
int proc_namespace(int proc, const char *name, uint64_t *ret_inode);
/* Device and inode of the target of a magic link in the folder ("exe", "root"); of the fd itself
 * for "". */
int proc_link_target(int proc, const char *name, uint64_t *ret_dev, uint64_t *ret_ino);
/* The text of such a link, NUL-terminated. -ENAMETOOLONG. */
int proc_link_text(int proc, const char *name, char *buffer, size_t size);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What "the host" of a peer means: the namespaces and the root folder of PID 1, against which the
 * identity of every peer is held. Where /proc/1 may not be read (without CAP_SYS_PTRACE), those of
 * the process that asks take their place. Filled once, then constant.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct host {
	int root; /* O_PATH fd of the host's root folder; owned */
	uint64_t root_dev, root_ino;
	uint64_t mount_ns, user_ns, pid_ns; /* inode numbers of /proc/PID/ns/... */
};

/* 0, or a negative errno when not even /proc/self can be read. */
int host_init(struct host *host);
void host_done(struct host *host);

/*
 * Device and inode of what the host has under a path that is absolute and without symbolic links,
 * as the kernel shows one; any on its way is -ENOTDIR or itself. careful: no file system is asked
 * for names that lies on no device and is not that of the root, for it may be one that does not
 * answer (FUSE, NFS); -EBUSY then. 0 or a negative errno.
 */
int host_find(const struct host *host, const char *untrusted_path, bool careful, uint64_t *ret_dev,
	uint64_t *ret_ino);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The namespaces and the root folder of PID 1. The identity of every peer is compared with them.
 * Where /proc/1 may not be read (without CAP_SYS_PTRACE), those of the calling process take their
 * place. Filled once, then constant.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct init_ns {
	int root; /* O_PATH fd of PID 1's root folder; owned */
	uint64_t root_dev, root_ino;
	uint64_t mount_ns, user_ns, pid_ns; /* inode numbers of /proc/PID/ns/... */
};

/* 0, or a negative errno when not even /proc/self can be read. */
int init_ns_init(struct init_ns *init);
void init_ns_done(struct init_ns *init);

/*
 * Device and inode of the file at a path below PID 1's root. The path is absolute and has no
 * symbolic links, as the kernel shows it: a link inside it is -ENOTDIR, a link at its end is the
 * file itself. Returns 0 or a negative errno: -EINVAL for a path of another form.
 * careful: returns -EBUSY instead of looking up a name in a file system without a device, other
 * than that of the root. Such a file system (FUSE, NFS) may not answer.
 */
int init_ns_find(const struct init_ns *init, const char *untrusted_path, bool careful,
	uint64_t *ret_dev, uint64_t *ret_ino);

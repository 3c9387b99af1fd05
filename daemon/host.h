/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What "the host" of a peer means: the namespaces and the root folder of PID 1, against which the
 * identity of every peer is held. Where /proc/1 may not be read (a daemon without CAP_SYS_PTRACE),
 * the daemon's own take its place. Filled once, at start, then constant.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

struct host {
	int root; /* O_PATH fd of the host's root folder; owned */
	dev_t root_dev;
	ino_t root_ino;
	ino_t mount_ns; /* inode numbers of /proc/PID/ns/... */
	ino_t user_ns;
	ino_t pid_ns;
};

/* 0, or a negative errno when not even /proc/self can be read. */
int host_init(struct host *host);
void host_done(struct host *host);

/* stat() of an absolute path as the host sees it, symlinks resolved inside its root.
 * 0 or a negative errno. */
int host_stat(const struct host *host, const char *path, struct stat *ret_stat);

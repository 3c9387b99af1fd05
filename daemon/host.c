/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Namespaces and root folder of PID 1. It must never look at a peer.
 */
#include "host.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "proc.h"
#include "util.h"

static int fill(struct host *host, const char *process)
{
	cleanup(cleanup_fd) int proc = -1;
	cleanup(cleanup_fd) int root = -1;
	struct stat st;
	int r;

	proc = open(process, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return -errno;
	r = proc_namespace(proc, "mnt", &host->mount_ns);
	if (r >= 0)
		r = proc_namespace(proc, "user", &host->user_ns);
	if (r >= 0)
		r = proc_namespace(proc, "pid", &host->pid_ns);
	if (r < 0)
		return r;
	root = openat(proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || fstat(root, &st) < 0)
		return -errno;
	host->root_dev = st.st_dev;
	host->root_ino = st.st_ino;
	host->root = steal_fd(&root);
	return 0;
}

int host_init(struct host *host)
{
	int r;

	*host = (struct host){ .root = -1 };
	r = fill(host, "/proc/1");
	if (r < 0)
		r = fill(host, "/proc/self");
	return r;
}

void host_done(struct host *host)
{
	close_fd(&host->root);
}

int host_stat(const struct host *host, const char *path, struct stat *ret_stat)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	cleanup(cleanup_fd) int fd = -1;

	fd = (int)syscall(SYS_openat2, host->root, path, &how, sizeof(how));
	if (fd < 0 || fstat(fd, ret_stat) < 0)
		return -errno;
	return 0;
}

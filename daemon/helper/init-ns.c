/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Namespaces and root folder of PID 1, and what lies where in it. It must never look at a peer.
 */
#include "helper/init-ns.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/sysmacros.h>

#include "helper/proc.h"
#include "util.h"

static int fill(struct host *host, const char *process)
{
	cleanup(cleanup_fd) int proc = -1;
	int r;

	proc = open(process, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return -errno;
	r = proc_namespace(proc, "mnt", &host->mount_ns);
	if (r >= 0)
		r = proc_namespace(proc, "user", &host->user_ns);
	if (r >= 0)
		r = proc_namespace(proc, "pid", &host->pid_ns);
	if (r >= 0)
		r = proc_link_target(proc, "root", &host->root_dev, &host->root_ino);
	if (r < 0)
		return r;
	host->root = openat(proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return host->root < 0 ? -errno : 0;
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

/* To ask it for a name is to ask who may not answer. */
static bool may_hang(const struct host *host, int dir)
{
	uint64_t dev, ino;

	return proc_link_target(dir, "", &dev, &ino) < 0 ||
	       (major(dev) == 0 && dev != host->root_dev);
}

int host_find(const struct host *host, const char *untrusted_path, bool careful, uint64_t *ret_dev,
	uint64_t *ret_ino)
{
	cleanup(cleanup_fd) int at = -1;
	const char *p = untrusted_path;

	if (*p != '/')
		return -EINVAL;
	while (*p) {
		char name[NAME_MAX + 1];
		size_t length = strcspn(++p, "/");
		int next;

		if (length == 0 || length > NAME_MAX || !strncmp(p, ".", length) ||
			!strncmp(p, "..", length))
			return -EINVAL;
		memcpy(name, p, length);
		name[length] = 0;
		p += length;
		if (careful && may_hang(host, at < 0 ? host->root : at))
			return -EBUSY;
		/* Of a symbolic link itself nothing is below. */
		next = openat(at < 0 ? host->root : at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return -errno;
		close_fd(&at);
		at = next;
	}
	return proc_link_target(at, "", ret_dev, ret_ino);
}

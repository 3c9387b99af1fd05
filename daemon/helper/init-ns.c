/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Namespaces and root folder of PID 1, and the files below it. It reads nothing of a peer.
 */
#include "helper/init-ns.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/sysmacros.h>

#include "helper/proc.h"
#include "util.h"

static int fill(struct init_ns *init, const char *process)
{
	cleanup(cleanup_fd) int proc = -1;
	int r;

	proc = open(process, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return -errno;
	r = proc_namespace(proc, "mnt", &init->mount_ns);
	if (r >= 0)
		r = proc_namespace(proc, "user", &init->user_ns);
	if (r >= 0)
		r = proc_namespace(proc, "pid", &init->pid_ns);
	if (r >= 0)
		r = proc_link_target(proc, "root", &init->root_dev, &init->root_ino);
	if (r < 0)
		return r;
	init->root = openat(proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return init->root < 0 ? -errno : 0;
}

int init_ns_init(struct init_ns *init)
{
	int r;

	*init = (struct init_ns){ .root = -1 };
	r = fill(init, "/proc/1");
	if (r < 0)
		r = fill(init, "/proc/self");
	return r;
}

void init_ns_done(struct init_ns *init)
{
	close_fd(&init->root);
}

/* A look-up in such a file system may never return. */
static bool may_hang(const struct init_ns *init, int dir)
{
	uint64_t dev, ino;

	return proc_link_target(dir, "", &dev, &ino) < 0 ||
	       (major(dev) == 0 && dev != init->root_dev);
}

int init_ns_find(const struct init_ns *init, const char *untrusted_path, bool careful,
	uint64_t *ret_dev, uint64_t *ret_ino)
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
		if (careful && may_hang(init, at < 0 ? init->root : at))
			return -EBUSY;
		/* O_PATH opens the link itself; the next name below it fails. */
		next = openat(at < 0 ? init->root : at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return -errno;
		close_fd(&at);
		at = next;
	}
	return proc_link_target(at, "", ret_dev, ret_ino);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who asks. It must never believe a peer's own word, and never follow a pid without its pidfd.
 */
#include "peer.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "pidfd-info.h"
#include "util.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5, include/uapi/asm-generic/socket.h */
#endif

static void cleanup_peer(struct peer **peer)
{
	peer_unref(*peer);
}

bool peer_alive(const struct peer *peer)
{
	struct pollfd poll_fd = { .fd = peer->pidfd, .events = POLLIN };

	/* A negative fd would be passed over, and nobody heard of it. */
	return peer->pidfd >= 0 && poll(&poll_fd, 1, 0) == 0;
}

void peer_bury(struct peer *peer)
{
	close_fd(&peer->pidfd);
	close_fd(&peer->proc);
}

static int read_credentials(const struct peer *peer, struct proc_credentials *ret_credentials)
{
	int r = pidfd_info_credentials(peer->pidfd, ret_credentials);

	return r == -EOPNOTSUPP ? proc_credentials(peer->proc, ret_credentials) : r;
}

/* The exe path, if it can mean anything: the peer sees the host's files, and the file the host has
 * under that path is the one that runs. */
static int read_exe(const struct host *host, struct peer *peer)
{
	cleanup(cleanup_free) char *path = NULL;
	struct stat st;
	ino_t mount_ns;
	int r;

	r = proc_link_target(peer->proc, "exe", &peer->exe_dev, &peer->exe_ino);
	if (r < 0)
		return r == -EACCES || r == -EPERM || r == -ENOENT ? 0 : r;
	r = proc_namespace(peer->proc, "mnt", &mount_ns);
	if (r < 0)
		return r == -EACCES || r == -EPERM ? 0 : r;
	if (mount_ns != host->mount_ns)
		return 0;
	r = proc_link_text(peer->proc, "exe", &path);
	if (r < 0)
		return r;
	if (path[0] == '/' && host_stat(host, path, &st) >= 0 && st.st_dev == peer->exe_dev &&
		st.st_ino == peer->exe_ino)
		peer->identity.exe = steal_pointer(&path);
	return 0;
}

/* Anything that cannot be seen to be the host's counts as a container: a rule that lets only the
 * host in must not let in what we cannot see. */
static bool in_container(const struct host *host, const struct peer *peer)
{
	ino_t inode;
	dev_t dev;

	if (proc_namespace(peer->proc, "user", &inode) < 0 || inode != host->user_ns)
		return true;
	if (proc_namespace(peer->proc, "pid", &inode) < 0 || inode != host->pid_ns)
		return true;
	return proc_link_target(peer->proc, "root", &dev, &inode) < 0 || dev != host->root_dev ||
	       inode != host->root_ino;
}

static int describe(const struct host *host, struct peer *peer)
{
	struct identity *identity = &peer->identity;
	int r;

	r = read_credentials(peer, &peer->credentials);
	if (r < 0)
		return r;
	if (peer->credentials.uids[1] != identity->uid)
		return -ESTALE;
	identity->gid = peer->credentials.gids[1];
	r = proc_start_time(peer->proc, &identity->start_time);
	if (r < 0)
		return r;
	r = proc_cgroup(peer->proc, &identity->cgroup);
	if (r >= 0)
		r = proc_cgroup_unit(identity->cgroup, &identity->unit, &identity->slice);
	if (r < 0 && r != -ENODATA)
		return r;
	r = read_exe(host, peer);
	if (r < 0)
		return r;
	identity->container = in_container(host, peer);
	return 0;
}

int peer_new(const struct host *host, struct peer_claim *claim, struct peer **ret_peer)
{
	cleanup(cleanup_peer) struct peer *peer = NULL;
	char path[32];
	int r;

	peer = calloc(1, sizeof(*peer));
	if (!peer) {
		close_fd(&claim->pidfd);
		free(steal_pointer(&claim->groups));
		free(steal_pointer(&claim->label));
		return -ENOMEM;
	}
	peer->refs = 1;
	peer->proc = -1;
	peer->identity.pid = claim->pid;
	peer->identity.uid = claim->uid;
	peer->identity.groups = steal_pointer(&claim->groups);
	peer->identity.n_groups = claim->n_groups;
	peer->identity.label = steal_pointer(&claim->label);
	peer->identity.strong = claim->pidfd >= 0;
	peer->pidfd = steal_fd(&claim->pidfd);

	if (claim->pid <= 0)
		return -ESRCH; /* it lives in a PID namespace that we cannot see into */
	if (peer->pidfd < 0) {
		peer->pidfd = (int)syscall(SYS_pidfd_open, claim->pid, 0);
		if (peer->pidfd < 0)
			return -errno;
	}
	snprintf(path, sizeof(path), "/proc/%d", (int)claim->pid);
	peer->proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (peer->proc < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	/* While the pidfd's process lives nobody else has its pid: the folder is its. */
	if (!peer_alive(peer))
		return -ESRCH;
	r = describe(host, peer);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	if (!peer_alive(peer))
		return -ESRCH;
	*ret_peer = steal_pointer(&peer);
	return 0;
}

/* A socket option of variable length, with a NUL after it. 0 bytes and NULL when there is none. */
static int read_option(int fd, int option, size_t guess, void **ret_data, socklen_t *ret_size)
{
	socklen_t size = (socklen_t)guess;

	for (;;) {
		cleanup(cleanup_free) char *data = calloc(1, size + 1);
		socklen_t got = size;

		if (!data)
			return -ENOMEM;
		if (getsockopt(fd, SOL_SOCKET, option, data, &got) >= 0) {
			*ret_data = steal_pointer(&data);
			*ret_size = got;
			return 0;
		}
		if (errno != ERANGE || got <= size) {
			if (errno != ENOPROTOOPT && errno != ENODATA)
				return -errno;
			*ret_data = NULL;
			*ret_size = 0;
			return 0;
		}
		size = got;
	}
}

int peer_from_socket(const struct host *host, int fd, struct peer **ret_peer)
{
	struct peer_claim claim = { .pidfd = -1 };
	cleanup(cleanup_free) void *groups = NULL;
	cleanup(cleanup_free) void *label = NULL;
	struct ucred ucred;
	socklen_t size = sizeof(ucred), pidfd_size = sizeof(claim.pidfd);
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ucred, &size) < 0)
		return -errno;
	r = read_option(fd, SO_PEERGROUPS, 32 * sizeof(gid_t), &groups, &size);
	if (r < 0)
		return r;
	claim.n_groups = size / sizeof(gid_t);
	r = read_option(fd, SO_PEERSEC, 128, &label, &size);
	if (r < 0)
		return r;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &claim.pidfd, &pidfd_size) < 0) {
		claim.pidfd = -1;
		if (errno != ENOPROTOOPT)
			return errno == EINVAL || errno == ENODATA ? -ESRCH : -errno;
	}
	claim.pid = ucred.pid;
	claim.uid = ucred.uid;
	claim.groups = steal_pointer(&groups);
	claim.label = steal_pointer(&label);
	return peer_new(host, &claim, ret_peer);
}

int peer_set_user(struct peer *peer, struct users *users)
{
	return users_get(users, peer->identity.uid, 0, &peer->user);
}

struct peer *peer_ref(struct peer *peer)
{
	peer->refs++;
	return peer;
}

struct peer *peer_unref(struct peer *peer)
{
	if (!peer || --peer->refs > 0)
		return NULL;
	close_fd(&peer->pidfd);
	close_fd(&peer->proc);
	identity_done(&peer->identity);
	user_unref(peer->user);
	free(peer);
	return NULL;
}

int peer_check(const struct peer *peer)
{
	struct proc_credentials now;
	bool changed;
	dev_t dev = 0;
	ino_t ino = 0;

	if (peer->pidfd < 0 || read_credentials(peer, &now) < 0)
		return -ESRCH;
	changed = memcmp(&now, &peer->credentials, sizeof(now)) != 0;
	/* Where it was not readable at connect no rule relied on it; that it became unreadable
	 * means that the process changed. */
	proc_link_target(peer->proc, "exe", &dev, &ino);
	changed |= dev != peer->exe_dev || ino != peer->exe_ino;
	/* Last, for the dead have no exe either. */
	if (!peer_alive(peer))
		return -ESRCH;
	return changed ? -ESTALE : 0;
}

bool peer_in_group(const struct peer *peer, gid_t gid)
{
	if (peer->identity.uid == 0 || peer->identity.gid == gid)
		return true;
	for (size_t i = 0; i < peer->identity.n_groups; i++)
		if (peer->identity.groups[i] == gid)
			return true;
	return false;
}

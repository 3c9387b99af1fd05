/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads what the kernel knows of a socket's other end. It must never ask the other end.
 */
#include <limits.h>
#include <sys/socket.h>

#include "peer/peer.h"
#include "util.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5, include/uapi/asm-generic/socket.h */
#endif

void peer_claim_done(struct peer_claim *claim)
{
	close_fd(&claim->pidfd);
	free(steal_pointer(&claim->groups));
	free(steal_pointer(&claim->lsm));
}

/* Reads a socket option of variable length, and adds a NUL. NULL when the socket has none. -E2BIG
 * when the option is longer than max. */
static int read_option(
	int fd, int option, size_t guess, size_t max, void **ret_data, socklen_t *ret_size)
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
		if (got > max)
			return -E2BIG;
		size = got;
	}
}

int peer_claim_socket(int fd, struct peer_claim *ret_claim)
{
	struct peer_claim claim = { .pidfd = -1 };
	cleanup(cleanup_free) void *groups = NULL;
	cleanup(cleanup_free) void *lsm = NULL;
	struct ucred ucred;
	socklen_t size = sizeof(ucred), pidfd_size = sizeof(claim.pidfd);
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ucred, &size) < 0)
		return -errno;
	r = read_option(fd, SO_PEERGROUPS, 32 * sizeof(gid_t), INSPECT_GROUPS_MAX * sizeof(gid_t),
		&groups, &size);
	if (r < 0)
		return r;
	claim.groups_known = groups != NULL;
	claim.n_groups = size / sizeof(gid_t);
	r = read_option(fd, SO_PEERSEC, 128, INT_MAX, &lsm, &size);
	if (r < 0)
		return r;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &claim.pidfd, &pidfd_size) < 0) {
		claim.pidfd = -1;
		if (errno != ENOPROTOOPT)
			return errno == EINVAL || errno == ENODATA ? -ESRCH : -errno;
	}
	claim.pid = ucred.pid;
	claim.uid = ucred.uid;
	claim.gid = ucred.gid;
	claim.groups = steal_pointer(&groups);
	claim.lsm = steal_pointer(&lsm);
	*ret_claim = claim;
	return 0;
}

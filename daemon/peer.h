/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A peer: the process on the other end of a connection, as the kernel (or the bus daemon, which
 * asked the kernel) describes it. A pidfd anchors it: everything is read through one fd of
 * /proc/PID that is known to be that process's, because the pidfd says afterwards that it lives.
 *
 * A peer is shared by reference: its connection holds one, every request under way and every grant
 * another. It keeps two fds until the last is gone, or the process is.
 */
#pragma once

#include <stdbool.h>

#include "host.h"
#include "proc.h"
#include "request.h"
#include "user.h"

struct peer {
	unsigned int refs;
	struct user *user; /* whose account it counts to; NULL until peer_set_user() */
	struct identity identity;
	struct proc_credentials credentials; /* at connect */
	dev_t exe_dev; /* of the running file at connect; 0, 0 when unreadable */
	ino_t exe_ino;
	int pidfd; /* readable when the process is gone; -1 once it is buried */
	int proc;  /* O_PATH fd of /proc/PID; likewise */
};

/* What a transport knows of a peer. The pidfd is -1 where it has none: the identity is then weak.
 */
struct peer_claim {
	pid_t pid;
	uid_t uid;
	gid_t *groups; /* supplementary; taken over, also on failure */
	size_t n_groups;
	char *label; /* LSM label or NULL; taken over, also on failure */
	int pidfd;   /* taken over, also on failure */
};

/*
 * Completes a claim from /proc. Returns 0 and a peer with one reference; -ESRCH when the process is
 * gone or another one has its pid; -ESTALE when its effective uid is not the one it connected with;
 * -ENOMEM, -EMFILE and what reading /proc gives.
 */
int peer_new(const struct host *host, struct peer_claim *claim, struct peer **ret_peer);

/* From a connected unix socket: SO_PEERCRED, SO_PEERGROUPS, SO_PEERSEC, SO_PEERPIDFD (Linux 6.5).
 * Returns as peer_new(). */
int peer_from_socket(const struct host *host, int fd, struct peer **ret_peer);

/* Finds the account of its user, with a reference. 0 or -ENOMEM. */
int peer_set_user(struct peer *peer, struct users *users);

struct peer *peer_ref(struct peer *peer);
/* Takes NULL, returns NULL. */
struct peer *peer_unref(struct peer *peer);

bool peer_alive(const struct peer *peer);

/* The process is gone: closes the two fds, which are of no use any more. It stays gone. */
void peer_bury(struct peer *peer);

/* 0 when the process lives with the credentials and the executable that it had at connect; -ESRCH
 * when it is gone, -ESTALE when it is not the program it was. */
int peer_check(const struct peer *peer);

/* True when its uid is 0 or one of its groups is gid. */
bool peer_in_group(const struct peer *peer, gid_t gid);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A peer: the process on the other end of a connection, as the kernel (or the bus daemon, which
 * asked the kernel) noted it when it connected, and as a look at it (peer/inspect.h) completes
 * that. A pidfd anchors it: after each inspection the pidfd says that the process lives, so nobody
 * else had its pid.
 *
 * A peer is shared by reference: its connection holds one, every request under way and every grant
 * another. It describes the process at one moment; the process itself is shared by all that
 * describe it, and costs one fd as long as there is one of them, or it lives.
 */
#pragma once

#include <stdbool.h>

#include "peer/inspect.h"
#include "request.h"
#include "user/user.h"
#include "verdict.h"

#define PEER_FDS 1

struct process {
	unsigned int refs;
	int pidfd; /* readable when the process is gone; -1 once it is buried */
};

struct peer {
	unsigned int refs;
	struct process *process;
	struct user *user;		   /* whose account it counts to; with a reference */
	struct inspect_answer *inspection; /* at connect */
	uint64_t cgroup; /* likewise, the kernel's number; 0 where a pidfd does not tell */
	struct identity identity;
};

/* What a transport knows of a peer. */
struct peer_claim {
	pid_t pid;
	uid_t uid;
	gid_t gid; /* (gid_t)-1 where it is only one of the groups */
	bool groups_known;
	gid_t *groups;
	size_t n_groups;
	char *lsm; /* security label or NULL */
	int pidfd; /* -1 where there is none: the identity is then weak */
};
void peer_claim_done(struct peer_claim *claim);

/* From a connected unix socket: SO_PEERCRED, SO_PEERGROUPS, SO_PEERSEC, SO_PEERPIDFD (Linux 6.5).
 * 0; -ESRCH when the process is gone; or another negative errno, and nothing to be freed. */
int peer_claim_socket(int fd, struct peer_claim *ret_claim);

struct peer_op;

#define PEER_WHY_MAX 128

/*
 * Of peer_identify(): result 0 and a peer, whose reference is passed on; of peer_recheck(): 0 and
 * NULL. Else a negative errno with why in words (a sentence without its end, borrowed):
 * -ESRCH, the process is gone or another one has its pid; -ESTALE, it is not what it was;
 * -ETIMEDOUT, it cannot be looked at; -ECANCELED at a stop; others are our own failure.
 */
typedef void (*peer_done)(void *userdata, int result, const char *why, struct peer *peer);

/* The verdict of a request when one of these fails. */
enum ccbuf_verdict peer_verdict(int error);

/*
 * Completes a claim, which is taken over, also on failure: what the inspection says of user, groups
 * and label must be what was noted at connect. user is who the inspection is charged to
 * (referenced). done is called once, later, by the loop. 0 or a negative errno, and then it is not.
 */
int peer_identify(struct inspections *inspections, struct users *users, struct user *user,
	struct peer_claim *claim, peer_done done, void *userdata, struct peer_op **ret_op);

/* Looks again: whether the process is what it was at connect, in all that peer_check() does not ask
 * the kernel. */
int peer_recheck(struct inspections *inspections, struct peer *peer, peer_done done, void *userdata,
	struct peer_op **ret_op);
/* Takes the answer if it is here already, and calls done. Else nothing happens. */
void peer_hurry(struct peer_op *op);
/* done is not called any more. Takes NULL, returns NULL. Not for one that is done. */
struct peer_op *peer_cancel(struct peer_op *op);

struct peer *peer_ref(struct peer *peer);
/* Takes NULL, returns NULL. */
struct peer *peer_unref(struct peer *peer);

bool peer_alive(const struct peer *peer);

/* The process is gone: closes the fd, which is of no use any more. It stays gone. */
void peer_bury(struct peer *peer);

/* Whether two peers of one process describe it in the same way. */
bool peer_same(const struct peer *a, const struct peer *b);
/* Has a peer use the process of another one of the same process. */
void peer_share(struct peer *peer, struct peer *other);

/* 0 when the process lives, and is as at connect in what a pidfd tells at once: its credentials and
 * its control group (PIDFD_GET_INFO, Linux 6.13). Else -ESRCH or -ESTALE, and why in words. */
int peer_check(const struct peer *peer, const char **ret_why);

/* True when its uid is 0 or one of its groups is gid. */
bool peer_in_group(const struct peer *peer, gid_t gid);

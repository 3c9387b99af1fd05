/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A peer: the process on the other end of a connection, as the kernel (or the bus daemon, which
 * asked the kernel) noted it at connect, completed by an inspection (peer/inspect.h). A pidfd
 * anchors it: after each inspection the pidfd shows that the process still lives, so no other
 * process had its pid.
 *
 * A peer is shared by reference: its connection has one, and so has every request under way and
 * every grant. A peer describes the process at one moment. The process itself is shared by all
 * peers that describe it, and costs one fd until the process or the last of them is gone.
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
	struct user *user;		   /* whose account it counts to; referenced */
	struct inspect_answer *inspection; /* at connect */
	uint64_t cgroup; /* at connect, the kernel's number; 0 where the pidfd does not say it */
	struct identity identity;
};

/* What a transport knows of a peer. */
struct peer_claim {
	pid_t pid;
	uid_t uid;
	gid_t gid; /* (gid_t)-1 where it is only known as one of the groups */
	bool groups_known;
	gid_t *groups;
	size_t n_groups;
	char *lsm; /* security label or NULL */
	int pidfd; /* -1 where there is none: the identity is then weak */
};
void peer_claim_done(struct peer_claim *claim);

/* Makes a claim from a connected unix socket: SO_PEERCRED, SO_PEERGROUPS, SO_PEERSEC, SO_PEERPIDFD
 * (Linux 6.5). Returns 0; -ESRCH when the process is gone; -E2BIG when it is in more than
 * INSPECT_GROUPS_MAX groups; or another negative errno. */
int peer_claim_socket(int fd, struct peer_claim *ret_claim);

/* A text for the negative errno of an inspection or a check. */
const char *peer_words(int error);

struct peer_op;

#define PEER_WHY_MAX 128

/*
 * For peer_identify(): result 0 and a peer, whose reference the callee takes. For peer_recheck(): 0
 * and NULL. Else a negative errno, with why in words (a sentence without a full stop, borrowed):
 * -ESRCH, the process is gone or another one has its pid; -ESTALE, the process has changed;
 * -ETIMEDOUT, it cannot be inspected; -E2BIG, it is in too many groups; -ECANCELED at a stop;
 * others are our own failure.
 */
typedef void (*peer_done)(void *userdata, int result, const char *why, struct peer *peer);

/* The verdict of a request for such an error. */
enum ccbuf_verdict peer_verdict(int error);

/*
 * Inspects the process of a claim and makes a peer. Takes over the claim, also on failure. User,
 * groups and security label must be as noted at connect. The inspection is charged to user
 * (referenced). The loop calls done once, later. Returns 0, or a negative errno and then done is
 * not called.
 */
int peer_identify(struct inspections *inspections, struct users *users, struct user *user,
	struct peer_claim *claim, peer_done done, void *userdata, struct peer_op **ret_op);

/* Inspects the process again: whether it is as at connect, in all that peer_check() does not ask
 * the kernel. */
int peer_recheck(struct inspections *inspections, struct peer *peer, peer_done done, void *userdata,
	struct peer_op **ret_op);
/* If the answer is here already, takes it and calls done. Else does nothing. */
void peer_hurry(struct peer_op *op);
/* Cancels: done is not called any more. Takes NULL, returns NULL. Not for one that is done. */
struct peer_op *peer_cancel(struct peer_op *op);

struct peer *peer_ref(struct peer *peer);
/* Takes NULL, returns NULL. */
struct peer *peer_unref(struct peer *peer);

bool peer_alive(const struct peer *peer);

/* Closes the pidfd of a process that is gone. The process stays gone. */
void peer_bury(struct peer *peer);

/* Whether two peers of one process describe it alike. */
bool peer_same(const struct peer *a, const struct peer *b);
/* Makes a peer share the struct process of another peer of the same process. */
void peer_share(struct peer *peer, struct peer *other);

/* Returns 0 when the process lives and its credentials and control group are as at connect, as far
 * as the pidfd says them (PIDFD_GET_INFO, Linux 6.13). Else -ESRCH or -ESTALE, and why in words. */
int peer_check(const struct peer *peer, const char **ret_why);

/* True when its uid is 0 or one of its groups is gid. */
bool peer_in_group(const struct peer *peer, gid_t gid);

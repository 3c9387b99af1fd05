/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Compares what a process is now with what it was when it connected. It must never trust the later
 * state over the earlier one.
 */
#include <stdio.h>
#include <sys/ioctl.h>

#include "peer/internal.h"
#include "peer/pidfd-info.h"
#include "util.h"

static const char other_credentials[] = "the process has other credentials than when it connected";
const char peer_other_cgroup[] = "the process is in another control group than when it connected";

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && streq(a, b));
}

static bool same_answer_text(
	const struct inspect_answer *a, const struct inspect_answer *b, enum inspect_text which)
{
	return same_text(inspect_answer_text(a, which), inspect_answer_text(b, which));
}

const char *peer_difference(
	const struct inspect_answer *a, const struct inspect_answer *b, unsigned int wanted)
{
	uint32_t seen = INSPECT_EXE | INSPECT_ROOT | INSPECT_MOUNT_NS | INSPECT_USER_NS;

	if (wanted & INSPECT_WANT_START && a->start_time != b->start_time)
		return "another process has its number";
	if (wanted & INSPECT_WANT_CREDENTIALS && (memcmp(a->uids, b->uids, sizeof(a->uids)) ||
							 memcmp(a->gids, b->gids, sizeof(a->gids))))
		return other_credentials;
	if (wanted & INSPECT_WANT_CREDENTIALS && !streq(a->groups, b->groups))
		return "the process is in other groups than when it connected";
	if (a->exe_dev != b->exe_dev || a->exe_ino != b->exe_ino)
		return "the process runs another program than when it connected";
	if (wanted & INSPECT_WANT_LSM && !same_answer_text(a, b, INSPECT_TEXT_LSM))
		return "the process has another security label than when it connected";
	if (a->mount_ns != b->mount_ns || a->user_ns != b->user_ns ||
		(wanted & INSPECT_WANT_START && a->pid_ns != b->pid_ns))
		return "the process is in other namespaces than when it connected";
	if (a->root_dev != b->root_dev || a->root_ino != b->root_ino)
		return "the process has another root folder than when it connected";
	if (wanted & INSPECT_WANT_CGROUP && !same_answer_text(a, b, INSPECT_TEXT_CGROUP))
		return peer_other_cgroup;
	if ((a->known ^ b->known) & seen)
		return "other properties of the process are visible than when it connected";
	return NULL;
}

/* The properties at connect decide who a peer is. A difference now came later, most likely by an
 * exec() of a program with other rights. NULL when there is none. */
static const char *contradiction(
	const struct peer_claim *claim, const char *groups, const struct inspect_answer *answer)
{
	const char *lsm = inspect_answer_text(answer, INSPECT_TEXT_LSM);

	if (answer->uids[1] != claim->uid)
		return "the process connected as another user than it is now";
	if (claim->gid != (gid_t)-1 && answer->gids[1] != claim->gid)
		return "the process connected with another group than it has now";
	if (claim->groups_known && !streq(answer->groups, groups))
		return "the process connected with other groups than it has now";
	if (claim->lsm && lsm && !streq(claim->lsm, lsm))
		return "the process connected with another security label than it has now";
	return NULL;
}

static int hash_groups(const struct peer_claim *claim, char hash[static CHAIN_HASH_TEXT])
{
	cleanup(cleanup_free) gid_t *copy = calloc(claim->n_groups + 1, sizeof(*copy));
	size_t n = claim->n_groups;

	if (!copy)
		return -ENOMEM;
	if (n)
		memcpy(copy, claim->groups, n * sizeof(*copy));
	if (claim->gid != (gid_t)-1)
		copy[n++] = claim->gid;
	inspect_hash_groups(copy, n, hash);
	return 0;
}

int peer_contradiction(
	const struct peer_claim *claim, const struct inspect_answer *answer, const char **ret_why)
{
	char groups[CHAIN_HASH_TEXT];
	int r = hash_groups(claim, groups);

	if (r >= 0)
		*ret_why = contradiction(claim, groups, answer);
	return r;
}

bool peer_same(const struct peer *a, const struct peer *b)
{
	return a->identity.strong == b->identity.strong &&
	       !peer_difference(a->inspection, b->inspection, INSPECT_WANT_ALL) &&
	       same_text(a->identity.lsm, b->identity.lsm) &&
	       same_text(a->identity.exe, b->identity.exe);
}

_Static_assert(INSPECT_GROUPS_MAX == 4096, "peer_words() says it");

const char *peer_words(int error)
{
	switch (error) {
	case -ESRCH:
		return "the process is gone";
	case -ETIMEDOUT:
		return "the file of its program cannot be inspected: its file system does not "
		       "answer";
	case -ECANCELED:
		return "the daemon stops";
	case -EMSGSIZE:
		return "the names of its control groups are too long";
	case -E2BIG:
		return "it is in more than 4096 groups";
	default:
		return strerror(-error);
	}
}

enum ccbuf_verdict peer_verdict(int error)
{
	return error == -ESRCH || error == -ESTALE || error == -ETIMEDOUT || error == -EMSGSIZE ||
			       error == -E2BIG
		       ? CCBUF_IDENTITY_CHANGED
		       : CCBUF_INTERNAL;
}

uint64_t peer_cgroup(const struct peer *peer)
{
	struct proc_credentials credentials;
	uint64_t cgroup;

	return pidfd_info_credentials(peer->process->pidfd, &credentials, &cgroup) < 0 ? 0 : cgroup;
}

int peer_check(const struct peer *peer, const char **ret_why)
{
	struct proc_credentials now;
	const char *why = NULL;
	uint64_t cgroup;
	int r = -ESRCH;

	if (peer->process->pidfd >= 0)
		r = pidfd_info_credentials(peer->process->pidfd, &now, &cgroup);
	if (r >= 0 && (memcmp(now.uids, peer->inspection->uids, sizeof(now.uids)) ||
			      memcmp(now.gids, peer->inspection->gids, sizeof(now.gids))))
		why = other_credentials;
	else if (r >= 0 && cgroup != peer->cgroup)
		why = peer_other_cgroup;
	/* Last, because an exited process reports other credentials. */
	if (r == -ESRCH || !peer_alive(peer)) {
		*ret_why = peer_words(-ESRCH);
		return -ESRCH;
	}
	*ret_why = why;
	return why ? -ESTALE : 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds out who asks. It must never trust what a peer says of itself, and never use a pid without
 * its pidfd.
 */
#include <sys/syscall.h>

#include "helper/proc.h"
#include "peer/internal.h"
#include "util.h"

static void cleanup_peer(struct peer **peer)
{
	peer_unref(*peer);
}

static int copy_text(const struct inspect_answer *answer, enum inspect_text which, char **ret_copy)
{
	const char *text = inspect_answer_text(answer, which);

	*ret_copy = text ? strdup(text) : NULL;
	return text && !*ret_copy ? -ENOMEM : 0;
}

static size_t answer_size(const struct inspect_answer *answer)
{
	size_t size = sizeof(*answer);

	for (int i = 0; i < INSPECT_TEXTS; i++)
		size += answer->sizes[i];
	return size;
}

static int describe(struct peer *peer, const struct inspect_answer *answer)
{
	struct identity *identity = &peer->identity;
	size_t size = answer_size(answer);
	int r;

	peer->inspection = malloc(size);
	if (!peer->inspection)
		return -ENOMEM;
	memcpy(peer->inspection, answer, size);
	identity->gid = answer->gids[1];
	identity->start_time = answer->start_time;
	identity->container = answer->container;
	r = copy_text(answer, INSPECT_TEXT_CGROUP, &identity->cgroup);
	if (r >= 0 && identity->cgroup)
		r = proc_cgroup_unit(identity->cgroup, &identity->unit, &identity->slice);
	if (r >= 0)
		r = copy_text(answer, INSPECT_TEXT_EXE, &identity->exe);
	return r;
}

struct peer_op {
	struct inspection *inspection; /* NULL once it is done */
	struct users *users;
	struct peer *peer;	 /* to be completed, or inspected again */
	struct peer_claim claim; /* of a peer to be completed */
	unsigned int wanted;	 /* enum inspect_wanted */
	bool again;
	peer_done done;
	void *userdata;
};

static void op_free(struct peer_op *op)
{
	peer_unref(op->peer);
	peer_claim_done(&op->claim);
	free(op);
}

static int complete(struct peer_op *op, const struct inspect_answer *answer, const char **ret_why)
{
	struct peer *peer = op->peer;
	int r = peer_contradiction(&op->claim, answer, ret_why);

	if (r < 0)
		return r;
	/* Did the process move between the two? */
	if (!*ret_why && peer->cgroup != peer_cgroup(peer))
		*ret_why = peer_other_cgroup;
	if (*ret_why)
		return -ESTALE;
	r = describe(peer, answer);
	if (r < 0)
		return r;
	peer->user = user_unref(peer->user);
	return users_get(op->users, answer->person.uid, (ino_t)answer->person.ns, &peer->user);
}

static void on_inspected(void *userdata, int result, const struct inspect_answer *answer)
{
	struct peer_op *op = userdata;
	const char *why = NULL;
	int r = result;

	op->inspection = NULL;
	if (r >= 0 && op->again) {
		why = peer_difference(op->peer->inspection, answer, op->wanted);
		r = why ? -ESTALE : 0;
	} else if (r >= 0) {
		r = complete(op, answer, &why);
	}
	/* Last: the pid is the peer's only while it lives, and an exited process looks like another
	 * one. */
	if (((r >= 0 && !op->again) || r == -ESTALE) && !peer_alive(op->peer)) {
		r = -ESRCH;
		why = NULL;
	}
	op->done(op->userdata, r, r < 0 && !why ? peer_words(r) : why,
		r < 0 || op->again ? NULL : peer_ref(op->peer));
	op_free(op);
}

static int open_process(const struct peer_claim *claim, struct process **ret_process)
{
	struct process *process;
	int fd;

	if (claim->pid <= 0)
		return -ESRCH; /* it is in a PID namespace that we cannot see */
	process = malloc(sizeof(*process));
	if (!process)
		return -ENOMEM;
	fd = claim->pidfd < 0 ? (int)syscall(SYS_pidfd_open, claim->pid, 0) : claim->pidfd;
	if (fd < 0) {
		free(process);
		return -errno;
	}
	*process = (struct process){ .refs = 1, .pidfd = fd };
	*ret_process = process;
	return 0;
}

/* Makes a peer of a claim, whose pidfd, groups and security label it takes over. */
static int make_peer(struct peer_claim *claim, struct user *user, struct peer **ret_peer)
{
	cleanup(cleanup_peer) struct peer *peer = calloc(1, sizeof(*peer));
	gid_t *groups;
	int r;

	if (!peer)
		return -ENOMEM;
	peer->refs = 1;
	r = open_process(claim, &peer->process);
	if (r < 0)
		return r;
	peer->cgroup = peer_cgroup(peer);
	peer->identity.strong = claim->pidfd >= 0;
	claim->pidfd = -1;
	peer->user = user_ref(user);
	peer->identity.pid = claim->pid;
	peer->identity.uid = claim->uid;
	if (claim->lsm) {
		/* as the kernel writes it, with a NUL or a newline at its end */
		claim->lsm[strcspn(claim->lsm, "\n")] = 0;
		peer->identity.lsm = strdup(claim->lsm);
	}
	if (claim->lsm && !peer->identity.lsm)
		return -ENOMEM;
	groups = malloc(claim->n_groups * sizeof(*groups) + 1);
	if (!groups)
		return -ENOMEM;
	if (claim->n_groups)
		memcpy(groups, claim->groups, claim->n_groups * sizeof(*groups));
	peer->identity.groups = groups;
	peer->identity.n_groups = claim->n_groups;
	*ret_peer = steal_pointer(&peer);
	return 0;
}

int peer_identify(struct inspections *inspections, struct users *users, struct user *user,
	struct peer_claim *claim, peer_done done, void *userdata, struct peer_op **ret_op)
{
	struct peer_op *op = calloc(1, sizeof(*op));
	int r;

	if (!op) {
		peer_claim_done(claim);
		return -ENOMEM;
	}
	*op = (struct peer_op){
		.users = users, .claim = *claim, .done = done, .userdata = userdata
	};
	*claim = (struct peer_claim){ .pidfd = -1 };
	/* Without a gid of its own that is one of the groups. */
	if (op->claim.n_groups > INSPECT_GROUPS_MAX + (size_t)(op->claim.gid == (gid_t)-1))
		r = -E2BIG;
	else
		r = make_peer(&op->claim, user, &op->peer);
	if (r >= 0)
		r = inspect_new(inspections, user, op->claim.pid, INSPECT_WANT_ALL, on_inspected,
			op, &op->inspection);
	if (r < 0)
		op_free(op);
	else
		*ret_op = op;
	return r;
}

int peer_recheck(struct inspections *inspections, struct peer *peer, peer_done done, void *userdata,
	struct peer_op **ret_op)
{
	struct peer_op *op = calloc(1, sizeof(*op));
	int r;

	if (!op)
		return -ENOMEM;
	*op = (struct peer_op){
		.peer = peer_ref(peer),
		.claim.pidfd = -1,
		.again = true,
		.done = done,
		.userdata = userdata,
	};
	/* peer_check() asks the pidfd for what it knows. A property that was not visible at connect
	 * is not inspected again. Without CAP_SETGID a process gets other groups only by a program
	 * with rights, and then another uid or gid, too. */
	if (!peer->cgroup)
		op->wanted |= INSPECT_WANT_CGROUP | INSPECT_WANT_CREDENTIALS;
	if (peer->inspection->may_set_groups)
		op->wanted |= INSPECT_WANT_CREDENTIALS;
	if (peer->inspection->known & INSPECT_LSM)
		op->wanted |= INSPECT_WANT_LSM;
	r = inspect_new(inspections, peer->user, peer->identity.pid, op->wanted, on_inspected, op,
		&op->inspection);
	if (r < 0)
		op_free(op);
	else
		*ret_op = op;
	return r;
}

void peer_hurry(struct peer_op *op)
{
	if (op->inspection)
		inspect_hurry(op->inspection);
}

struct peer_op *peer_cancel(struct peer_op *op)
{
	if (!op)
		return NULL;
	inspect_cancel(op->inspection);
	op_free(op);
	return NULL;
}

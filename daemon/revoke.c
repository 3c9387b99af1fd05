/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Revocations. It must never decide that one is due.
 */
#include "revoke.h"

#include <stdio.h>

#include "log.h"
#include "util.h"

struct revoke_op {
	struct job job; /* first: the workers' handle */
	struct broker *broker;
	int node;
	uint64_t watch;
	struct revocation revocation;
	revoke_done done;
	void *userdata;
};

static int record(struct revoke_op *op, const struct grant *grant, const struct revoke_cause *cause,
	audit_done done)
{
	struct audit_buffer buffer = { grant->id, grant->inode };
	struct audit_event event = {
		.kind = AUDIT_REVOKE,
		.peer = &grant->peer->identity,
		.by = cause->by ? &cause->by->identity : NULL,
		.use = grant->use,
		.heap = grant->heap,
		.exposure = grant->exposure,
		.size = grant->size,
		.buffers = &buffer,
		.n_buffers = 1,
		.rule = grant->rule_name,
		.verdict = cause->verdict,
		.reason = cause->reason,
		.policy = policy_digest(op->broker->policy),
	};

	return audit_append(op->broker->audit, &event, done, op);
}

static void finish(struct revoke_op *op)
{
	struct broker *broker = op->broker;

	/* What it led to at once is told with it. */
	heap_events_take(broker->heap_events);
	op->revocation.released = !ledger_find(broker->ledger, op->revocation.grant);
	if (op->done)
		op->done(op->userdata, &op->revocation);
	broker->n_requests--;
	free(op);
}

/* The trail must not say that memory was taken back which was not. */
static void undo(struct revoke_op *op)
{
	struct broker *broker = op->broker;
	struct audit_event event = { .kind = AUDIT_ERROR };
	char reason[128];

	ledger_not_revoked(broker->ledger, op->revocation.grant);
	snprintf(reason, sizeof(reason), "grant %ju could not be taken back: %s",
		(uintmax_t)op->revocation.grant, strerror(-op->revocation.result));
	log_error("revoke: %s", reason);
	event.reason = reason;
	(void)audit_append(broker->audit, &event, NULL, NULL);
}

static void run(struct job *job)
{
	struct revoke_op *op = (struct revoke_op *)job;

	op->revocation.result = module_revoke(op->node, op->watch, &op->revocation.hold);
}

static void on_run(struct job *job)
{
	struct revoke_op *op = (struct revoke_op *)job;

	/* It ended before we came: as good. */
	if (op->revocation.result == -ENOENT)
		op->revocation.result = 0;
	if (op->revocation.result < 0)
		undo(op);
	finish(op);
}

static void on_recorded(void *userdata, int result)
{
	struct revoke_op *op = userdata;

	broker_note_audit(op->broker, result);
	if (!ledger_find(op->broker->ledger, op->revocation.grant)) {
		finish(op);
		return;
	}
	ledger_revoked(op->broker->ledger, op->revocation.grant);
	workers_submit(op->broker->workers, &op->job);
}

int revoke_grant(struct broker *broker, const struct grant *grant, const struct revoke_cause *cause,
	revoke_done done, void *userdata)
{
	struct revoke_op *op = calloc(1, sizeof(*op));
	int r;

	if (!op)
		return -ENOMEM;
	*op = (struct revoke_op){
		.job = {
			.owner = (uid_t)-1, /* of no user's turn */
			.large = true,
			.run = run,
			.done = on_run,
		},
		.broker = broker,
		.node = grant->node->fd,
		.watch = grant->watch,
		.revocation.grant = grant->id,
		.done = done,
		.userdata = userdata,
	};
	broker->n_requests++; /* a stop waits for it */
	r = record(op, grant, cause, on_recorded);
	if (r < 0)
		on_recorded(op, r);
	return 0;
}

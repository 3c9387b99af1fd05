/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Revocations. It does not decide that one is due.
 */
#include "revoke.h"

#include <stdio.h>

#include "base/log.h"
#include "util.h"

/* The time to the next try: after the first one, and its maximum. */
#define AGAIN_USEC     UINT64_C(2000000)
#define AGAIN_USEC_MAX UINT64_C(64000000)

struct revoke_op {
	struct job job;		/* first: the workers' handle */
	struct revoke_op *next; /* in the list of busy ones */
	struct broker *broker;
	sd_event_source *timer; /* NULL until it is busy for the first time */
	uint64_t again_usec;
	int node;
	uint64_t watch;
	struct revocation revocation;
	revoke_done done;
	void *userdata;
};

static int record(struct revoke_op *op, const struct grant *grant, const struct revoke_cause *cause,
	audit_done done)
{
	struct audit_buffer buffer;
	struct audit_event event = grant_event(grant, &buffer);

	event.kind = AUDIT_REVOKE;
	event.by = cause->by ? &cause->by->identity : NULL;
	event.verdict = cause->verdict;
	event.reason = cause->reason;
	event.policy = policy_digest(op->broker->policy);
	return audit_append(op->broker->audit, &event, done, op);
}

static void op_free(struct revoke_op *op)
{
	sd_event_source_disable_unref(op->timer);
	free(op);
}

static void forget(struct broker *broker, uint64_t grant)
{
	struct revoke_op **at = &broker->busy;

	while (*at && (*at)->revocation.grant != grant)
		at = &(*at)->next;
	if (*at) {
		struct revoke_op *op = *at;

		*at = op->next;
		op_free(op);
	}
}

static void on_run(struct job *job);

/* At a stop, when the threads are gone, does it here: nobody waits any more. */
static void submit(struct revoke_op *op)
{
	if (op->broker->workers) {
		workers_submit(op->broker->workers, &op->job);
		return;
	}
	op->job.run(&op->job);
	on_run(&op->job);
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct revoke_op *op = userdata, **at = &op->broker->busy;

	(void)source, (void)usec;
	while (*at != op)
		at = &(*at)->next;
	*at = op->next;
	if (!ledger_find(op->broker->ledger, op->revocation.grant)) {
		op_free(op);
		return 0;
	}
	op->broker->n_requests++;
	submit(op);
	return 0;
}

/* A buffer with a working device has to be revoked again later. */
static int ask_again(struct revoke_op *op)
{
	struct broker *broker = op->broker;
	int r = 0;

	op->again_usec = op->again_usec ? 2 * op->again_usec : AGAIN_USEC;
	if (op->again_usec > AGAIN_USEC_MAX)
		op->again_usec = AGAIN_USEC_MAX;
	if (!op->timer)
		r = sd_event_add_time_relative(
			broker->loop, &op->timer, CLOCK_MONOTONIC, op->again_usec, 0, on_again, op);
	else
		r = sd_event_source_set_time_relative(op->timer, op->again_usec);
	if (r >= 0)
		r = sd_event_source_set_enabled(op->timer, SD_EVENT_ONESHOT);
	if (r < 0)
		return r;
	/* one at a time for each grant */
	forget(broker, op->revocation.grant);
	op->next = broker->busy;
	broker->busy = op;
	return 0;
}

static void finish(struct revoke_op *op)
{
	struct broker *broker = op->broker;
	revoke_done done = op->done;

	/* Events that it caused are taken now, so that the outcome includes them. */
	heap_events_take(broker->heap_events);
	op->revocation.released = !ledger_find(broker->ledger, op->revocation.grant);
	op->done = NULL;
	if (done)
		done(op->userdata, &op->revocation);
	broker->n_requests--;
	if (op->revocation.result < 0 || op->revocation.released || !op->revocation.hold.busy ||
		ask_again(op) < 0)
		op_free(op);
}

/* The trail already says that the memory is taken back: another record corrects that. */
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

	op->revocation.result = ccbuf_heap_revoke(op->node, op->watch, &op->revocation.hold);
}

static void on_run(struct job *job)
{
	struct revoke_op *op = (struct revoke_op *)job;

	/* The buffer was released before: that is as good. */
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
	submit(op);
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

void revoke_stop(struct broker *broker)
{
	while (broker->busy) {
		struct revoke_op *op = broker->busy;

		broker->busy = op->next;
		op_free(op);
	}
}

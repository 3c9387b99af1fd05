/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The order of the steps of a grant. It must never send an fd before its record is durable, nor
 * leave a buffer charged that nobody got.
 */
#include "grant.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "grant-preflight.h"
#include "review.h"
#include "util.h"

struct grant_op {
	struct job job; /* first: the workers' handle */
	struct broker *broker;
	struct peer *peer;
	bool charged;	       /* to its user, as a request under way */
	struct policy *policy; /* the one that decides, whatever is loaded meanwhile */
	struct request request;
	struct preflight preflight; /* what was decided */
	grant_reply reply;
	void *userdata;
	int error; /* of the allocation */
	bool recorded;
	struct peer_op *inspection; /* NULL when it is not under way */
	int inspected;		    /* its result */
	char why[PEER_WHY_MAX];
	uint32_t n_grants; /* 0 or request.count */
	struct grant *grants[REQUEST_COUNT_MAX];
	int fds[REQUEST_COUNT_MAX];
	struct buffer_id buffers[REQUEST_COUNT_MAX];
};

/* The steps, in order; their common functions are at the end. */
static void decide(struct grant_op *op);
static void allocate(struct job *job);
static void on_allocated(struct job *job);
static void on_inspected(void *userdata, int result, const char *why, struct peer *peer);
static void on_grant_recorded(void *userdata, int result);
static void deliver(struct grant_op *op);
static void refuse(struct grant_op *op, enum ccbuf_verdict verdict);
static void refuse_saying(struct grant_op *op, enum ccbuf_verdict verdict, const char *format, ...)
	printf_like(3, 4);
static void refuse_busy(struct grant_op *op);
static void refuse_changed(struct grant_op *op, int error, const char *why);
static void on_refusal_recorded(void *userdata, int result);
static int record(struct grant_op *op, enum audit_kind kind, audit_done done);
static void note_failure(struct broker *broker, int result);
static void reply(struct grant_op *op);
static void let_go(struct grant_op *op);
static void op_free(struct grant_op *op);

int grant_request(struct broker *broker, struct peer *peer, const struct request *request,
	grant_reply reply_function, void *userdata)
{
	struct grant_op *op = calloc(1, sizeof(*op));

	if (!op)
		return -ENOMEM;
	op->broker = broker;
	op->peer = peer_ref(peer);
	op->policy = policy_ref(broker->policy);
	op->request = *request;
	op->reply = reply_function;
	op->userdata = userdata;
	for (uint32_t i = 0; i < REQUEST_COUNT_MAX; i++)
		op->fds[i] = -1;
	op->job = (struct job){
		.owner = peer->user,
		.large = request->count > 0 && request->size > WORKERS_LARGE / request->count,
		.run = allocate,
		.done = on_allocated,
	};
	broker->n_requests++;
	op->charged = user_charge(peer->user, USER_REQUESTS, 1) >= 0;
	if (op->charged)
		decide(op);
	else
		refuse_busy(op);
	return 0;
}

static void decide(struct grant_op *op)
{
	struct decision *decision = &op->preflight.decision;
	struct broker *broker = op->broker;
	const struct heap *heap;
	enum ccbuf_verdict verdict;
	int r;

	grant_preflight(broker, op->policy, &op->peer->identity, NULL, &op->request, PREFLIGHT_HEAP,
		&op->preflight);
	if (decision->verdict != CCBUF_GRANTED) {
		refuse(op, decision->verdict);
		return;
	}
	heap = op->preflight.heap;
	verdict = ledger_reserve(broker->ledger, op->peer, &op->request, decision,
		policy_settings(op->policy), heap, op->preflight.size, op->grants,
		decision->reason);
	if (verdict != CCBUF_GRANTED) {
		refuse(op, verdict);
		return;
	}
	op->n_grants = op->request.count;
	/* Is the process still as at connect, as the policy assumed? The answer comes while the
	 * buffer is made and recorded. */
	r = peer_recheck(broker->inspections, op->peer, on_inspected, op, &op->inspection);
	if (r < 0) {
		refuse_saying(
			op, CCBUF_INTERNAL, "the process cannot be inspected: %s", strerror(-r));
		return;
	}
	if (heap_is_quick(heap, op->preflight.size * op->n_grants)) {
		allocate(&op->job);
		on_allocated(&op->job);
		return;
	}
	workers_submit(broker->workers, &op->job);
}

static void allocate(struct job *job)
{
	struct grant_op *op = (struct grant_op *)job;

	for (uint32_t i = 0; i < op->n_grants && op->error == 0; i++)
		op->error = heap_alloc(op->preflight.heap, op->preflight.decision.exposure,
			op->preflight.size, op->request.read_only, &op->fds[i], &op->buffers[i]);
}

static void on_allocated(struct job *job)
{
	struct grant_op *op = (struct grant_op *)job;
	bool stopped;
	int r;

	if (op->error == -ENOMEM) {
		refuse_saying(op, CCBUF_OUT_OF_MEMORY,
			"heap %s has no %ju bytes for %u buffer%s now", op->preflight.decision.heap,
			(uintmax_t)op->preflight.size, op->request.count,
			op->request.count == 1 ? "" : "s");
		return;
	}
	if (op->error < 0) {
		stopped = heap_explain(op->preflight.heap, op->error, op->preflight.decision.reason,
			sizeof(op->preflight.decision.reason));
		refuse(op, stopped ? CCBUF_HEAP_UNAVAILABLE : CCBUF_INTERNAL);
		return;
	}
	if (ledger_number(op->broker->ledger, op->grants, op->n_grants, op->buffers) < 0) {
		refuse_saying(op, CCBUF_INTERNAL, "out of memory");
		return;
	}
	r = record(op, AUDIT_GRANT, on_grant_recorded);
	if (r < 0)
		on_grant_recorded(op, r);
}

static void on_inspected(void *userdata, int result, const char *why, struct peer *peer)
{
	struct grant_op *op = userdata;

	(void)peer;
	op->inspection = NULL;
	op->inspected = result;
	if (result < 0)
		copy_string(op->why, sizeof(op->why), why);
	if (op->recorded)
		deliver(op);
}

static void on_grant_recorded(void *userdata, int result)
{
	struct grant_op *op = userdata;
	char who[USER_TEXT_MAX];

	broker_note_audit(op->broker, result);
	/* The record may still be written. Then another record has to say that nothing was handed
	 * out. */
	if (result == -EINPROGRESS) {
		op->preflight.decision.verdict = CCBUF_AUDIT_FAILED;
		snprintf(op->preflight.decision.reason, sizeof(op->preflight.decision.reason),
			"the record of the grant was not written in time");
		note_failure(op->broker, record(op, AUDIT_UNDELIVERED, NULL));
	}
	ledger_numbered(op->broker->ledger, op->grants, op->n_grants,
		result >= 0 || result == -EINPROGRESS);
	if (result == -EUSERS) {
		refuse_saying(op, CCBUF_BUSY, "too many records of %s wait to be written",
			user_text(op->peer->user, who));
		return;
	}
	if (result < 0) {
		refuse_saying(op, CCBUF_AUDIT_FAILED, "the audit record could not be written: %s",
			result == -EINPROGRESS || result == -ETIMEDOUT
				? "its file system does not answer"
				: strerror(-result));
		return;
	}
	op->recorded = true;
	if (op->inspection)
		peer_hurry(op->inspection);
	else
		deliver(op);
}

/* The record is durable and the inspection is done: is it still the process that the record
 * describes? */
static void deliver(struct grant_op *op)
{
	const char *why = op->why;
	int r = op->inspected;

	if (r >= 0)
		r = peer_check(op->peer, &why);
	if (r < 0)
		refuse_changed(op, r, why);
	else
		reply(op);
}

void grant_delivered(struct grant_op *op, int result)
{
	if (result < 0 && op->n_grants) {
		snprintf(op->preflight.decision.reason, sizeof(op->preflight.decision.reason),
			"the reply could not be sent: %s", strerror(-result));
		note_failure(op->broker, record(op, AUDIT_UNDELIVERED, NULL));
	}
	for (uint32_t i = 0; result >= 0 && i < op->n_grants; i++) {
		ledger_commit(op->broker->ledger, op->grants[i], &op->fds[i]);
		/* A review that began meanwhile has not visited this grant. */
		if (op->policy != op->broker->policy)
			review_one(op->broker->review, op->grants[i]);
	}
	if (result >= 0)
		op->n_grants = 0;
	op_free(op);
}

/* --- ways out --- */

static void refuse(struct grant_op *op, enum ccbuf_verdict verdict)
{
	int r;

	op->preflight.decision.verdict = verdict;
	let_go(op);
	r = record(op, AUDIT_DENY, on_refusal_recorded);
	if (r < 0)
		on_refusal_recorded(op, r);
}

static void refuse_saying(struct grant_op *op, enum ccbuf_verdict verdict, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(op->preflight.decision.reason, sizeof(op->preflight.decision.reason), format,
		arguments);
	va_end(arguments);
	refuse(op, verdict);
}

static void on_refusal_recorded(void *userdata, int result)
{
	struct grant_op *op = userdata;

	/* Nothing is handed out, so the refusal is sent even if its record failed. */
	note_failure(op->broker, result);
	reply(op);
}

/* Does not wait for the record: otherwise excess requests would wait, too. */
static void refuse_busy(struct grant_op *op)
{
	const struct user *user = op->peer->user;
	char who[USER_TEXT_MAX];

	op->preflight.decision.verdict = CCBUF_BUSY;
	snprintf(op->preflight.decision.reason, sizeof(op->preflight.decision.reason),
		"%s has %ju requests under way, over all connections; its share allows no more now",
		user_text(user, who), (uintmax_t)user->used[USER_REQUESTS]);
	note_failure(op->broker, record(op, AUDIT_DENY, NULL));
	reply(op);
}

static void refuse_changed(struct grant_op *op, int error, const char *why)
{
	/* The record of the grant is already durable. */
	op->preflight.decision.verdict = peer_verdict(error);
	snprintf(op->preflight.decision.reason, sizeof(op->preflight.decision.reason), "%s",
		error == -ESRCH ? "the process that asked is gone" : why);
	note_failure(op->broker, record(op, AUDIT_UNDELIVERED, NULL));
	let_go(op);
	reply(op);
}

/* --- what the steps share --- */

static int record(struct grant_op *op, enum audit_kind kind, audit_done done)
{
	struct audit_buffer buffers[REQUEST_COUNT_MAX];
	const struct decision *decision = &op->preflight.decision;
	struct audit_event event = {
		.kind = kind,
		.user = op->peer->user,
		.peer = &op->peer->identity,
		.request = &op->request,
		.heap = decision->heap,
		.exposure = decision->heap ? decision->exposure : EXPOSURE_UNKNOWN,
		.size = op->n_grants ? op->preflight.size : 0,
		.buffers = buffers,
		.n_buffers = op->n_grants,
		.rule = decision->rule ? decision->rule->name : NULL,
		.verdict = decision->verdict,
		.reason = decision->reason[0] ? decision->reason : NULL,
		.policy = policy_digest(op->policy),
		.not_lost = kind == AUDIT_GRANT, /* a grant without a record becomes a refusal */
	};

	for (uint32_t i = 0; i < op->n_grants; i++)
		buffers[i] = (struct audit_buffer){ op->grants[i]->id, op->buffers[i].inode };
	return audit_append(op->broker->audit, &event, done, op);
}

/* For a record that is only queued or counted: only a failure says anything. */
static void note_failure(struct broker *broker, int result)
{
	if (result < 0)
		broker_note_audit(broker, result);
}

static void reply(struct grant_op *op)
{
	struct outcome outcome = {
		.verdict = op->preflight.decision.verdict,
		.rule = op->preflight.decision.rule ? op->preflight.decision.rule->name : NULL,
		.reason = op->preflight.decision.reason,
		.count = op->n_grants,
		.fds = op->fds,
		.grants = op->grants,
	};

	op->reply(op->userdata, op, &outcome);
}

static void let_go(struct grant_op *op)
{
	op->inspection = peer_cancel(op->inspection);
	for (uint32_t i = 0; i < op->request.count && i < REQUEST_COUNT_MAX; i++)
		workers_close(op->broker->workers, op->peer->user, op->preflight.size, false,
			&op->fds[i]);
	while (op->n_grants > 0)
		ledger_cancel(op->broker->ledger, op->grants[--op->n_grants]);
}

static void op_free(struct grant_op *op)
{
	let_go(op);
	op->broker->n_requests--;
	if (op->charged)
		user_uncharge(op->peer->user, USER_REQUESTS, 1);
	policy_unref(op->policy);
	peer_unref(op->peer);
	free(op);
}

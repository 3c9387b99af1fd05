/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The end of a grant: whether it is still held, and the records of its orphaning and release. It
 * must never uncharge a buffer that somebody may still hold.
 */
#include <search.h>

#include "base/clock.h"
#include "ledger/state.h"
#include "util.h"

void grant_free(struct ledger *ledger, struct grant *grant)
{
	quota_close(grant->rule, grant->user, clock_usec(CLOCK_MONOTONIC));
	user_unref(grant->user);
	tdelete(grant, &ledger->by_id, grant_compare);
	if (grant->watch)
		tdelete(grant, &ledger->by_watch, grant_compare_watch);
	ledger->n_polled -= grant->polled;
	holder_remove(grant->holder, grant);
	peer_unref(grant->peer);
	close_fd(&grant->fd);
	free(grant->heap);
	free(grant->rule_name);
	free(grant);
}

void grant_uncharge(struct ledger *ledger, struct grant *grant)
{
	bool emulated = heap_is_emulated(grant->node);

	account_uncharge(&grant->rule->account, grant->size, emulated);
	account_uncharge(&grant->user->account, grant->size, emulated);
	account_uncharge(&ledger->total, grant->size, emulated);
	if (grant->state == GRANT_RESERVED || heap_end(grant->node) != HEAP_END_EVENT)
		user_uncharge(grant->user, USER_FDS, 1);
}

static int record(struct ledger *ledger, struct grant *grant, enum audit_kind kind,
	const char *reason, audit_done done)
{
	struct audit_buffer buffer;
	struct audit_event event = grant_event(grant, &buffer);
	int r;

	event.kind = kind;
	event.reason = reason;
	event.not_lost = kind == AUDIT_RELEASE; /* it is retried */
	r = audit_append(ledger->audit, &event, done, grant);
	if (r >= 0)
		ledger->n_records++;
	return r;
}

/* The timer may have stopped while the record was under way. */
static void record_later(struct ledger *ledger, struct grant *grant)
{
	TAILQ_INSERT_TAIL(&ledger->unrecorded, grant, in_ledger);
	ledger_start_timer(ledger);
}

static void on_release_recorded(void *userdata, int result)
{
	struct grant *grant = userdata;
	struct ledger *ledger = grant->holder->ledger;

	ledger->n_records--;
	if (result < 0) {
		record_later(ledger, grant);
		return;
	}
	grant_free(ledger, grant);
	ledger_go_on(ledger);
}

static void on_orphan_recorded(void *userdata, int result)
{
	struct grant *grant = userdata;
	struct ledger *ledger = grant->holder->ledger;

	ledger->n_records--;
	if (result >= 0)
		ledger_go_on(ledger);
}

/* Records a release and then frees the grant, or keeps it for another try. When many end at once,
 * some have to wait. */
static void record_release(struct ledger *ledger, struct grant *grant)
{
	int r = -EAGAIN;

	if (ledger->n_records < RELEASES_MAX)
		r = record(ledger, grant, grant->undelivered ? AUDIT_UNDELIVERED : AUDIT_RELEASE,
			grant->release_reason, on_release_recorded);

	if (r < 0)
		record_later(ledger, grant);
}

void grant_record_rest(struct ledger *ledger)
{
	struct grant *last = TAILQ_LAST(&ledger->unrecorded, grant_list), *grant = NULL;

	while (grant != last && ledger_may_record(ledger)) {
		grant = TAILQ_FIRST(&ledger->unrecorded);
		TAILQ_REMOVE(&ledger->unrecorded, grant, in_ledger);
		record_release(ledger, grant);
	}
}

void ledger_record_rest(struct ledger *ledger)
{
	struct grant *grant;

	TAILQ_FOREACH(grant, &ledger->unrecorded, in_ledger)
	{
		struct audit_buffer buffer;
		struct audit_event event = grant_event(grant, &buffer);

		event.kind = AUDIT_RELEASE;
		event.reason = grant->release_reason;
		(void)audit_append(ledger->audit, &event, NULL, NULL);
	}
}

void grant_release(struct ledger *ledger, struct grant *grant, const char *reason)
{
	if (grant->undelivered)
		reason = grant->undelivered;
	grant_remove(ledger, grant);
	grant_uncharge(ledger, grant);
	workers_close(ledger->workers, grant->user, grant->size, heap_is_emulated(grant->node),
		&grant->fd);
	grant->state = GRANT_RELEASED;
	grant->release_reason = reason;
	if (ledger->observer.released)
		ledger->observer.released(ledger->observer.userdata, grant, reason);
	record_release(ledger, grant);
}

static void orphan(struct ledger *ledger, struct grant *grant)
{
	grant->state = GRANT_ORPHANED;
	/* Nothing waits for this record: the release, which says as much, is retried until it is
	 * written. */
	record(ledger, grant, AUDIT_ORPHAN, "the peer is gone, the buffer is still held",
		on_orphan_recorded);
}

bool grant_check(struct ledger *ledger, struct grant *grant, bool peer_gone, const char *reason)
{
	bool held = true;

	switch (heap_end(grant->node)) {
	case HEAP_END_PEER:
		held = (!peer_gone && !grant->returned) ||
		       (grant->node->leases && heap_emulated_held(grant->fd));
		break;
	case HEAP_END_COUNT:
		held = heap_holders(grant->fd) != 0;
		break;
	case HEAP_END_EVENT:
		break;
	}
	if (!held) {
		grant_release(ledger, grant, reason);
		return true;
	}
	if (peer_gone && grant->state == GRANT_LIVE)
		orphan(ledger, grant);
	return false;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The data of the ledger: grants, the processes that hold them, and how they are found. It does not
 * decide that a grant begins or ends.
 */
#include <search.h>

#include "ledger/state.h"
#include "util.h"

static const char *const states[] = {
	[GRANT_RESERVED] = "reserved",
	[GRANT_LIVE] = "live",
	[GRANT_ORPHANED] = "orphaned",
	[GRANT_REVOKED] = "revoked",
	[GRANT_RELEASED] = "released",
};

const char *grant_state_name(enum grant_state state)
{
	return states[state];
}

const struct identity *grant_identity(const struct grant *grant)
{
	return &grant->peer->identity;
}

struct audit_event grant_event(const struct grant *grant, struct audit_buffer *buffer)
{
	*buffer = (struct audit_buffer){ .grant = grant->id, .inode = grant->inode };
	return (struct audit_event){
		.user = grant->user,
		.peer = &grant->peer->identity,
		.use = grant->use,
		.heap = grant->heap,
		.exposure = grant->exposure,
		.size = grant->size,
		.buffers = buffer,
		.n_buffers = 1,
		.rule = grant->rule_name,
	};
}

bool grant_is_out(const struct grant *grant)
{
	return grant->state != GRANT_RESERVED && grant->state != GRANT_RELEASED;
}

uint64_t ledger_bytes(const struct ledger *ledger)
{
	return ledger->total.bytes;
}

uint64_t ledger_count(const struct ledger *ledger)
{
	return ledger->total.buffers;
}

void ledger_each(const struct ledger *ledger,
	void (*visit)(void *userdata, const struct grant *grant), void *userdata)
{
	const struct grant *grant;

	TAILQ_FOREACH(grant, &ledger->grants, in_ledger)
	{
		if (grant_is_out(grant))
			visit(userdata, grant);
	}
}

void ledger_take(struct ledger *ledger)
{
	if (ledger->take)
		ledger->take(ledger->take_userdata);
}

bool ledger_may_record(const struct ledger *ledger)
{
	return ledger->n_records < RECORDS_MAX;
}

void ledger_go_on(struct ledger *ledger)
{
	if ((!TAILQ_EMPTY(&ledger->checks) || !TAILQ_EMPTY(&ledger->unrecorded)) &&
		ledger_may_record(ledger))
		sd_event_source_set_enabled(ledger->turn, SD_EVENT_ONESHOT);
}

void ledger_start_timer(struct ledger *ledger)
{
	if (sd_event_source_get_enabled(ledger->timer, NULL) > 0)
		return;
	sd_event_source_set_time_relative(ledger->timer, TIMER_USEC);
	sd_event_source_set_enabled(ledger->timer, SD_EVENT_ONESHOT);
}

/* --- lists and trees --- */

void grant_append(struct ledger *ledger, struct grant *grant)
{
	TAILQ_INSERT_TAIL(&ledger->grants, grant, in_ledger);
	if (ledger->reviewing && !ledger->review_at)
		ledger->review_at = grant;
}

void grant_remove(struct ledger *ledger, struct grant *grant)
{
	if (ledger->review_at == grant)
		ledger->review_at = TAILQ_NEXT(grant, in_ledger);
	TAILQ_REMOVE(&ledger->grants, grant, in_ledger);
}

int grant_compare(const void *a, const void *b)
{
	uint64_t x = ((const struct grant *)a)->id, y = ((const struct grant *)b)->id;

	return (x > y) - (x < y);
}

int grant_compare_watch(const void *a, const void *b)
{
	const struct grant *x = a, *y = b;

	if (x->node != y->node)
		return (uintptr_t)x->node < (uintptr_t)y->node ? -1 : 1;
	return (x->watch > y->watch) - (x->watch < y->watch);
}

struct grant *grant_by_id(const struct ledger *ledger, uint64_t id)
{
	struct grant wanted = { .id = id };
	struct grant *const *found = tfind(&wanted, &ledger->by_id, grant_compare);

	return found ? *found : NULL;
}

/* --- processes with grants --- */

static int compare_holders(const void *a, const void *b)
{
	const struct identity *x = &((const struct holder *)a)->peer->identity;
	const struct identity *y = &((const struct holder *)b)->peer->identity;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return x->start_time == y->start_time ? 0 : x->start_time < y->start_time ? -1 : 1;
}

struct holder *holder_find(const struct ledger *ledger, const struct peer *peer)
{
	struct holder wanted = { .peer = (struct peer *)peer };
	struct holder *const *found = tfind(&wanted, &ledger->holders, compare_holders);

	return found ? *found : NULL;
}

int holder_get(struct ledger *ledger, struct peer *peer, struct holder **ret_holder)
{
	struct holder *holder = holder_find(ledger, peer);

	if (!holder) {
		holder = calloc(1, sizeof(*holder));
		if (!holder)
			return -ENOMEM;
		holder->ledger = ledger;
		holder->peer = peer;
		if (!tsearch(holder, &ledger->holders, compare_holders)) {
			free(holder);
			return -ENOMEM;
		}
		peer_ref(peer);
	}
	*ret_holder = holder;
	return 0;
}

void holder_queue_check(struct holder *holder)
{
	if (!holder->check_queued)
		TAILQ_INSERT_TAIL(&holder->ledger->checks, holder, in_checks);
	holder->check_queued = true;
	ledger_go_on(holder->ledger);
}

void holder_forget_check(struct holder *holder)
{
	if (holder->check_queued)
		TAILQ_REMOVE(&holder->ledger->checks, holder, in_checks);
	holder->check_queued = false;
}

void holder_put(struct holder *holder)
{
	if (!LIST_EMPTY(&holder->grants))
		return;
	holder_forget_check(holder);
	tdelete(holder, &holder->ledger->holders, compare_holders);
	sd_event_source_disable_unref(holder->exit);
	peer_unref(holder->peer);
	free(holder);
}

void holder_add(struct holder *holder, struct grant *grant)
{
	grant->holder = holder;
	LIST_INSERT_HEAD(&holder->grants, grant, in_holder);
}

void holder_remove(struct holder *holder, struct grant *grant)
{
	if (holder->check_at == grant)
		holder->check_at = LIST_NEXT(grant, in_holder);
	LIST_REMOVE(grant, in_holder);
	holder_put(holder);
}

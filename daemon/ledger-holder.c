/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes with grants, and the watch for their end. It must never decide that a buffer is free.
 */
#include <search.h>

#include "ledger-internal.h"
#include "util.h"

void grant_list_append(struct grant_list *list, struct grant *grant)
{
	grant->next = NULL;
	grant->prev = list->last;
	if (list->last)
		list->last->next = grant;
	else
		list->first = grant;
	list->last = grant;
	if (list->reviewing && !list->review_at)
		list->review_at = grant;
}

void grant_list_remove(struct grant_list *list, struct grant *grant)
{
	if (list->review_at == grant)
		list->review_at = grant->next;
	if (grant->prev)
		grant->prev->next = grant->next;
	else
		list->first = grant->next;
	if (grant->next)
		grant->next->prev = grant->prev;
	else
		list->last = grant->prev;
}

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

static void queue_look(struct holder *holder)
{
	struct ledger *ledger = holder->ledger;

	holder->look_queued = true;
	holder->look_next = NULL;
	if (ledger->looks_last)
		ledger->looks_last->look_next = holder;
	else
		ledger->looks = holder;
	ledger->looks_last = holder;
	ledger_go_on(ledger);
}

static void forget_look(struct holder *holder)
{
	struct holder **at = &holder->ledger->looks, *last = NULL;

	if (!holder->look_queued)
		return;
	for (; *at != holder; at = &(*at)->look_next)
		last = *at;
	*at = holder->look_next;
	if (holder->ledger->looks_last == holder)
		holder->ledger->looks_last = last;
	holder->look_queued = false;
}

/* Frees a holder that has no grants any more. */
void holder_put(struct holder *holder)
{
	if (holder->grants)
		return;
	forget_look(holder);
	tdelete(holder, &holder->ledger->holders, compare_holders);
	sd_event_source_disable_unref(holder->exit);
	peer_unref(holder->peer);
	free(holder);
}

void holder_add(struct holder *holder, struct grant *grant)
{
	grant->holder = holder;
	grant->peer_prev = NULL;
	grant->peer_next = holder->grants;
	if (grant->peer_next)
		grant->peer_next->peer_prev = grant;
	holder->grants = grant;
}

void holder_remove(struct holder *holder, struct grant *grant)
{
	if (holder->look_at == grant)
		holder->look_at = grant->peer_next;
	if (grant->peer_prev)
		grant->peer_prev->peer_next = grant->peer_next;
	else
		holder->grants = grant->peer_next;
	if (grant->peer_next)
		grant->peer_next->peer_prev = grant->peer_prev;
	holder_put(holder);
}

/* Some of the grants that are left. Neither a release nor its record frees a grant before the event
 * loop goes round, so the list and the holder stay meanwhile. */
static void look(struct holder *holder)
{
	struct ledger *ledger = holder->ledger;

	for (int i = 0; i < LOOK_GRANTS && holder->look_at && ledger_may_record(ledger); i++) {
		struct grant *grant = holder->look_at;

		holder->look_at = grant->peer_next;
		if (grant_is_out(grant))
			grant_check(ledger, grant, holder->gone, holder->look_reason);
	}
}

/* All have been looked at. What the dead still have fds of we need none of: whoever starts
 * processes, has them pass on their buffers and end would use ours up. */
static void bury(struct holder *holder)
{
	holder->exit = sd_event_source_disable_unref(holder->exit);
	peer_bury(holder->peer);
}

void holder_look_on(struct ledger *ledger)
{
	struct holder *holder = ledger->looks;
	uint64_t now;

	if (!holder || !ledger_may_record(ledger))
		return;
	forget_look(holder);
	look(holder);
	if (holder->look_at) {
		queue_look(holder);
		return;
	}
	if (holder->gone)
		bury(holder);
	/* One who hangs up over and over gets half of the daemon's time at most for it. */
	now = ledger_now(CLOCK_MONOTONIC);
	holder->look_pause_usec = now + (now - holder->look_since_usec);
}

void holder_check(struct holder *holder, bool gone, const char *reason)
{
	uint64_t now = ledger_now(CLOCK_MONOTONIC);

	/* What is missed here the timer sees, or the heap tells. */
	if (!gone && (holder->look_at || now < holder->look_pause_usec))
		return;
	holder->gone = holder->gone || gone;
	/* A process lets go of its buffers before its end can be seen. */
	if (holder->gone)
		ledger_take(holder->ledger);
	holder->look_at = holder->grants;
	holder->look_reason = reason;
	holder->look_since_usec = now;
	look(holder);
	if (holder->look_at && !holder->look_queued)
		queue_look(holder);
	if (!holder->look_at && holder->gone)
		bury(holder);
}

static int on_exit_of_peer(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct holder *holder = userdata;

	(void)fd;
	(void)events;
	sd_event_source_set_enabled(source, SD_EVENT_OFF);
	holder->gone = true;
	holder_check(holder, true, "the peer is gone");
	return 0;
}

/* That a process has ended is told a moment after it has let go of its buffers: who asks just then
 * must not hear that they are still held. */
bool holder_gone(struct holder *holder)
{
	if (!holder->gone)
		holder->gone = !peer_alive(holder->peer);
	return holder->gone;
}

int holder_watch(struct holder *holder)
{
	if (holder->exit)
		return 0;
	if (holder->gone) {
		/* later: the commit that this is part of is not at its end */
		holder->look_at = holder->grants;
		holder->look_reason = "the peer is gone";
		if (!holder->look_queued)
			queue_look(holder);
		return 0;
	}
	return sd_event_add_io(holder->ledger->loop, &holder->exit, holder->peer->process->pidfd,
		EPOLLIN, on_exit_of_peer, holder);
}

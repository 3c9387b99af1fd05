/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When grants are checked: those of a process that ends or hangs up, some of an account that is
 * full, all of them by a timer. It works in small steps, so that no other client has to wait.
 */
#include <time.h>

#include "base/clock.h"
#include "ledger/state.h"
#include "util.h"

#define TIMER_GRANTS	  1024 /* checked at each expiry */
#define RELIEF_SCAN	  4096 /* grants passed over to find some of an account that is full */
#define RELIEF_GRANTS	  256  /* of those, how many are checked */
#define RELIEF_GRANTS_MIN 16   /* when the user has just had a full check */

/* --- the grants of one process --- */

/* Checks some of the remaining grants. A release and its record free a grant in a later iteration
 * of the event loop only, so the list and the holder stay valid here. */
static void check_some(struct holder *holder)
{
	struct ledger *ledger = holder->ledger;

	for (int i = 0; i < CHECK_GRANTS && holder->check_at && ledger_may_record(ledger); i++) {
		struct grant *grant = holder->check_at;

		holder->check_at = LIST_NEXT(grant, in_holder);
		if (grant_is_out(grant))
			grant_check(ledger, grant, holder->gone, holder->check_reason);
	}
}

/* All are checked. Close our fds for exited processes, or a client could exhaust them. */
static void bury(struct holder *holder)
{
	holder->exit = sd_event_source_disable_unref(holder->exit);
	peer_bury(holder->peer);
}

/* Continues one of the checks that are under way. */
static void check_on(struct ledger *ledger)
{
	struct holder *holder = TAILQ_FIRST(&ledger->checks);
	uint64_t now;

	if (!holder || !ledger_may_record(ledger))
		return;
	holder_forget_check(holder);
	check_some(holder);
	if (holder->check_at) {
		holder_queue_check(holder);
		return;
	}
	if (holder->gone)
		bury(holder);
	/* A client that hangs up over and over takes at most half of the daemon's time. */
	now = clock_usec(CLOCK_MONOTONIC);
	holder->check_pause_usec = now + (now - holder->check_since_usec);
}

void holder_check(struct holder *holder, bool gone, const char *reason)
{
	uint64_t now = clock_usec(CLOCK_MONOTONIC);

	/* The timer or the heap finds what is missed here. */
	if (!gone && (holder->check_at || now < holder->check_pause_usec))
		return;
	holder->gone = holder->gone || gone;
	/* A process drops its buffers before its pidfd reports its end. */
	if (holder->gone)
		ledger_take(holder->ledger);
	holder->check_at = LIST_FIRST(&holder->grants);
	holder->check_reason = reason;
	holder->check_since_usec = now;
	check_some(holder);
	if (holder->check_at)
		holder_queue_check(holder);
	else if (holder->gone)
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

/* The event loop sees an exit late. This polls the pidfd itself, so that a request does not find
 * the buffers of an exited process still held. */
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
		/* later: the commit that called this has not finished */
		holder->check_at = LIST_FIRST(&holder->grants);
		holder->check_reason = "the peer is gone";
		holder_queue_check(holder);
		return 0;
	}
	return sd_event_add_io(holder->ledger->loop, &holder->exit, holder->peer->process->pidfd,
		EPOLLIN, on_exit_of_peer, holder);
}

/* --- the grants of all --- */

/* Goes through up to scan grants, least recently checked first, and checks up to limit of those
 * charged to account (NULL for all). */
static void check_oldest(struct ledger *ledger, unsigned int scan, unsigned int limit,
	const struct account *account, const char *reason)
{
	struct grant *end = TAILQ_LAST(&ledger->grants, grant_list);

	while (end && scan-- > 0 && limit > 0 && ledger_may_record(ledger)) {
		struct grant *grant = TAILQ_FIRST(&ledger->grants);
		bool last = grant == end, gone = false;

		if ((!account || &grant->rule->account == account ||
			    &grant->user->account == account) &&
			grant_is_out(grant) && grant->polled) {
			gone = grant_check(ledger, grant, holder_gone(grant->holder), reason);
			limit--;
		}
		if (!gone) {
			grant_remove(ledger, grant);
			grant_append(ledger, grant);
		}
		if (last)
			break;
	}
}

/* After a full check its user's next one has to wait as long as the check took, so that requests at
 * a limit cannot take more than half of the daemon's time. */
void check_relieve(struct ledger *ledger, const struct account *full, struct user *user)
{
	uint64_t start = clock_usec(CLOCK_MONOTONIC), end;

	if (full == &ledger->total)
		full = NULL;
	if (start < user->pause_usec) {
		check_oldest(ledger, RELIEF_SCAN, RELIEF_GRANTS_MIN, full, "no longer held");
		return;
	}
	check_oldest(ledger, RELIEF_SCAN, RELIEF_GRANTS, full, "no longer held");
	end = clock_usec(CLOCK_MONOTONIC);
	user->pause_usec = end + (end - start);
}

int check_on_turn(sd_event_source *source, void *userdata)
{
	struct ledger *ledger = userdata;

	(void)source;
	grant_record_rest(ledger);
	check_on(ledger);
	if (!TAILQ_EMPTY(&ledger->checks))
		ledger_go_on(ledger);
	return 0;
}

int check_on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ledger *ledger = userdata;

	(void)source;
	(void)usec;
	grant_record_rest(ledger);
	check_oldest(ledger, TIMER_GRANTS, TIMER_GRANTS, NULL, "no longer held");
	ledger_go_on(ledger);
	if (ledger->n_polled || !TAILQ_EMPTY(&ledger->unrecorded))
		ledger_start_timer(ledger);
	return 0;
}

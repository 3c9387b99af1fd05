/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All grants: how they are reserved, committed and cancelled. It does not decide who may have a
 * buffer, and must never read or map one.
 */
#include "ledger/ledger.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "ledger/state.h"
#include "util.h"

/* How often one request may look for releases: enough for a client that returned a few buffers and
 * asks for as much again. Takes a few milliseconds. */
#define RELIEF_ROUNDS 32

/* --- reserve, commit, cancel --- */

/* A process may have become another user or another program since its first grant. While it does
 * not change, its grants share one description. All of them share the process. */
static struct peer *described(const struct holder *holder, struct peer *peer)
{
	struct grant *newest = LIST_FIRST(&holder->grants);
	struct peer *last = newest ? newest->peer : holder->peer;

	if (peer_same(last, peer))
		return peer_ref(last);
	peer_share(peer, holder->peer);
	return peer_ref(peer);
}

static struct grant *grant_new(struct holder *holder, struct peer *peer,
	const struct request *request, const struct decision *decision, const struct heap *heap,
	uint64_t size)
{
	struct grant *grant = calloc(1, sizeof(*grant));

	if (!grant)
		return NULL;
	grant->heap = strdup(decision->heap);
	grant->rule_name = strdup(decision->rule->name);
	if (!grant->heap || !grant->rule_name) {
		free(grant->heap);
		free(grant->rule_name);
		free(grant);
		return NULL;
	}
	grant->fd = -1;
	grant->node = heap;
	grant->size = size;
	grant->asked = request->size;
	grant->exposure = decision->exposure;
	grant->transport = request->transport;
	grant->read_only = request->read_only;
	grant->accept_shared = request->accept_shared;
	copy_string(grant->use, sizeof(grant->use), request->use);
	copy_string(grant->label, sizeof(grant->label), request->label);
	grant->peer = described(holder, peer);
	holder_add(holder, grant);
	return grant;
}

static enum ccbuf_verdict make_grants(struct ledger *ledger, struct peer *peer,
	const struct request *request, const struct decision *decision, const struct heap *heap,
	uint64_t size, struct rule_account *rule, struct grant **ret_grants)
{
	bool emulated = heap_is_emulated(heap);
	struct user *user = peer->user;

	for (uint32_t i = 0; i < request->count; i++) {
		struct holder *holder = NULL;
		struct grant *grant = NULL;

		if (holder_get(ledger, peer, &holder) >= 0)
			grant = grant_new(holder, peer, request, decision, heap, size);
		if (!grant) {
			if (holder)
				holder_put(holder);
			while (i > 0)
				ledger_cancel(ledger, ret_grants[--i]);
			return CCBUF_INTERNAL;
		}
		grant->rule = rule_account_ref(rule);
		grant->user = user_ref(user);
		account_charge(&rule->account, size, emulated);
		account_charge(&user->account, size, emulated);
		account_charge(&ledger->total, size, emulated);
		/* at least until it is handed out; quota_check() made sure */
		user_force(user, USER_FDS, 1);
		grant_append(ledger, grant);
		ret_grants[i] = grant;
	}
	return CCBUF_GRANTED;
}

static struct quota quota_of(struct ledger *ledger, struct user *user, struct account *rule,
	const struct decision *decision, const struct policy_settings *settings,
	const struct heap *heap, uint64_t size, uint32_t count)
{
	return (struct quota){
		.rule = rule,
		.user = user,
		.total = &ledger->total,
		.decision = decision,
		.settings = settings,
		.size = size,
		.count = count,
		.emulated = heap_is_emulated(heap),
	};
}

enum ccbuf_verdict ledger_reserve(struct ledger *ledger, struct peer *peer,
	const struct request *request, const struct decision *decision,
	const struct policy_settings *settings, const struct heap *heap, uint64_t size,
	struct grant **ret_grants, char reason[static LEDGER_REASON_MAX + 1])
{
	const struct policy_limits *limits = &decision->rule->limits;
	uint64_t now = clock_usec(CLOCK_MONOTONIC);
	struct rule_account *rule;
	struct account *full;
	struct quota quota;
	enum ccbuf_verdict verdict;

	verdict = quota_open(ledger, &peer->identity, peer->user, decision, now, &rule, reason);
	if (verdict != CCBUF_GRANTED)
		return verdict;
	quota = quota_of(
		ledger, peer->user, &rule->account, decision, settings, heap, size, request->count);
	verdict = quota_check(&quota, now, &full, reason);
	if (full) {
		ledger_take(ledger);
		verdict = quota_check(&quota, now, &full, reason);
	}
	/* The timer is too late for a client that returns buffers and asks again at once. */
	for (int i = 0; i < RELIEF_ROUNDS && full && verdict != CCBUF_GRANTED; i++) {
		uint64_t before = full->buffers;

		check_relieve(ledger, full, peer->user);
		if (full->buffers == before)
			break;
		verdict = quota_check(&quota, now, &full, reason);
	}
	if (verdict == CCBUF_GRANTED) {
		/* drop the reason of a limit that holds now */
		reason[0] = 0;
		account_take_token(&rule->account, limits->rate, limits->rate_usec, now);
		verdict =
			make_grants(ledger, peer, request, decision, heap, size, rule, ret_grants);
		if (verdict == CCBUF_INTERNAL)
			snprintf(reason, LEDGER_REASON_MAX + 1, "out of memory");
	}
	quota_close(rule, peer->user, now);
	return verdict;
}

enum ccbuf_verdict ledger_would_reserve(struct ledger *ledger, const struct identity *peer,
	struct user *user, const struct decision *decision, const struct policy_settings *settings,
	const struct heap *heap, uint64_t size, uint32_t count,
	char reason[static LEDGER_REASON_MAX + 1])
{
	uint64_t now = clock_usec(CLOCK_MONOTONIC);
	struct rule_account *rule;
	struct account *full;
	struct quota quota;
	enum ccbuf_verdict verdict;

	verdict = quota_open(ledger, peer, user, decision, now, &rule, reason);
	if (verdict != CCBUF_GRANTED)
		return verdict;
	quota = quota_of(ledger, user, &rule->account, decision, settings, heap, size, count);
	verdict = quota_check(&quota, now, &full, reason);
	quota_close(rule, user, now);
	return verdict;
}

/* Where the heap reports the end of a buffer, the daemon must not hold it. If the peer has dropped
 * the buffer already, this close frees it, which takes long: a thread does it. Otherwise the close
 * is quick. */
static void let_go(struct ledger *ledger, const struct grant *grant, int *fd)
{
	if (heap_end(grant->node) == HEAP_END_EVENT && grant->size > WORKERS_LARGE &&
		heap_holders(*fd) == 0)
		workers_close(ledger->workers, grant->user, grant->size, false, fd);
	else
		close_fd(fd);
}

void ledger_commit(struct ledger *ledger, struct grant *grant, int *fd)
{
	struct holder *holder = grant->holder;
	int r;

	assert(grant->state == GRANT_RESERVED);
	grant->state = GRANT_LIVE;
	grant->since_usec = clock_usec(CLOCK_REALTIME);
	/* The pidfd is readable at once if the peer exited since the last check. If it cannot be
	 * watched, the timer checks the grant. */
	r = holder_watch(holder);
	grant->polled = r < 0 || heap_end(grant->node) != HEAP_END_EVENT;
	if (grant->polled) {
		ledger->n_polled++;
		ledger_start_timer(ledger);
	}
	if (ledger->observer.added)
		ledger->observer.added(ledger->observer.userdata, grant);
	if (heap_end(grant->node) != HEAP_END_EVENT) {
		grant->fd = steal_fd(fd);
		return;
	}
	user_uncharge(grant->user, USER_FDS, 1);
	let_go(ledger, grant, fd);
}

void ledger_cancel(struct ledger *ledger, struct grant *grant)
{
	assert(grant->state == GRANT_RESERVED);
	grant_remove(ledger, grant);
	grant_uncharge(ledger, grant);
	grant_free(ledger, grant);
}

/* --- the ledger --- */

int ledger_new(sd_event *loop, struct audit *audit, struct ledger **ret_ledger)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));
	int r = ledger ? 0 : -ENOMEM;

	if (r >= 0) {
		ledger->loop = loop;
		TAILQ_INIT(&ledger->grants);
		TAILQ_INIT(&ledger->unrecorded);
		TAILQ_INIT(&ledger->checks);
		ledger->audit = audit;
		/* A record stands for at most REQUEST_COUNT_MAX grants, so no number above this is
		 * in the trail, whichever daemon wrote it. */
		ledger->last_id = audit_sequence(audit) * REQUEST_COUNT_MAX;
		ledger->recorded_id = ledger->last_id;
	}
	if (r >= 0)
		r = sd_event_add_time_relative(loop, &ledger->timer, CLOCK_MONOTONIC, TIMER_USEC,
			TIMER_USEC / 4, check_on_timer, ledger);
	if (r >= 0)
		r = sd_event_source_set_enabled(ledger->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_defer(loop, &ledger->turn, check_on_turn, ledger);
	if (r >= 0)
		r = sd_event_source_set_enabled(ledger->turn, SD_EVENT_OFF);
	if (r < 0) {
		ledger_free(ledger);
		return r;
	}
	*ret_ledger = ledger;
	return 0;
}

struct ledger *ledger_free(struct ledger *ledger)
{
	struct grant *grant;

	if (!ledger)
		return NULL;
	while ((grant = TAILQ_FIRST(&ledger->grants))) {
		grant_remove(ledger, grant);
		grant_uncharge(ledger, grant);
		grant_free(ledger, grant);
	}
	while ((grant = TAILQ_FIRST(&ledger->unrecorded))) {
		TAILQ_REMOVE(&ledger->unrecorded, grant, in_ledger);
		grant_free(ledger, grant);
	}
	rule_accounts_done(&ledger->rules);
	sd_event_source_disable_unref(ledger->timer);
	sd_event_source_disable_unref(ledger->turn);
	free(ledger);
	return NULL;
}

void ledger_set_workers(struct ledger *ledger, struct workers *workers)
{
	ledger->workers = workers;
}

void ledger_set_observer(struct ledger *ledger, const struct ledger_observer *observer)
{
	ledger->observer = *observer;
}

void ledger_set_source(struct ledger *ledger, void (*take)(void *userdata), void *userdata)
{
	ledger->take = take;
	ledger->take_userdata = userdata;
}

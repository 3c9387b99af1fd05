/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All grants. It must never decide who may have a buffer, and never read or map one.
 */
#include "ledger.h"

#include <assert.h>
#include <search.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "ledger-internal.h"
#include "util.h"

/* How often one request may look for releases: enough for one who returned a few buffers and asks
 * for as much again, and a few milliseconds. */
#define RELIEF_ROUNDS 32

static const char *const states[] = {
	[GRANT_RESERVED] = "reserved",
	[GRANT_LIVE] = "live",
	[GRANT_ORPHANED] = "orphaned",
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

uint64_t ledger_now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* --- reserve, commit, cancel --- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && streq(a, b));
}

/* A process may have become another user or another program since its first grant. Where it has
 * not, its grants share one description, and so the fds of one. */
static struct peer *described(struct peer *known, struct peer *peer)
{
	bool same =
		known->identity.uid == peer->identity.uid &&
		known->identity.gid == peer->identity.gid &&
		known->identity.strong == peer->identity.strong &&
		known->exe_dev == peer->exe_dev && known->exe_ino == peer->exe_ino &&
		known->identity.n_groups == peer->identity.n_groups &&
		(!peer->identity.n_groups || !memcmp(known->identity.groups, peer->identity.groups,
						     peer->identity.n_groups * sizeof(gid_t))) &&
		same_text(known->identity.cgroup, peer->identity.cgroup);

	return peer_ref(same ? known : peer);
}

static struct grant *grant_new(struct holder *holder, struct peer *peer,
	const struct request *request, const struct decision *decision, uint64_t size)
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
	grant->size = size;
	grant->exposure = decision->exposure;
	grant->transport = request->transport;
	grant->read_only = request->read_only;
	copy_string(grant->use, sizeof(grant->use), request->use);
	copy_string(grant->label, sizeof(grant->label), request->label);
	grant->peer = described(holder->peer, peer);
	holder_add(holder, grant);
	return grant;
}

static enum verdict make_grants(struct ledger *ledger, struct peer *peer,
	const struct request *request, const struct decision *decision, uint64_t size,
	struct account *rule, struct account *user, struct grant **ret_grants)
{
	for (uint32_t i = 0; i < request->count; i++) {
		struct holder *holder = NULL;
		struct grant *grant = NULL;

		if (holder_get(ledger, peer, &holder) >= 0)
			grant = grant_new(holder, peer, request, decision, size);
		if (!grant) {
			if (holder)
				holder_put(holder);
			while (i > 0)
				ledger_cancel(ledger, ret_grants[--i]);
			return VERDICT_INTERNAL;
		}
		grant->rule = rule;
		grant->user = user;
		rule->refs++;
		user->refs++;
		account_charge(rule, size, 1);
		account_charge(user, size, 1);
		account_charge(&ledger->total, size, 1);
		grant_list_append(&ledger->grants, grant);
		ret_grants[i] = grant;
	}
	return VERDICT_GRANTED;
}

/* Of an emulated buffer no fd is kept. */
static uint64_t keep_max(const struct ledger *ledger, const struct decision *decision)
{
	return decision->exposure == EXPOSURE_EMULATED ? UINT64_MAX : ledger->keep_max;
}

enum verdict ledger_reserve(struct ledger *ledger, struct peer *peer, const struct request *request,
	const struct decision *decision, const struct policy_settings *settings, uint64_t size,
	struct grant **ret_grants, char reason[static LEDGER_REASON_MAX + 1])
{
	uint64_t now = ledger_now(CLOCK_MONOTONIC);
	struct account *user = NULL, *rule = NULL, *full;
	struct quota quota;
	enum verdict verdict;

	verdict = quota_open(ledger, &peer->identity, decision, now, &user, &rule, reason);
	if (verdict == VERDICT_GRANTED) {
		quota = (struct quota){ .rule = rule,
			.user = user,
			.total = &ledger->total,
			.decision = decision,
			.settings = settings,
			.size = size,
			.keep_max = keep_max(ledger, decision),
			.count = request->count };
		verdict = quota_check(&quota, now, &full, reason);
		/* The timer comes too late for one who gives back and asks again at once. */
		for (int i = 0; i < RELIEF_ROUNDS && full && verdict != VERDICT_GRANTED; i++) {
			uint64_t before = full->buffers;

			sweep_relieve(ledger, full, user);
			if (full->buffers == before)
				break;
			verdict = quota_check(&quota, now, &full, reason);
		}
		/* of a limit that held in the end */
		if (verdict == VERDICT_GRANTED)
			reason[0] = 0;
	}
	if (verdict == VERDICT_GRANTED) {
		const struct policy_limits *limits = &decision->rule->limits;

		account_take_token(rule, limits->rate, limits->rate_usec, now);
		verdict =
			make_grants(ledger, peer, request, decision, size, rule, user, ret_grants);
		if (verdict == VERDICT_INTERNAL)
			snprintf(reason, LEDGER_REASON_MAX + 1, "out of memory");
	}
	accounts_put(ledger->accounts, rule, now);
	accounts_put(ledger->accounts, user, now);
	return verdict;
}

enum verdict ledger_would_reserve(struct ledger *ledger, const struct identity *peer,
	const struct decision *decision, const struct policy_settings *settings, uint64_t size,
	uint32_t count, char reason[static LEDGER_REASON_MAX + 1])
{
	uint64_t now = ledger_now(CLOCK_MONOTONIC);
	struct account *user = NULL, *rule = NULL, *full;
	enum verdict verdict;

	verdict = quota_open(ledger, peer, decision, now, &user, &rule, reason);
	if (verdict == VERDICT_GRANTED) {
		struct quota quota = { .rule = rule,
			.user = user,
			.total = &ledger->total,
			.decision = decision,
			.settings = settings,
			.size = size,
			.keep_max = keep_max(ledger, decision),
			.count = count };

		verdict = quota_check(&quota, now, &full, reason);
	}
	accounts_put(ledger->accounts, rule, now);
	accounts_put(ledger->accounts, user, now);
	return verdict;
}

int ledger_number(struct ledger *ledger, struct grant *const *grants, uint32_t count)
{
	ledger->n_numbering += count;
	for (uint32_t i = 0; i < count; i++) {
		grants[i]->id = ++ledger->last_id;
		if (!tsearch(grants[i], &ledger->by_id, grant_compare)) {
			grants[i]->id = 0;
			ledger_numbered(ledger, grants, count, NULL);
			return -ENOMEM;
		}
	}
	return 0;
}

void ledger_numbered(
	struct ledger *ledger, struct grant *const *grants, uint32_t count, const uint64_t *inodes)
{
	ledger->n_numbering -= count;
	for (uint32_t i = 0; i < count; i++) {
		struct grant *grant = grants[i];

		if (inodes) {
			grant->inode = inodes[i];
			if (grant->id > ledger->recorded_id)
				ledger->recorded_id = grant->id;
		} else if (grant->id) {
			tdelete(grant, &ledger->by_id, grant_compare);
			grant->id = 0;
		}
	}
	/* Numbers that are in no record are used again, or a full disk would use up those of the
	 * next start. */
	if (ledger->n_numbering == 0)
		ledger->last_id = ledger->recorded_id;
}

void ledger_commit(struct ledger *ledger, struct grant *grant, int *fd)
{
	struct holder *holder = grant->holder;

	assert(grant->state == GRANT_RESERVED);
	grant->state = GRANT_LIVE;
	grant->fd = steal_fd(fd);
	grant->since_usec = ledger_now(CLOCK_REALTIME);
	/* Readable at once when the peer died between our last look and now; if it cannot be
	 * watched, the timer still looks. */
	(void)holder_watch(holder);
	sweep_start(ledger);
	if (ledger->observer.added)
		ledger->observer.added(ledger->observer.userdata, grant);
}

void ledger_cancel(struct ledger *ledger, struct grant *grant)
{
	assert(grant->state == GRANT_RESERVED);
	grant_list_remove(&ledger->grants, grant);
	grant_uncharge(ledger, grant);
	grant_free(ledger, grant);
}

int ledger_release(struct ledger *ledger, const struct peer *peer, uint64_t id)
{
	struct holder *holder = holder_find(ledger, peer);
	struct grant wanted = { .id = id };
	struct grant *const *found = tfind(&wanted, &ledger->by_id, grant_compare);
	struct grant *grant = found ? *found : NULL;

	if (!grant || grant->holder != holder || grant->state != GRANT_LIVE)
		return -ENOENT;
	/* The peer's word is enough where nothing can be counted. */
	grant->returned = true;
	if (ledger->n_records >= RELEASES_MAX)
		return 1;
	return grant_check(ledger, grant, false, "released by the peer") ? 0 : 1;
}

void ledger_check_peer(struct ledger *ledger, const struct peer *peer)
{
	struct holder *holder = holder_find(ledger, peer);

	if (holder)
		holder_check(holder, holder->gone || !peer_alive(peer), "no longer held");
}

/* --- the ledger --- */

static int on_turn(sd_event_source *source, void *userdata)
{
	struct ledger *ledger = userdata;

	(void)source;
	grant_record_rest(ledger);
	holder_look_on(ledger);
	if (ledger->looks)
		ledger_go_on(ledger);
	return 0;
}

static uint64_t fds_max(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? 1024 : limit.rlim_cur;
}

int ledger_new(sd_event *loop, struct audit *audit, struct ledger **ret_ledger)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));
	int r = ledger ? 0 : -ENOMEM;

	if (r >= 0) {
		ledger->keep_max = fds_max() / 2;
		ledger->loop = loop;
		ledger->audit = audit;
		ledger->accounts = accounts_new();
		r = ledger->accounts ? 0 : -ENOMEM;
		/* A record stands for REQUEST_COUNT_MAX grants at most, so numbers from here on are
		 * not in the trail yet, whichever daemon wrote it. */
		ledger->last_id = audit_sequence(audit) * REQUEST_COUNT_MAX;
		ledger->recorded_id = ledger->last_id;
	}
	if (r >= 0)
		r = sd_event_add_time_relative(loop, &ledger->timer, CLOCK_MONOTONIC, SWEEP_USEC,
			SWEEP_USEC / 4, sweep_on_timer, ledger);
	if (r >= 0)
		r = sd_event_source_set_enabled(ledger->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_defer(loop, &ledger->turn, on_turn, ledger);
	if (r >= 0)
		r = sd_event_source_set_enabled(ledger->turn, SD_EVENT_OFF);
	if (r < 0) {
		ledger_free(ledger);
		return r;
	}
	*ret_ledger = ledger;
	return 0;
}

static void free_list(struct ledger *ledger, struct grant_list *list)
{
	while (list->first) {
		struct grant *grant = list->first;

		grant_list_remove(list, grant);
		grant_free(ledger, grant);
	}
}

struct ledger *ledger_free(struct ledger *ledger)
{
	if (!ledger)
		return NULL;
	free_list(ledger, &ledger->grants);
	free_list(ledger, &ledger->unrecorded);
	accounts_free(ledger->accounts);
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
	for (const struct grant *grant = ledger->grants.first; grant; grant = grant->next)
		if (grant->state == GRANT_LIVE || grant->state == GRANT_ORPHANED)
			visit(userdata, grant);
}

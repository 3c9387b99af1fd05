/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All grants. It must never decide who may have a buffer, and never read or map one.
 */
#include "ledger.h"

#include <assert.h>
#include <search.h>
#include <time.h>

#include "ledger-internal.h"
#include "util.h"

#define SWEEP_USEC	    1000000 /* how often the timer looks while there are grants */
#define SWEEP_GRANTS	    1024    /* how many it looks at */
#define PRESSURE_SCAN	    4096    /* grants passed over to find some of an account that is full */
#define PRESSURE_GRANTS	    256	    /* of those, how many are looked at */
#define PRESSURE_GRANTS_MIN 16	    /* when the user has just had a full look */

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
	return &grant->holder->peer->identity;
}

uint64_t ledger_now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* --- lists --- */

static void list_append(struct grant_list *list, struct grant *grant)
{
	grant->next = NULL;
	grant->prev = list->last;
	if (list->last)
		list->last->next = grant;
	else
		list->first = grant;
	list->last = grant;
}

static void list_remove(struct grant_list *list, struct grant *grant)
{
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

static struct holder *find_holder(const struct ledger *ledger, const struct peer *peer)
{
	struct holder wanted = { .peer = (struct peer *)peer };
	struct holder *const *found = tfind(&wanted, &ledger->holders, compare_holders);

	return found ? *found : NULL;
}

static int get_holder(struct ledger *ledger, struct peer *peer, struct holder **ret_holder)
{
	struct holder *holder = find_holder(ledger, peer);

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

/* Frees a holder that has no grants any more. */
static void put_holder(struct holder *holder)
{
	if (holder->grants)
		return;
	tdelete(holder, &holder->ledger->holders, compare_holders);
	sd_event_source_disable_unref(holder->exit);
	peer_unref(holder->peer);
	free(holder);
}

static void holder_remove(struct holder *holder, struct grant *grant)
{
	struct grant **at = &holder->grants;

	while (*at != grant)
		at = &(*at)->peer_next;
	*at = grant->peer_next;
	put_holder(holder);
}

/* --- a grant's end --- */

static void free_grant(struct ledger *ledger, struct grant *grant)
{
	uint64_t now = ledger_now(CLOCK_MONOTONIC);

	accounts_put(ledger->accounts, grant->rule, now);
	accounts_put(ledger->accounts, grant->user, now);
	holder_remove(grant->holder, grant);
	close_fd(&grant->fd);
	free(grant->heap);
	free(grant->rule_name);
	free(grant);
}

static void uncharge(struct ledger *ledger, struct grant *grant)
{
	account_uncharge(grant->rule, grant->size, 1);
	account_uncharge(grant->user, grant->size, 1);
	account_uncharge(&ledger->total, grant->size, 1);
}

static int record(struct ledger *ledger, struct grant *grant, enum audit_kind kind,
	const char *reason, audit_done done)
{
	struct audit_buffer buffer = { .grant = grant->id, .inode = grant->inode };
	struct audit_event event = {
		.kind = kind,
		.peer = &grant->holder->peer->identity,
		.use = grant->use,
		.heap = grant->heap,
		.exposure = grant->exposure,
		.size = grant->size,
		.buffers = &buffer,
		.n_buffers = 1,
		.rule = grant->rule_name,
		.reason = reason,
	};

	return audit_append(ledger->audit, &event, done, grant);
}

static void on_release_recorded(void *userdata, int result)
{
	struct grant *grant = userdata;
	struct ledger *ledger = grant->holder->ledger;

	if (result < 0) {
		list_append(&ledger->unrecorded, grant);
		return;
	}
	free_grant(ledger, grant);
}

static void record_release(struct ledger *ledger, struct grant *grant)
{
	int r = record(ledger, grant, AUDIT_RELEASE, grant->release_reason, on_release_recorded);

	if (r < 0)
		list_append(&ledger->unrecorded, grant);
}

static void release(struct ledger *ledger, struct grant *grant, const char *reason)
{
	list_remove(&ledger->grants, grant);
	uncharge(ledger, grant);
	close_fd(&grant->fd);
	grant->state = GRANT_RELEASED;
	grant->release_reason = reason;
	if (ledger->observer.released)
		ledger->observer.released(ledger->observer.userdata, grant, reason);
	record_release(ledger, grant);
}

static void orphan(struct ledger *ledger, struct grant *grant)
{
	grant->state = GRANT_ORPHANED;
	/* The release will be recorded for certain, and says as much: nothing waits for this one.
	 */
	record(ledger, grant, AUDIT_ORPHAN, "the peer is gone, the buffer is still held", NULL);
}

/* Looks whether somebody but us still holds the buffer, and lets go of it if not. True when it is
 * released. What cannot be counted stays charged as long as its peer lives. */
static bool check(struct ledger *ledger, struct grant *grant, bool peer_gone, const char *reason)
{
	bool held = grant->fd >= 0 ? heap_holders(grant->fd) != 0 : !peer_gone;

	if (!held) {
		release(ledger, grant, reason);
		return true;
	}
	if (peer_gone && grant->state == GRANT_LIVE)
		orphan(ledger, grant);
	return false;
}

static void check_holder(struct holder *holder, bool gone, const char *reason)
{
	struct ledger *ledger = holder->ledger;
	struct grant *grant, *next;

	/* Neither a release nor its record frees a grant before the event loop goes round, so the
	 * list and the holder stay while we walk. */
	for (grant = holder->grants; grant; grant = next) {
		next = grant->peer_next;
		if (grant->state == GRANT_LIVE || grant->state == GRANT_ORPHANED)
			check(ledger, grant, gone, reason);
	}
}

static int on_exit_of_peer(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct holder *holder = userdata;

	(void)fd;
	(void)events;
	sd_event_source_set_enabled(source, SD_EVENT_OFF);
	holder->gone = true;
	check_holder(holder, true, "the peer is gone");
	return 0;
}

/* --- sweeps --- */

/* Looks at up to scan grants, the one seen longest ago first, and checks up to limit of those that
 * are charged to account (NULL for all). */
static void sweep(struct ledger *ledger, unsigned int scan, unsigned int limit,
	const struct account *account, const char *reason)
{
	struct grant *end = ledger->grants.last;

	while (ledger->grants.first && scan-- > 0 && limit > 0) {
		struct grant *grant = ledger->grants.first;
		bool last = grant == end, gone = false;

		if ((!account || grant->rule == account || grant->user == account) &&
			(grant->state == GRANT_LIVE || grant->state == GRANT_ORPHANED)) {
			gone = check(ledger, grant, grant->holder->gone, reason);
			limit--;
		}
		if (!gone) {
			list_remove(&ledger->grants, grant);
			list_append(&ledger->grants, grant);
		}
		if (last)
			break;
	}
}

/* A full look costs its user a pause as long as the look, so that asking over and over at a limit
 * cannot take more than half of the daemon's time. */
static void relieve(struct ledger *ledger, struct account *full, struct account *user)
{
	uint64_t start = ledger_now(CLOCK_MONOTONIC), end;

	if (full == &ledger->total)
		full = NULL;
	if (start < user->pause_until_usec) {
		sweep(ledger, PRESSURE_SCAN, PRESSURE_GRANTS_MIN, full, "no longer held");
		return;
	}
	sweep(ledger, PRESSURE_SCAN, PRESSURE_GRANTS, full, "no longer held");
	end = ledger_now(CLOCK_MONOTONIC);
	user->pause_until_usec = end + (end - start);
}

static int arm_timer(struct ledger *ledger)
{
	sd_event_source_set_time_relative(ledger->timer, SWEEP_USEC);
	return sd_event_source_set_enabled(ledger->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ledger *ledger = userdata;
	struct grant_list unrecorded = ledger->unrecorded;

	(void)source;
	(void)usec;
	ledger->unrecorded = (struct grant_list){ 0 };
	while (unrecorded.first) {
		struct grant *grant = unrecorded.first;

		list_remove(&unrecorded, grant);
		record_release(ledger, grant);
	}
	sweep(ledger, SWEEP_GRANTS, SWEEP_GRANTS, NULL, "no longer held");
	return ledger->grants.first || ledger->unrecorded.first ? arm_timer(ledger) : 0;
}

/* --- reserve, commit, cancel --- */

static struct grant *grant_new(struct ledger *ledger, struct holder *holder,
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
	grant->id = ++ledger->last_id;
	grant->holder = holder;
	grant->peer_next = holder->grants;
	holder->grants = grant;
	return grant;
}

static enum verdict make_grants(struct ledger *ledger, struct peer *peer,
	const struct request *request, const struct decision *decision, uint64_t size,
	struct account *rule, struct account *user, struct grant **ret_grants)
{
	for (uint32_t i = 0; i < request->count; i++) {
		struct holder *holder = NULL;
		struct grant *grant = NULL;

		if (get_holder(ledger, peer, &holder) >= 0)
			grant = grant_new(ledger, holder, request, decision, size);
		if (!grant) {
			if (holder)
				put_holder(holder);
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
		list_append(&ledger->grants, grant);
		ret_grants[i] = grant;
	}
	return VERDICT_GRANTED;
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
			.count = request->count };
		verdict = quota_check(&quota, now, &full, reason);
		/* The timer comes too late for one who gives back and asks again at once. */
		while (full && verdict != VERDICT_GRANTED) {
			uint64_t before = full->buffers;

			relieve(ledger, full, user);
			if (full->buffers == before)
				break;
			verdict = quota_check(&quota, now, &full, reason);
		}
	}
	if (verdict == VERDICT_GRANTED) {
		const struct policy_limits *limits = &decision->rule->limits;

		account_take_token(rule, limits->rate, limits->rate_usec, now);
		verdict =
			make_grants(ledger, peer, request, decision, size, rule, user, ret_grants);
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
			.count = count };

		verdict = quota_check(&quota, now, &full, reason);
	}
	accounts_put(ledger->accounts, rule, now);
	accounts_put(ledger->accounts, user, now);
	return verdict;
}

void ledger_commit(struct ledger *ledger, struct grant *grant, int *fd)
{
	struct holder *holder = grant->holder;

	assert(grant->state == GRANT_RESERVED);
	grant->state = GRANT_LIVE;
	grant->fd = steal_fd(fd);
	grant->since_usec = ledger_now(CLOCK_REALTIME);
	/* Readable at once when the peer died between our last look and now. */
	if (!holder->exit && sd_event_add_io(ledger->loop, &holder->exit, holder->peer->pidfd,
				     EPOLLIN, on_exit_of_peer, holder) < 0)
		holder->exit =
			NULL; /* the timer still looks, and an exit frees the buffer itself */
	if (sd_event_source_get_enabled(ledger->timer, NULL) == 0)
		arm_timer(ledger);
	if (ledger->observer.added)
		ledger->observer.added(ledger->observer.userdata, grant);
}

void ledger_cancel(struct ledger *ledger, struct grant *grant)
{
	assert(grant->state == GRANT_RESERVED);
	/* Requests that are in no record must not use numbers up. */
	if (grant->inode == 0 && grant->id == ledger->last_id)
		ledger->last_id--;
	list_remove(&ledger->grants, grant);
	uncharge(ledger, grant);
	free_grant(ledger, grant);
}

int ledger_release(struct ledger *ledger, const struct peer *peer, uint64_t id)
{
	struct holder *holder = find_holder(ledger, peer);
	struct grant *grant = holder ? holder->grants : NULL;

	while (grant && grant->id != id)
		grant = grant->peer_next;
	if (!grant || grant->state != GRANT_LIVE)
		return -ENOENT;
	/* The peer's word is enough where nothing can be counted. */
	if (check(ledger, grant, grant->fd < 0, "released by the peer"))
		return 0;
	return 1;
}

void ledger_check_peer(struct ledger *ledger, const struct peer *peer)
{
	struct holder *holder = find_holder(ledger, peer);

	if (holder)
		check_holder(holder, holder->gone || !peer_alive(peer), "no longer held");
}

/* --- the ledger --- */

int ledger_new(sd_event *loop, struct audit *audit, struct ledger **ret_ledger)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));
	int r = ledger ? 0 : -ENOMEM;

	if (r >= 0) {
		ledger->loop = loop;
		ledger->audit = audit;
		ledger->accounts = accounts_new();
		r = ledger->accounts ? 0 : -ENOMEM;
		/* A record stands for REQUEST_COUNT_MAX grants at most, so numbers from here on are
		 * not in the trail yet, whichever daemon wrote it. */
		ledger->last_id = audit_sequence(audit) * REQUEST_COUNT_MAX;
	}
	if (r >= 0)
		r = sd_event_add_time_relative(loop, &ledger->timer, CLOCK_MONOTONIC, SWEEP_USEC,
			SWEEP_USEC / 4, on_timer, ledger);
	if (r >= 0)
		r = sd_event_source_set_enabled(ledger->timer, SD_EVENT_OFF);
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

		list_remove(list, grant);
		free_grant(ledger, grant);
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
	free(ledger);
	return NULL;
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

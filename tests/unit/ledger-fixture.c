/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A real ledger with a real trail. It is linked with --wrap for what is simulated.
 */
#include "ledger-fixture.h"

#include <limits.h>

#include "ledger/state.h"

#define FDS_MAX 1024

struct ledger_fixture lf;
const struct heap counted_heap = { .name = (char *)"counted", .fd = INT_MAX };
const struct heap mute_heap = { .name = (char *)"mute", .fd = -1 };
const struct heap telling_heap = { .name = (char *)"telling", .fd = INT_MAX, .module = true };
const struct heap other_telling_heap = { .name = (char *)"other", .fd = INT_MAX, .module = true };
static int64_t holders[FDS_MAX];
static int allocations = -1; /* until one fails */

int64_t __wrap_heap_holders(int fd);
int64_t __wrap_heap_holders(int fd)
{
	lf.looks++;
	ck_assert_int_lt(fd, FDS_MAX);
	return holders[fd];
}

int __real_sd_event_source_set_time_relative(sd_event_source *source, uint64_t usec);
int __wrap_sd_event_source_set_time_relative(sd_event_source *source, uint64_t usec);
int __wrap_sd_event_source_set_time_relative(sd_event_source *source, uint64_t usec)
{
	return __real_sd_event_source_set_time_relative(source, usec / 1000);
}

int __real_sd_event_add_io(sd_event *loop, sd_event_source **source, int fd, uint32_t events,
	sd_event_io_handler_t handler, void *userdata);
int __wrap_sd_event_add_io(sd_event *loop, sd_event_source **source, int fd, uint32_t events,
	sd_event_io_handler_t handler, void *userdata);
int __wrap_sd_event_add_io(sd_event *loop, sd_event_source **source, int fd, uint32_t events,
	sd_event_io_handler_t handler, void *userdata)
{
	if (lf.no_exit_watch)
		return -ENOSPC;
	return __real_sd_event_add_io(loop, source, fd, events, handler, userdata);
}

static bool allocation_fails(void)
{
	return allocations >= 0 && allocations-- == 0;
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
	return allocation_fails() ? NULL : __real_calloc(count, size);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
	return allocation_fails() ? NULL : __real_strdup(text);
}

static void on_added(void *userdata, const struct grant *grant)
{
	(void)userdata;
	ck_assert_state(grant->state, GRANT_LIVE);
	lf.added++;
}

static void on_revoked(void *userdata, const struct grant *grant)
{
	(void)userdata;
	ck_assert_state(grant->state, GRANT_REVOKED);
	lf.revoked++;
}

static void on_released(void *userdata, const struct grant *grant, const char *reason)
{
	(void)userdata;
	ck_assert_state(grant->state, GRANT_RELEASED);
	lf.released++;
	lf.reason = reason;
}

void ledger_set_up(const char *policy)
{
	struct ledger_observer observer = {
		.added = on_added, .revoked = on_revoked, .released = on_released
	};

	fixture_set_up();
	lf = (struct ledger_fixture){ .allocations = -1, .heap = &counted_heap };
	ck_assert_int_eq(ledger_new(fixture.loop, fixture.audit, &lf.ledger), 0);
	ledger_set_observer(lf.ledger, &observer);
	lf.policy = fixture_policy(policy);
	lf.settings = *policy_settings(lf.policy);
}

void ledger_tear_down(void)
{
	fixture_audit_heal();
	fixture_end_audit();
	lf.ledger = ledger_free(lf.ledger);
	lf.policy = policy_unref(lf.policy);
	fixture_tear_down();
}

static void decide(struct peer *peer, const char *use, uint64_t size, uint32_t count,
	struct request *ret_request, struct decision *ret_decision)
{
	struct request request = { .size = size, .count = count, .label = "a label" };

	copy_string(request.use, sizeof(request.use), use);
	/* The form of count and size is the policy's to check; here the limits are asked alone. */
	request.count = 1;
	request.size = 4096;
	policy_decide(lf.policy, &peer->identity, &request, ret_decision);
	ck_assert_msg(ret_decision->verdict == CCBUF_GRANTED, "%s", ret_decision->reason);
	request.count = count;
	request.size = size;
	*ret_request = request;
}

enum ccbuf_verdict reserve(struct peer *peer, const char *use, uint64_t size, uint32_t count,
	struct grant **ret_grants)
{
	struct decision decision;
	struct request request;
	enum ccbuf_verdict verdict;

	decide(peer, use, size, count, &request, &decision);
	lf.refusal[0] = 0;
	allocations = lf.allocations;
	verdict = ledger_reserve(lf.ledger, peer, &request, &decision, &lf.settings, lf.heap, size,
		ret_grants, lf.refusal);
	allocations = -1;
	/* Every refusal says why. */
	ck_assert_int_eq(lf.refusal[0] != 0, verdict != CCBUF_GRANTED);
	return verdict;
}

enum ccbuf_verdict would_reserve(struct peer *peer, const char *use, uint64_t size, uint32_t count)
{
	struct decision decision;
	struct request request;
	enum ccbuf_verdict verdict;

	decide(peer, use, size, count, &request, &decision);
	lf.refusal[0] = 0;
	verdict = ledger_would_reserve(lf.ledger, &peer->identity, peer->user, &decision,
		&lf.settings, lf.heap, size, count, lf.refusal);
	ck_assert_int_eq(lf.refusal[0] != 0, verdict != CCBUF_GRANTED);
	return verdict;
}

static struct grant *grant_one(struct peer *peer, const char *use, uint64_t size,
	const struct heap *heap, uint64_t watch, int fd)
{
	const struct buffer_id buffer = { .inode = 4711, .watch = watch };
	const struct heap *before = lf.heap;
	struct grant *grant = NULL;
	enum ccbuf_verdict verdict;

	lf.heap = heap;
	verdict = reserve(peer, use, size, 1, &grant);
	lf.heap = before;
	ck_assert_msg(verdict == CCBUF_GRANTED, "%s", lf.refusal);
	ck_assert_state(grant->state, GRANT_RESERVED);
	ck_assert_int_eq(ledger_number(lf.ledger, &grant, 1, &buffer), 0);
	ledger_numbered(lf.ledger, &grant, 1, true);
	ledger_commit(lf.ledger, grant, &fd);
	ck_assert_int_eq(fd, -1);
	return grant;
}

static int some_fd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_lt(fd, FDS_MAX);
	holders[fd] = 1;
	return fd;
}

struct grant *grant_counted(struct peer *peer, const char *use, uint64_t size)
{
	return grant_one(peer, use, size, &counted_heap, 0, some_fd());
}

struct grant *grant_uncounted(struct peer *peer, const char *use, uint64_t size)
{
	return grant_one(peer, use, size, &mute_heap, 0, some_fd());
}

struct grant *grant_watched(struct peer *peer, const char *use, uint64_t size, uint64_t watch)
{
	return grant_one(peer, use, size, lf.heap, watch, some_fd());
}

void hold(const struct grant *grant, int64_t n)
{
	ck_assert_int_ge(grant->fd, 0);
	holders[grant->fd] = n;
}

static void count(void *userdata, const struct grant *grant)
{
	ck_assert(grant_is_out(grant));
	(*(size_t *)userdata)++;
}

size_t visible(void)
{
	size_t n = 0;

	ledger_each(lf.ledger, count, &n);
	return n;
}

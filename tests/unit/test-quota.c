/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the limits: what is counted together, what does not fit and what is said, and the look
 * for buffers that are gone when something is full.
 */
#include "ledger-fixture.h"
#include "ledger/state.h"

#define PAGE 4096u

static const char policy[] =
	"{ \"version\": 1, \"uses\": {"
	" \"rule\": { \"heap\": \"emulated\" }, \"user\": { \"heap\": \"emulated\" },"
	" \"unit\": { \"heap\": \"emulated\" }, \"process\": { \"heap\": \"emulated\" },"
	" \"few\": { \"heap\": \"emulated\" }, \"slow\": { \"heap\": \"emulated\" },"
	" \"hourly\": { \"heap\": \"emulated\" }, \"free\": { \"heap\": \"emulated\" },"
	" \"other\": { \"heap\": \"emulated\" }, \"kept\": { \"heap\": \"system\" } },"
	" \"limits\": { \"total\": \"64M\", \"per-user\": \"32M\" }, \"rules\": ["
	" { \"name\": \"a\", \"match\": {}, \"allow\": { \"use\": [\"rule\"], \"total\": \"16K\" "
	"} },"
	" { \"name\": \"b\", \"match\": {}, \"allow\": { \"use\": [\"user\"], \"total\": \"16K\","
	" \"per\": \"user\" } },"
	" { \"name\": \"c\", \"match\": {}, \"allow\": { \"use\": [\"unit\"], \"total\": \"16K\","
	" \"per\": \"unit\" } },"
	" { \"name\": \"d\", \"match\": {}, \"allow\": { \"use\": [\"process\"], \"total\": "
	"\"16K\","
	" \"per\": \"process\" } },"
	" { \"name\": \"e\", \"match\": {}, \"allow\": { \"use\": [\"few\"], \"buffers\": 3 } },"
	" { \"name\": \"f\", \"match\": {}, \"allow\": { \"use\": [\"slow\"], \"rate\": \"5/min\" "
	"} },"
	" { \"name\": \"g\", \"match\": {}, \"allow\": { \"use\": [\"hourly\"], \"rate\": \"1/h\","
	" \"per\": \"process\" } },"
	" { \"name\": \"h\", \"match\": {}, \"allow\": { \"use\": [\"free\"] } },"
	" { \"name\": \"j\", \"match\": {}, \"allow\": { \"use\": [\"kept\"] } },"
	" { \"name\": \"i\", \"match\": {}, \"allow\": { \"use\": [\"other\"] } } ] }";

static struct peer *self;
/* The others of a test; the ledger may refer to them until it is torn down. */
static struct peer **others;
static size_t n_others;

static void set_up(void)
{
	ledger_set_up(policy);
	self = fixture_self();
}

static void tear_down(void)
{
	self = peer_unref(self);
	while (n_others > 0)
		peer_unref(others[--n_others]);
	ledger_tear_down();
	free(others);
	others = NULL;
}

/* Another process, as far as the ledger looks at one without grants that are live. */
static struct peer *other_peer(uid_t uid, pid_t pid, const char *unit)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	*peer = (struct peer){ .refs = 1,
		.process = calloc(1, sizeof(struct process)),
		.inspection = calloc(1, sizeof(struct inspect_answer)) };
	*peer->process = (struct process){ .refs = 1, .pidfd = -1 };
	peer->identity.uid = uid;
	peer->identity.pid = pid;
	peer->identity.start_time = 1;
	peer->identity.unit = unit ? strdup(unit) : NULL;
	ck_assert_int_eq(users_get(fixture.users, uid, 0, &peer->user), 0);
	others = realloc(others, (n_others + 1) * sizeof(*others));
	ck_assert_ptr_nonnull(others);
	others[n_others++] = peer;
	return peer;
}

static void check_refused(struct peer *peer, const char *use, uint64_t size, uint32_t count,
	enum ccbuf_verdict verdict)
{
	struct grant *grants[REQUEST_COUNT_MAX];
	uint64_t bytes = ledger_bytes(lf.ledger), n = ledger_count(lf.ledger);

	ck_assert_verdict(would_reserve(peer, use, size, count), verdict);
	ck_assert_verdict(reserve(peer, use, size, count, grants), verdict);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), bytes);
	ck_assert_uint_eq(ledger_count(lf.ledger), n);
}

/* Reserves, and cancels what is left of it with the ledger at the end of the test. */
static struct grant *check_granted(
	struct peer *peer, const char *use, uint64_t size, uint32_t count)
{
	static struct grant *grants[REQUEST_COUNT_MAX];

	ck_assert_verdict(would_reserve(peer, use, size, count), CCBUF_GRANTED);
	ck_assert_verdict(reserve(peer, use, size, count, grants), CCBUF_GRANTED);
	return grants[0];
}

START_TEST(per_rule)
{
	struct peer *a = other_peer(1, 1001, "a.service"), *b = other_peer(2, 1002, NULL);

	check_granted(a, "rule", 2 * PAGE, 1);
	check_granted(b, "rule", PAGE, 2);
	check_refused(a, "rule", PAGE, 1, CCBUF_BYTES_LIMIT);
	ck_assert_str_eq(lf.refusal,
		"rule a allows 16K in total; 16K is granted already and 4K was asked for");
	check_refused(b, "rule", PAGE, 1, CCBUF_BYTES_LIMIT);
	check_granted(a, "other", PAGE, 1);
}
END_TEST

START_TEST(per_user)
{
	struct peer *a = other_peer(1, 1001, "a.service"), *b = other_peer(1, 1002, NULL),
		    *c = other_peer(2, 1003, NULL);

	check_granted(a, "user", 3 * PAGE, 1);
	check_refused(b, "user", 2 * PAGE, 1, CCBUF_BYTES_LIMIT);
	ck_assert_ptr_nonnull(strstr(lf.refusal, "16K in total per user"));
	check_granted(b, "user", PAGE, 1);
	check_granted(c, "user", 4 * PAGE, 1);
}
END_TEST

START_TEST(per_unit)
{
	struct peer *a = other_peer(1, 1001, "a.service"), *b = other_peer(2, 1002, "a.service"),
		    *c = other_peer(1, 1003, "b.service"), *d = other_peer(1, 1004, NULL),
		    *e = other_peer(2, 1005, NULL);

	check_granted(a, "unit", 4 * PAGE, 1);
	check_refused(b, "unit", PAGE, 1, CCBUF_BYTES_LIMIT);
	ck_assert_ptr_nonnull(strstr(lf.refusal, "16K in total per unit"));
	check_granted(c, "unit", 4 * PAGE, 1);
	check_granted(d, "unit", 4 * PAGE, 1);
	check_refused(e, "unit", PAGE, 1, CCBUF_BYTES_LIMIT);
}
END_TEST

START_TEST(per_process)
{
	struct peer *a = other_peer(1, 1001, "a.service"), *b = other_peer(1, 1002, "a.service"),
		    *c = other_peer(1, 1001, "a.service");

	c->identity.start_time = 2;
	check_granted(a, "process", 4 * PAGE, 1);
	check_refused(a, "process", PAGE, 1, CCBUF_BYTES_LIMIT);
	ck_assert_ptr_nonnull(strstr(lf.refusal, "16K in total per process"));
	check_granted(b, "process", 4 * PAGE, 1);
	/* a later process of the same pid */
	check_granted(c, "process", 4 * PAGE, 1);
}
END_TEST

START_TEST(number_of_buffers)
{
	struct peer *a = other_peer(1, 1001, NULL), *b = other_peer(2, 1002, NULL);

	check_refused(a, "few", PAGE, 4, CCBUF_BUFFERS_LIMIT);
	check_granted(a, "few", PAGE, 2);
	check_refused(b, "few", PAGE, 2, CCBUF_BUFFERS_LIMIT);
	ck_assert_str_eq(
		lf.refusal, "rule e allows 3 buffers; 2 are granted already and 2 were asked for");
	check_granted(b, "few", PAGE, 1);
	check_refused(b, "few", PAGE, 1, CCBUF_BUFFERS_LIMIT);
}
END_TEST

START_TEST(user_and_all)
{
	struct peer *a = other_peer(1, 1001, NULL), *b = other_peer(2, 1002, NULL),
		    *c = other_peer(3, 1003, NULL);

	check_granted(a, "free", 31 << 20, 1);
	check_refused(a, "other", 2 << 20, 1, CCBUF_BYTES_LIMIT);
	ck_assert_ptr_nonnull(strstr(lf.refusal, "limits.per-user of the policy is 32M"));
	check_granted(b, "free", 32 << 20, 1);
	check_refused(c, "free", 2 << 20, 1, CCBUF_BYTES_LIMIT);
	ck_assert_ptr_nonnull(strstr(lf.refusal, "limits.total of the policy is 64M"));
	check_granted(c, "free", 1 << 20, 1);
	check_refused(c, "free", PAGE, 1, CCBUF_BYTES_LIMIT);
}
END_TEST

/* What does not fit 64 bits does not fit a limit either, not even none. */
START_TEST(sums_that_overflow)
{
	struct peer *a = other_peer(1, 1001, NULL);

	lf.settings.total = lf.settings.per_user = POLICY_UNLIMITED;
	check_refused(a, "free", UINT64_C(1) << 58, 64, CCBUF_BYTES_LIMIT);
	check_refused(a, "free", UINT64_C(1) << 62, 5, CCBUF_BYTES_LIMIT);
	check_refused(a, "rule", UINT64_C(1) << 58, 64, CCBUF_BYTES_LIMIT);
	check_granted(a, "free", UINT64_C(1) << 62, 3);
	check_refused(a, "free", UINT64_C(1) << 62, 1, CCBUF_BYTES_LIMIT);
	check_granted(a, "free", (UINT64_C(1) << 62) - PAGE, 1);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), UINT64_MAX - PAGE + 1);
}
END_TEST

/* A lowered limit (a reload) below what is granted must not wrap. */
START_TEST(limit_below_what_is_granted)
{
	struct peer *a = other_peer(1, 1001, NULL);

	check_granted(a, "free", 8 * PAGE, 1);
	lf.settings.total = 4 * PAGE;
	check_refused(a, "free", PAGE, 1, CCBUF_BYTES_LIMIT);
	lf.settings.total = 64 << 20;
	lf.settings.per_user = 7 * PAGE;
	check_refused(a, "free", PAGE, 1, CCBUF_BYTES_LIMIT);
}
END_TEST

START_TEST(rate)
{
	struct peer *a = other_peer(1, 1001, NULL);
	struct grant *grant;

	/* asking whether takes nothing, and a request for many is one */
	for (int i = 0; i < 20; i++)
		ck_assert_verdict(would_reserve(a, "slow", PAGE, 1), CCBUF_GRANTED);
	for (int i = 0; i < 5; i++) {
		grant = check_granted(a, "slow", PAGE, i == 0 ? 64 : 1);
		if (i)
			ledger_cancel(lf.ledger, grant);
	}
	check_refused(a, "slow", PAGE, 1, CCBUF_RATE_LIMIT);
	ck_assert_str_eq(lf.refusal, "rule f allows 5 requests per minute");
	ck_assert_uint_eq(ledger_count(lf.ledger), 64);
}
END_TEST

START_TEST(rate_by_the_hour_and_process)
{
	struct peer *a = other_peer(1, 1001, NULL), *b = other_peer(1, 1002, NULL);

	ledger_cancel(lf.ledger, check_granted(a, "hourly", PAGE, 1));
	check_refused(a, "hourly", PAGE, 1, CCBUF_RATE_LIMIT);
	ck_assert_str_eq(lf.refusal, "rule g allows 1 requests per hour per process");
	ledger_cancel(lf.ledger, check_granted(b, "hourly", PAGE, 1));
}
END_TEST

/* A user who starts one process after the other is stopped, and only that user. */
START_TEST(processes_of_a_user_are_bounded)
{
	enum { PROCESSES = 64 };
	struct peer *other = other_peer(2, 100000, NULL);
	struct grant *grant;

	users_set_max(fixture.users, USER_ACCOUNTS, 2 * PROCESSES);
	for (int i = 0; i < PROCESSES; i++) {
		struct peer *peer = other_peer(1, i + 1, NULL);

		ck_assert_verdict(reserve(peer, "hourly", PAGE, 1, &grant), CCBUF_GRANTED);
		ledger_cancel(lf.ledger, grant);
	}
	for (int i = 0; i < 2; i++) {
		struct peer *peer = other_peer(1, PROCESSES + i + 1, NULL);

		check_refused(peer, "hourly", PAGE, 1, CCBUF_BUSY);
		ck_assert_ptr_nonnull(strstr(lf.refusal, "too many processes of user 1"));
		/* other rules of that user are none the worse */
		ledger_cancel(lf.ledger, check_granted(peer, "free", PAGE, 1));
	}
	ledger_cancel(lf.ledger, check_granted(other, "hourly", PAGE, 1));
}
END_TEST

START_TEST(would_reserve_changes_nothing)
{
	static const char *const uses[] = { "rule", "user", "unit", "process", "few", "slow",
		"free" };
	struct peer *a = other_peer(1, 1001, NULL);
	struct grant *held = grant_counted(self, "rule", 4 * PAGE);
	unsigned int looks = lf.looks;

	hold(held, 0);
	for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
		would_reserve(a, uses[i], PAGE, 1);
		would_reserve(a, uses[i], 1 << 30, 64);
	}
	ck_assert_state(held->state, GRANT_LIVE);
	ck_assert_uint_eq(lf.looks, looks);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 4 * PAGE);
	ck_assert_uint_eq(lf.ledger->rules.count, 1);
	ck_assert_uint_eq(a->user->rules.count + a->user->used[USER_ACCOUNTS], 0);
	ck_assert_uint_eq(a->refs, 1);
}
END_TEST

/* Buffers of the emulated heap have a limit of their own, by user. */
START_TEST(emulated_is_bounded)
{
	struct peer *a = other_peer(1, 1001, NULL), *b = other_peer(1, 1002, NULL),
		    *c = other_peer(2, 1003, NULL);

	lf.settings.emulated_per_user = 4 * PAGE;
	lf.heap = &mute_heap;
	check_granted(a, "free", PAGE, 3);
	check_refused(b, "free", PAGE, 2, CCBUF_BYTES_LIMIT);
	ck_assert_ptr_nonnull(strstr(lf.refusal, "limits.emulated-per-user of the policy is 16K"));
	check_granted(b, "free", PAGE, 1);
	check_granted(c, "free", PAGE, 4);
	lf.heap = &counted_heap;
	check_granted(a, "free", PAGE, 5);
}
END_TEST

/* --- pressure --- */

START_TEST(full_rule_is_relieved)
{
	struct grant *gone = grant_counted(self, "rule", 2 * PAGE),
		     *kept = grant_counted(self, "rule", 2 * PAGE),
		     *other = grant_counted(self, "other", PAGE), *grant;

	check_refused(self, "rule", PAGE, 1, CCBUF_BYTES_LIMIT);
	hold(gone, 0);
	hold(other, 0);
	ck_assert_verdict(reserve(self, "rule", PAGE, 1, &grant), CCBUF_GRANTED);
	ck_assert_state(gone->state, GRANT_RELEASED);
	ck_assert_state(kept->state, GRANT_LIVE);
	/* not what is charged to others */
	ck_assert_state(other->state, GRANT_LIVE);
	ck_assert_str_eq(lf.reason, "no longer held");
}
END_TEST

static void wait_for_word(int fd, void *userdata)
{
	char word;

	(void)userdata;
	(void)!read(fd, &word, 1);
}

/* One that has just ended, which the loop has not been told yet. */
START_TEST(full_rule_is_relieved_of_the_dead)
{
	struct grant *grant, *gone;
	struct child child;
	struct peer *peer;

	child_start(&child, wait_for_word, NULL);
	peer = child_peer(&child);
	gone = grant_uncounted(peer, "rule", 4 * PAGE);
	check_refused(self, "rule", PAGE, 1, CCBUF_BYTES_LIMIT);
	child_kill(&child);
	ck_assert_verdict(reserve(self, "rule", PAGE, 1, &grant), CCBUF_GRANTED);
	ck_assert_state(gone->state, GRANT_RELEASED);
	peer_unref(peer);
}
END_TEST

START_TEST(full_number_is_relieved)
{
	struct grant *grants[3], *grant;

	for (int i = 0; i < 3; i++)
		grants[i] = grant_counted(self, "few", PAGE);
	hold(grants[1], 0);
	ck_assert_verdict(reserve(self, "few", PAGE, 1, &grant), CCBUF_GRANTED);
	ck_assert_uint_eq(lf.released, 1);
	ck_assert_verdict(reserve(self, "few", PAGE, 1, &grant), CCBUF_BUFFERS_LIMIT);
}
END_TEST

START_TEST(full_user_is_relieved)
{
	struct grant *gone = grant_counted(self, "other", 32 << 20), *grant;

	ck_assert_verdict(reserve(self, "free", PAGE, 1, &grant), CCBUF_BYTES_LIMIT);
	hold(gone, 0);
	ck_assert_verdict(reserve(self, "free", PAGE, 1, &grant), CCBUF_GRANTED);
	ck_assert_state(gone->state, GRANT_RELEASED);
}
END_TEST

START_TEST(full_total_is_relieved)
{
	struct peer *a = other_peer(1, 1001, NULL);
	struct grant *gone, *grant;

	lf.settings.per_user = POLICY_UNLIMITED;
	gone = grant_counted(self, "other", 64 << 20);
	ck_assert_verdict(reserve(a, "free", PAGE, 1, &grant), CCBUF_BYTES_LIMIT);
	hold(gone, 0);
	ck_assert_verdict(reserve(a, "free", PAGE, 1, &grant), CCBUF_GRANTED);
	ck_assert_state(gone->state, GRANT_RELEASED);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), PAGE);
}
END_TEST

/* Enough is enough: it looks until the request fits, each look at a bounded number. */
START_TEST(relieved_in_several_looks)
{
	static struct grant *grants[300];
	struct grant *grant;

	lf.settings.per_user = ARRAY_SIZE(grants) * PAGE;
	for (size_t i = 0; i < ARRAY_SIZE(grants); i++)
		grants[i] = grant_counted(self, "free", PAGE);
	/* the oldest 290 are held; what is gone comes last */
	for (size_t i = 290; i < ARRAY_SIZE(grants); i++)
		hold(grants[i], 0);
	lf.looks = 0;
	ck_assert_verdict(reserve(self, "free", PAGE, 1, &grant), CCBUF_BYTES_LIMIT);
	ck_assert_uint_eq(lf.looks, 256);
	/* the next request goes on where that one stopped, if only a little way */
	lf.looks = 0;
	for (int i = 0; i < 3 && lf.released == 0; i++)
		reserve(self, "free", PAGE, 1, &grant);
	ck_assert_uint_gt(lf.released, 0);
	ck_assert_uint_le(lf.looks, 256);
}
END_TEST

START_TEST(second_look_is_short)
{
	static struct grant *grants[200];
	struct user *user;
	struct grant *grant;

	lf.settings.per_user = ARRAY_SIZE(grants) * PAGE;
	for (size_t i = 0; i < ARRAY_SIZE(grants); i++)
		grants[i] = grant_counted(self, "free", PAGE);
	lf.looks = 0;
	ck_assert_verdict(reserve(self, "free", PAGE, 1, &grant), CCBUF_BYTES_LIMIT);
	ck_assert_uint_eq(lf.looks, ARRAY_SIZE(grants));
	user = grants[0]->user;
	ck_assert_uint_gt(user->pause_usec, 0);
	user->pause_usec = UINT64_MAX;
	lf.looks = 0;
	ck_assert_verdict(reserve(self, "free", PAGE, 1, &grant), CCBUF_BYTES_LIMIT);
	ck_assert_uint_eq(lf.looks, 16);
}
END_TEST

/* The daemon keeps an fd of each buffer that can be counted, and one user must not have them all.
 */
START_TEST(fds_are_left)
{
	struct peer *b = other_peer(2, 1002, NULL), *c = other_peer(3, 1003, NULL);
	struct grant *grants[8];

	users_set_max(fixture.users, USER_FDS, 8);
	ck_assert_verdict(reserve(self, "kept", PAGE, 4, grants), CCBUF_GRANTED);
	ck_assert_verdict(reserve(self, "kept", PAGE, 1, grants + 4), CCBUF_BUFFERS_LIMIT);
	ck_assert_ptr_nonnull(strstr(lf.refusal, "4 files are open for user"));
	ck_assert_verdict(reserve(b, "kept", PAGE, 3, grants + 4), CCBUF_BUFFERS_LIMIT);
	ck_assert_verdict(reserve(b, "kept", PAGE, 2, grants + 4), CCBUF_GRANTED);
	/* of the last quarter one each */
	ck_assert_verdict(reserve(c, "kept", PAGE, 2, grants + 6), CCBUF_BUFFERS_LIMIT);
	ck_assert_verdict(reserve(c, "kept", PAGE, 1, grants + 6), CCBUF_GRANTED);
	/* not only where one is kept afterwards: until it is handed out there is one of each */
	lf.heap = &telling_heap;
	ck_assert_verdict(reserve(self, "kept", PAGE, 1, grants + 7), CCBUF_BUFFERS_LIMIT);
	ledger_cancel(lf.ledger, steal_pointer(&grants[0]));
	lf.heap = &counted_heap;
	ck_assert_verdict(would_reserve(self, "kept", PAGE, 1), CCBUF_BUFFERS_LIMIT);
	for (size_t i = 4; i <= 6; i++)
		ledger_cancel(lf.ledger, grants[i]);
	ck_assert_verdict(reserve(self, "kept", PAGE, 1, grants), CCBUF_GRANTED);
	for (size_t i = 0; i < 4; i++)
		ledger_cancel(lf.ledger, grants[i]);
}
END_TEST

/* Reserved ones, whose allocation is under way, are never looked at. */
START_TEST(reserved_are_left_alone)
{
	struct grant *reserved, *grant;

	ck_assert_verdict(reserve(self, "rule", 4 * PAGE, 1, &reserved), CCBUF_GRANTED);
	lf.looks = 0;
	ck_assert_verdict(reserve(self, "rule", PAGE, 1, &grant), CCBUF_BYTES_LIMIT);
	ck_assert_uint_eq(lf.looks, 0);
	ck_assert_state(reserved->state, GRANT_RESERVED);
	ledger_cancel(lf.ledger, reserved);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, tear_down };
	const struct test tests[] = {
		{ per_rule },
		{ per_user },
		{ per_unit },
		{ per_process },
		{ number_of_buffers },
		{ user_and_all },
		{ sums_that_overflow },
		{ limit_below_what_is_granted },
		{ rate },
		{ rate_by_the_hour_and_process },
		{ processes_of_a_user_are_bounded },
		{ would_reserve_changes_nothing },
		{ emulated_is_bounded },
		{ full_rule_is_relieved },
		{ full_rule_is_relieved_of_the_dead },
		{ full_number_is_relieved },
		{ full_user_is_relieved },
		{ full_total_is_relieved },
		{ relieved_in_several_looks },
		{ second_look_is_short },
		{ fds_are_left },
		{ reserved_are_left_alone },
		{ NULL },
	};

	return run_tests(argc, argv, "quota", &hooks, tests);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of counted refusals: every refusal in exactly one record, few records, little memory.
 */
#include "test-audit.h"

#include "audit/fold.h"

static sd_event *loop;
static struct audit_fold *fold;
static bool refuse; /* to take a counted record */

/* What was recorded. */
static size_t single, counted;
static uint64_t stands_for;
static char last_use[USE_NAME_MAX + 1], last_reason[256];
static bool last_peer;
static unsigned int last_verdict;

static bool on_counted(void *userdata, const struct audit_fields *fields)
{
	const char *use = audit_fields_text(fields, AUDIT_RECORD, "use");
	const char *reason = audit_fields_text(fields, AUDIT_RECORD, "reason");

	(void)userdata;
	if (refuse)
		return false;
	counted++;
	stands_for += fields->repeated;
	copy_string(last_use, sizeof(last_use), use ? use : "");
	copy_string(last_reason, sizeof(last_reason), reason ? reason : "");
	last_peer = fields->has_uid;
	last_verdict = fields->verdict;
	return true;
}

static void start(uint64_t after, uint64_t usec)
{
	ck_assert_int_ge(sd_event_new(&loop), 0);
	ck_assert_int_eq(audit_fold_new(loop, after, usec, on_counted, NULL, &fold), 0);
}

static void stop(void)
{
	audit_fold_flush(fold);
	fold = audit_fold_free(fold);
	loop = sd_event_unref(loop);
}

static void refusal(const struct audit_event *event)
{
	struct audit_fields fields;

	audit_fields_of(event, &fields);
	single += !audit_fold_take(fold, &fields);
}

START_TEST(exact)
{
	struct audit_event event = sample_denial();

	start(5, 1000000);
	for (int i = 0; i < 1000; i++)
		refusal(&event);
	ck_assert_uint_eq(single, 5);
	ck_assert_uint_eq(counted, 0);
	stop();
	ck_assert_uint_eq(counted, 1);
	ck_assert_uint_eq(stands_for, 995);
	ck_assert_str_eq(last_use, "rdma");
	ck_assert_str_eq(last_reason, event.reason);
	ck_assert_verdict(last_verdict, CCBUF_DENIED);
}
END_TEST

START_TEST(not_alike)
{
	struct identity peers[3] = { sample_peer, sample_peer, sample_peer };
	struct request request = sample_request;
	struct audit_event event;

	start(1, 1000000);
	event = sample_denial();
	refusal(&event);
	peers[0].uid++;
	event.peer = &peers[0];
	refusal(&event);
	peers[1].exe = NULL;
	event.peer = &peers[1];
	refusal(&event);
	peers[2].unit = sample_slice;
	event.peer = &peers[2];
	refusal(&event);
	event = sample_denial();
	request.use[0] = 'x';
	event.request = &request;
	refusal(&event);
	event = sample_denial();
	event.rule = NULL;
	refusal(&event);
	event.verdict = CCBUF_NO_RULE;
	refusal(&event);
	event.peer = NULL;
	refusal(&event);
	ck_assert_uint_eq(single, 8);
	/* What may differ: process, size, reason. */
	event = sample_denial();
	peers[0] = sample_peer;
	peers[0].pid++;
	request = sample_request;
	request.size++;
	event.peer = &peers[0];
	event.request = &request;
	event.reason = "another";
	refusal(&event);
	ck_assert_uint_eq(single, 8);
	stop();
	ck_assert_uint_eq(stands_for, 1);
}
END_TEST

START_TEST(others_pass)
{
	struct audit_event event = sample_grant();

	start(1, 1000000);
	for (int i = 0; i < 10; i++)
		refusal(&event);
	ck_assert_uint_eq(single, 10);
	event = sample_denial();
	event.repeated = 5; /* a counted one is not counted again */
	refusal(&event);
	refusal(&event);
	ck_assert_uint_eq(single, 12);
	stop();
	ck_assert_uint_eq(counted, 0);
	start(0, 1000000); /* never */
	event.repeated = 0;
	for (int i = 0; i < 10; i++)
		refusal(&event);
	ck_assert_uint_eq(single, 22);
	stop();
	ck_assert_uint_eq(counted, 0);
}
END_TEST

static void run_until(size_t n)
{
	while (counted < n)
		ck_assert_int_gt(sd_event_run(loop, 10000000), 0);
}

START_TEST(timer)
{
	struct audit_event event = sample_denial();

	start(2, 20000);
	for (int i = 0; i < 10; i++)
		refusal(&event);
	run_until(1); /* they stopped */
	ck_assert_uint_eq(stands_for, 8);
	refusal(&event); /* they go on soon after: still counted */
	ck_assert_uint_eq(single, 2);
	run_until(2);
	ck_assert_uint_eq(stands_for, 9);
	/* Quiet for long: the timer ends, and the next ones are new. */
	while (sd_event_run(loop, 200000) > 0)
		;
	refusal(&event);
	ck_assert_uint_eq(single, 3);
	stop();
	ck_assert_uint_eq(counted, 2);
	ck_assert_uint_eq(stands_for, 9);
}
END_TEST

START_TEST(seldom)
{
	struct audit_event event = sample_denial();
	uint64_t begin, now = 0;
	uint64_t n = 0;

	start(1, 50000);
	ck_assert_int_ge(sd_event_now(loop, CLOCK_MONOTONIC, &begin), 0);
	while (now < begin + 500000) {
		refusal(&event);
		n++;
		ck_assert_int_ge(sd_event_run(loop, 100), 0);
		ck_assert_int_ge(sd_event_now(loop, CLOCK_MONOTONIC, &now), 0);
	}
	ck_assert_uint_eq(single, 1);
	ck_assert_uint_le(counted, 10);
	ck_assert_uint_ge(counted, 3);
	stop();
	ck_assert_uint_eq(single + stands_for, n);
}
END_TEST

START_TEST(emit_later)
{
	struct audit_event event = sample_denial();

	start(1, 10000);
	for (int i = 0; i < 5; i++)
		refusal(&event);
	refuse = true;
	for (int i = 0; i < 5; i++)
		ck_assert_int_ge(sd_event_run(loop, 30000), 0);
	ck_assert_uint_eq(counted, 0);
	refuse = false;
	run_until(1);
	ck_assert_uint_eq(stands_for, 4);
	stop();
}
END_TEST

static size_t resident(void)
{
	unsigned long pages = 0, total;
	FILE *file = fopen("/proc/self/statm", "re");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%lu %lu", &total, &pages), 2);
	fclose(file);
	return pages * 4096;
}

START_TEST(flood_of_one_user)
{
	struct request request = sample_request;
	struct audit_event event = sample_denial();

	/* A new name of a use each time. */
	event.request = &request;
	start(3, 60000000);
	for (int i = 0; i < 100000; i++) {
		snprintf(request.use, sizeof(request.use), "u%d", i);
		refusal(&event);
	}
	ck_assert_uint_eq(single, AUDIT_FOLD_PER_USER);
	stop();
	ck_assert_uint_eq(counted, 1);
	ck_assert_uint_eq(single + stands_for, 100000);
	ck_assert(last_peer);
	ck_assert_str_eq(last_use, "");
	ck_assert_verdict(last_verdict, VERDICT_MAX_);
	ck_assert_ptr_nonnull(strstr(last_reason, "99984 refusals counted together"));
}
END_TEST

START_TEST(flood_of_many_users)
{
	static char long_text[5000];
	struct identity peer = sample_peer;
	struct audit_event event = sample_denial();
	size_t before, n = 50000;

	memset(long_text, 'x', sizeof(long_text) - 1);
	event.peer = &peer;
	event.reason = long_text;
	start(3, 60000000);
	before = resident();
	for (size_t i = 0; i < n; i++) {
		peer.uid = (uid_t)i;
		refusal(&event);
		refusal(&event);
	}
	/* 16 MiB leaves room for what a sanitizer keeps of freed memory. */
	ck_assert_uint_lt(resident(), before + (16u << 20));
	ck_assert_uint_eq(single, 2 * AUDIT_FOLD_KINDS);
	stop();
	ck_assert_uint_eq(counted, AUDIT_FOLD_USERS + 1);
	ck_assert_uint_eq(single + stands_for, 2 * n);
	ck_assert(!last_peer);
	ck_assert_ptr_nonnull(strstr(last_reason, "a multitude of users"));
}
END_TEST

START_TEST(one_beyond)
{
	struct request request = sample_request;
	struct audit_event event = sample_denial();

	/* One refusal alone is recorded as it was, also where kinds are not kept apart. */
	event.request = &request;
	start(3, 60000000);
	for (int i = 0; i <= AUDIT_FOLD_PER_USER; i++) {
		snprintf(request.use, sizeof(request.use), "u%d", i);
		refusal(&event);
	}
	stop();
	ck_assert_uint_eq(counted, 1);
	ck_assert_uint_eq(stands_for, 1);
	ck_assert_str_eq(last_use, "u16");
	ck_assert_verdict(last_verdict, CCBUF_DENIED);
}
END_TEST

START_TEST(unknown_peers)
{
	struct audit_event event = { .kind = AUDIT_DENY, .verdict = CCBUF_MALFORMED };
	char rule[16];

	event.rule = rule;
	start(1, 60000000);
	for (int i = 0; i < 100; i++) {
		snprintf(rule, sizeof(rule), "r%d", i);
		refusal(&event);
	}
	ck_assert_uint_eq(single, AUDIT_FOLD_PER_USER);
	stop();
	ck_assert_uint_eq(single + stands_for, 100);
	ck_assert(!last_peer);
	ck_assert_ptr_null(audit_fold_free(NULL));
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { folder_new, folder_free };
	const struct test tests[] = {
		{ exact },
		{ not_alike },
		{ others_pass },
		{ timer },
		{ seldom },
		{ emit_later },
		{ flood_of_one_user },
		{ flood_of_many_users },
		{ one_beyond },
		{ unknown_peers },
		{ NULL },
	};

	return run_tests(argc, argv, "audit-fold", &hooks, tests);
}

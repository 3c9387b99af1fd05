/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of taking grants back: on request, and by the policy after a reload.
 */
#include "grant.h"
#include "module-fixture.h"
#include "review.h"
#include "revoke.h"

#define PAGE 4096u

static struct {
	unsigned int calls;
	struct revocation last;
} told;

static void set_up(void)
{
	module_set_up();
	memset(&told, 0, sizeof(told));
}

static void on_revoked(void *userdata, const struct revocation *revocation)
{
	ck_assert_ptr_eq(userdata, &told);
	told.calls++;
	told.last = *revocation;
}

static void take_back(const struct grant *grant)
{
	const struct revoke_cause cause = { .by = mf.self, .reason = "because" };
	unsigned int before = told.calls;

	ck_assert_int_eq(revoke_grant(&mf.broker, grant, &cause, on_revoked, &told), 0);
	ck_assert_uint_eq(told.calls, before);
	fixture_run_until(told.calls > before);
	ck_assert_uint_eq(told.last.grant, mf.grants[0]);
	ck_assert_uint_eq(mf.broker.n_requests, 0);
}

START_TEST(nothing_holds_it)
{
	const struct grant *grant = module_grant("u", PAGE);
	char *line;

	mf.released_by_revoke = true;
	take_back(grant);
	ck_assert_uint_eq(mf.revoked, 101);
	ck_assert_int_eq(told.last.result, 0);
	ck_assert(told.last.released);
	ck_assert_uint_eq(ledger_bytes(mf.broker.ledger), 0);
	fixture_audit_wait();
	line = fixture_trail_last("\"event\":\"revoke\"");
	ck_assert_msg(strstr(line, "\"by\":{\"uid\":") && strstr(line, "\"reason\":\"because\"") &&
			      strstr(line, "\"rule\":\"r\"") && !strstr(line, "\"verdict\""),
		"%s", line);
	free(line);
	line = fixture_trail_last("\"event\":\"release\"");
	ck_assert_msg(strstr(line, "\"reason\":\"revoked\""), "%s", line);
	free(line);
}
END_TEST

START_TEST(a_device_holds_it)
{
	const struct grant *grant = module_grant("u", PAGE);

	mf.hold = (struct ccbuf_heap_revoke){
		.mappings = 2, .vmaps = 1, .device = "virtio_gpu virtio3"
	};
	take_back(grant);
	ck_assert(!told.last.released);
	ck_assert_uint_eq(told.last.hold.mappings, 2);
	ck_assert_uint_eq(told.last.hold.vmaps, 1);
	ck_assert_str_eq(told.last.hold.device, "virtio_gpu virtio3");
	ck_assert_state(grant->state, GRANT_REVOKED);
	ck_assert_uint_eq(ledger_bytes(mf.broker.ledger), PAGE);
	/* again: it says what holds it now, and is recorded */
	mf.hold = (struct ccbuf_heap_revoke){ 0 };
	mf.released_by_revoke = true;
	take_back(grant);
	ck_assert(told.last.released);
	ck_assert_uint_eq(mf.n_revoked, 2);
	ck_assert_uint_eq(ledger_bytes(mf.broker.ledger), 0);
	fixture_audit_wait();
	ck_assert_uint_eq(module_events_of("revoke"), 2);
	ck_assert_uint_eq(module_events_of("release"), 1);
}
END_TEST

/* The module does not go on by itself after a device was busy: it has to be asked again. */
START_TEST(a_device_is_busy)
{
	const struct grant *grant = module_grant("u", PAGE);

	mf.hold = (struct ccbuf_heap_revoke){ .busy = 1 };
	take_back(grant);
	ck_assert(!told.last.released && told.last.hold.busy);
	ck_assert_ptr_nonnull(mf.broker.busy);
	/* asked for by somebody, too: still one to be asked again */
	take_back(grant);
	ck_assert_uint_eq(mf.n_revoked, 2);
	ck_assert_ptr_nonnull(mf.broker.busy);
	mf.hold.busy = 0;
	mf.released_by_revoke = true;
	fixture_run_until(ledger_bytes(mf.broker.ledger) == 0);
	ck_assert_uint_eq(mf.n_revoked, 3);
	fixture_run_until(mf.broker.n_requests == 0);
	ck_assert_ptr_null(mf.broker.busy);
	/* nobody is told of that */
	ck_assert_uint_eq(told.calls, 2);
}
END_TEST

/* It ends in between by itself, or the daemon does. */
START_TEST(busy_to_the_end)
{
	const struct grant *grant = module_grant("u", PAGE);

	mf.hold = (struct ccbuf_heap_revoke){ .busy = 1 };
	take_back(grant);
	module_tell(0, CCBUF_HEAP_RELEASED, 101, PAGE);
	fixture_run_until(!mf.broker.busy);
	ck_assert_uint_eq(mf.n_revoked, 1);
	take_back(module_grant("u", PAGE));
	ck_assert_ptr_nonnull(mf.broker.busy);
	revoke_stop(&mf.broker);
	ck_assert_ptr_null(mf.broker.busy);
}
END_TEST

/* The daemon stops while the record is under way: there are no threads any more. */
START_TEST(at_a_stop)
{
	const struct revoke_cause cause = { .by = mf.self, .reason = "because" };
	const struct grant *grant = module_grant("u", PAGE);

	ck_assert_int_eq(revoke_grant(&mf.broker, grant, &cause, on_revoked, &told), 0);
	ledger_set_workers(mf.broker.ledger, NULL);
	mf.broker.workers = workers_free(mf.broker.workers);
	fixture_run_until(told.calls == 1);
	ck_assert_uint_eq(mf.n_revoked, 1);
	ck_assert_uint_eq(mf.broker.n_requests, 0);
}
END_TEST

/* It was released in between: in the heap, or already here. */
START_TEST(too_late)
{
	const struct grant *grant = module_grant("u", PAGE);

	mf.revoke_error = -ENOENT;
	module_tell(0, CCBUF_HEAP_RELEASED, 101, PAGE);
	take_back(grant);
	ck_assert_int_eq(told.last.result, 0);
	ck_assert(told.last.released);
	ck_assert_uint_eq(mf.n_revoked, 0);
	ck_assert_uint_eq(module_events_of("error"), 0);
}
END_TEST

START_TEST(it_fails)
{
	const struct grant *grant = module_grant("u", PAGE);

	mf.revoke_error = -EFAULT;
	take_back(grant);
	ck_assert_int_eq(told.last.result, -EFAULT);
	ck_assert(!told.last.released);
	ck_assert_state(grant->state, GRANT_LIVE);
	ck_assert_uint_eq(fixture_trail_count("could not be taken back: Bad address"), 0);
	fixture_audit_wait();
	ck_assert_uint_eq(fixture_trail_count("could not be taken back: Bad address"), 1);
}
END_TEST

/* That the trail cannot be written keeps nobody's memory shared. */
START_TEST(without_a_record)
{
	const struct grant *grant = module_grant("u", PAGE);

	fixture_audit_fail();
	take_back(grant);
	ck_assert_uint_eq(mf.n_revoked, 1);
	ck_assert_state(grant->state, GRANT_REVOKED);
	ck_assert_uint_eq(module_events_of("revoke"), 0);
	fixture_audit_heal();
}
END_TEST

/* --- reviews --- */

#define HEAP		   "\"heaps\":{\"%s\":{\"exposure\":\"shared\"}},"
#define USES		   "\"uses\":{\"u\":{\"heap\":\"%s\"},\"e\":{\"heap\":\"emulated\"}},"
#define ALLOW		   "{\"name\":\"r\",\"match\":{},\"allow\":{\"use\":[\"u\",\"e\"]}}"
#define DENY(more)	   "{\"name\":\"n\",\"match\":{},\"deny\":\"no more\"" more "}"
#define REVOKE		   ",\"on-reload\":\"revoke\""
#define KEEP		   ",\"on-reload\":\"keep\""
#define POLICY(top, rules) "{\"version\":1" top "," HEAP USES "\"rules\":[" rules "]}"

static void reload(const char *text)
{
	policy_unref(mf.broker.policy);
	mf.broker.policy = module_policy(text);
	review_start(mf.broker.review);
	fixture_settle();
	fixture_run_until(mf.broker.n_requests == 0);
	fixture_settle();
	fixture_audit_wait();
}

static const struct {
	const char *text;
	bool revoked;
	const char *verdict, *reason;
} reviews[] = {
	/* what is allowed stays, whatever is said of the rest */
	{ POLICY(REVOKE, ALLOW), false, NULL, NULL },
	{ POLICY(REVOKE, DENY(",\"use\":\"e\"") "," ALLOW), false, NULL, NULL },
	/* what is not stays too, unless somebody says otherwise */
	{ POLICY("", ""), false, NULL, NULL },
	{ POLICY("", DENY("")), false, NULL, NULL },
	{ POLICY(KEEP, DENY("")), false, NULL, NULL },
	{ POLICY(REVOKE, ""), true, "no-rule", "no rule of the policy" },
	{ POLICY(REVOKE, DENY("")), true, "denied", "no more" },
	/* the size that was asked for, not that of whole pages */
	{ POLICY(REVOKE, "{\"name\":\"r\",\"match\":{},\"allow\":{\"use\":\"u\",\"buffer\":5000}}"),
		false, NULL, NULL },
	{ POLICY(REVOKE, "{\"name\":\"r\",\"match\":{},\"allow\":{\"use\":\"u\",\"buffer\":4999}}"),
		true, "buffer-limit", "allows 4999" },
	/* sums are for requests */
	{ POLICY(REVOKE, "{\"name\":\"r\",\"match\":{},\"allow\":{\"use\":\"u\",\"total\":1}}"),
		false, NULL, NULL },
	/* the use is for another heap now, or is none any more */
	{ "{\"version\":1" REVOKE ",\"uses\":{\"u\":{\"heap\":\"emulated\"}},\"rules\":["
	  "{\"name\":\"r\",\"match\":{},\"allow\":{\"use\":\"u\"}}]}",
		true, "heap-unavailable", "is for heap \\\"emulated\\\" now" },
	{ "{\"version\":1" REVOKE "}", true, "unknown-use", "is not defined" },
};

START_TEST(review)
{
	const struct grant *grant = module_grant("u", 5000);
	char part[64], *line;

	mf.released_by_revoke = true;
	reload(reviews[_i].text);
	ck_assert_uint_eq(mf.n_revoked, reviews[_i].revoked);
	ck_assert_uint_eq(ledger_count(mf.broker.ledger), !reviews[_i].revoked);
	ck_assert_uint_eq(module_events_of("revoke"), reviews[_i].revoked);
	if (!reviews[_i].revoked) {
		ck_assert_state(grant->state, GRANT_LIVE);
		return;
	}
	line = fixture_trail_last("\"event\":\"revoke\"");
	snprintf(part, sizeof(part), "\"verdict\":\"%s\"", reviews[_i].verdict);
	ck_assert_msg(strstr(line, part) && strstr(line, reviews[_i].reason) &&
			      strstr(line, policy_digest(mf.broker.policy)) &&
			      !strstr(line, "\"by\""),
		"%s", line);
	free(line);
}
END_TEST

/* Once: what is taken back already, but held, is not taken back again. */
START_TEST(revoked_already)
{
	const struct grant *grant = module_grant("u", PAGE);

	reload(POLICY(REVOKE, ""));
	ck_assert_state(grant->state, GRANT_REVOKED);
	reload(POLICY(REVOKE, ""));
	ck_assert_uint_eq(mf.n_revoked, 1);
}
END_TEST

/* Emulated buffers cannot be taken back: they stay, and the others are. */
START_TEST(some_that_cannot)
{
	const struct grant *emulated;

	ck_assert_verdict(module_ask("u", PAGE, 3), CCBUF_GRANTED);
	emulated = module_grant("e", PAGE);
	mf.released_by_revoke = true;
	reload(POLICY(REVOKE, ""));
	ck_assert_uint_eq(mf.n_revoked, 3);
	ck_assert_uint_eq(ledger_count(mf.broker.ledger), 1);
	ck_assert_state(emulated->state, GRANT_LIVE);
}
END_TEST

/* More than are under way at a time, and another reload in the middle. */
START_TEST(many)
{
	for (int i = 0; i < 4; i++)
		ck_assert_verdict(module_ask("u", PAGE, REQUEST_COUNT_MAX), CCBUF_GRANTED);
	policy_unref(mf.broker.policy);
	mf.broker.policy = module_policy(POLICY(REVOKE, ""));
	review_start(mf.broker.review);
	sd_event_run(fixture.loop, 0);
	sd_event_run(fixture.loop, 0);
	reload(POLICY(REVOKE, DENY("")));
	fixture_run_until(mf.n_revoked == 4 * REQUEST_COUNT_MAX);
	fixture_settle();
	ck_assert_uint_eq(mf.n_revoked, 4 * REQUEST_COUNT_MAX);
}
END_TEST

/* Decided by the old policy, delivered under the new one. */
START_TEST(under_way_at_the_reload)
{
	mf.later = true;
	ck_assert_verdict(module_ask("u", PAGE, 2), CCBUF_GRANTED);
	policy_unref(mf.broker.policy);
	mf.broker.policy = module_policy(POLICY(REVOKE, ""));
	review_start(mf.broker.review);
	fixture_settle();
	ck_assert_uint_eq(mf.n_revoked, 0);
	grant_delivered(mf.op, 0);
	fixture_run_until(mf.broker.n_requests == 0);
	ck_assert_uint_eq(mf.n_revoked, 2);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, module_tear_down };
	const struct test tests[] = {
		{ nothing_holds_it },
		{ a_device_holds_it },
		{ a_device_is_busy },
		{ busy_to_the_end },
		{ at_a_stop },
		{ too_late },
		{ it_fails },
		{ without_a_record },
		{ review, .times = ARRAY_SIZE(reviews) },
		{ revoked_already },
		{ some_that_cannot },
		{ many },
		{ under_way_at_the_reload },
		{ NULL },
	};

	return run_tests(argc, argv, "revoke", &hooks, tests);
}

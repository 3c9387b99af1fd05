/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of a heap of module ccbuf_heap, from its opening to the end of a buffer: what the daemon
 * leaves to it, what it does with each event, and that no leak is missed or told twice.
 */
#include <sys/stat.h>

#include "module-fixture.h"

#define PAGE 4096u

START_TEST(what_it_can)
{
	const struct heap *heap = module_heap();

	ck_assert(heap->module);
	ck_assert_int_eq(heap_end(heap), HEAP_END_EVENT);
	ck_assert(heap_can_revoke(heap));
	ck_assert(heap_can_read_only(heap, EXPOSURE_SHARED));
	ck_assert(!heap_is_quick(heap, PAGE));
}
END_TEST

/* A heap of the kernel answers EINVAL, and is served as ever. */
START_TEST(another_heap)
{
	const struct grant *grant;

	mf.other = true;
	ck_assert(!module_heap()->module);
	ck_assert_int_eq(heap_end(module_heap()), HEAP_END_COUNT);
	grant = module_grant("u", PAGE);
	ck_assert_uint_eq(grant->watch, 0);
	ck_assert_int_ge(grant->fd, 0);
	ck_assert_uint_eq(mf.last_watch, 100);
	/* zeroed by us */
	ck_assert_uint_eq(mf.n_synced, 2);
}
END_TEST

/* The module zeroes what it makes, so we do not map it; and keep no fd. */
START_TEST(buffer)
{
	const struct heap *heap = module_heap();
	size_t fds = fixture_fds();
	const struct grant *grant;
	char byte = 0;

	grant = module_grant("u", 2 * PAGE);
	ck_assert_ptr_eq(grant->node, heap);
	ck_assert_uint_eq(grant->watch, 101);
	ck_assert_uint_eq(grant->inode, mf.inode);
	ck_assert_int_eq(grant->fd, -1);
	/* but the peer's */
	ck_assert_uint_eq(fixture_fds(), fds + 1);
	ck_assert_uint_eq(mf.n_synced, 0);
	ck_assert_int_eq(pread(mf.fd, &byte, 1, 0), 1);
	ck_assert_int_eq(byte, 'x');
	module_tell(0, CCBUF_HEAP_RELEASED, 101, 2 * PAGE);
	fixture_run_until(ledger_bytes(mf.broker.ledger) == 0);
	fixture_audit_wait();
	ck_assert_uint_eq(module_events_of("release"), 1);
}
END_TEST

/* A buffer whose end nobody would tell is none. */
START_TEST(cannot_be_watched)
{
	size_t fds;

	module_heap();
	fds = fixture_fds();
	mf.watch_error = -ENOMEM;
	ck_assert_verdict(module_ask("u", PAGE, 2), CCBUF_OUT_OF_MEMORY);
	mf.watch_error = -EBUSY;
	ck_assert_verdict(module_ask("u", PAGE, 2), CCBUF_INTERNAL);
	ck_assert_uint_eq(fixture_fds(), fds);
	ck_assert_uint_eq(ledger_bytes(mf.broker.ledger), 0);
}
END_TEST

/* The peer is quicker than we are: the event is there before the grant is committed. */
START_TEST(closed_at_once)
{
	mf.close_at_once = true;
	for (int i = 0; i < 10; i++)
		ck_assert_verdict(module_ask("u", i % 2 ? PAGE : 2u << 20, 3), CCBUF_GRANTED);
	fixture_run_until(ledger_count(mf.broker.ledger) == 0);
	fixture_audit_wait();
	ck_assert_uint_eq(module_events_of("grant"), 10);
	ck_assert_uint_eq(module_events_of("release"), 30);
	ck_assert_uint_eq(ledger_bytes(mf.broker.ledger), 0);
}
END_TEST

/* More than are read at once, with some of a kind that nobody knows yet. */
START_TEST(many_events)
{
	enum { ROUNDS = 3 };

	for (int i = 0; i < ROUNDS; i++)
		ck_assert_verdict(module_ask("u", PAGE, REQUEST_COUNT_MAX), CCBUF_GRANTED);
	for (uint64_t i = 0; i < ROUNDS * REQUEST_COUNT_MAX; i++) {
		/* no more than the terminal takes */
		if (i % 64 == 63)
			fixture_settle();
		module_tell(0, i % 2 ? 77 : CCBUF_HEAP_RELEASED, 101 + i, PAGE);
	}
	fixture_settle();
	ck_assert_uint_eq(ledger_count(mf.broker.ledger), ROUNDS * REQUEST_COUNT_MAX / 2);
	for (uint64_t i = 0; i < ROUNDS * REQUEST_COUNT_MAX; i += 2) {
		if (i % 64 == 62)
			heap_events_take(mf.broker.heap_events);
		module_tell(0, CCBUF_HEAP_RELEASED, 102 + i, PAGE);
	}
	heap_events_take(mf.broker.heap_events);
	ck_assert_uint_eq(ledger_count(mf.broker.ledger), 0);
}
END_TEST

/* Before a release is answered, what waits is taken; then there is nothing left to dispatch. */
START_TEST(event_before_a_release)
{
	const struct grant *grant = module_grant("u", PAGE);
	uint64_t id = grant->id;

	module_tell(0, CCBUF_HEAP_RELEASED, grant->watch, PAGE);
	ck_assert_int_eq(ledger_release(mf.broker.ledger, mf.self, id), 0);
	fixture_settle();
	ck_assert_int_eq(ledger_release(mf.broker.ledger, mf.self, id), -ENOENT);
}
END_TEST

START_TEST(events_cannot_be_read)
{
	const struct grant *grant = module_grant("u", PAGE);

	/* the other end goes: read() fails from now on */
	close_fd(&mf.end[0]);
	fixture_settle();
	heap_events_take(mf.broker.heap_events);
	ck_assert_state(grant->state, GRANT_LIVE);
	ck_assert_uint_eq(ledger_bytes(mf.broker.ledger), PAGE);
}
END_TEST

/* --- leaks --- */

static void check_leak(size_t records, const char *size, const char *words)
{
	char *line;

	fixture_audit_wait();
	ck_assert_uint_eq(module_events_of("leak"), records);
	line = fixture_trail_last("\"event\":\"leak\"");
	ck_assert_msg(
		strstr(line, size) && strstr(line, words) && strstr(line, mf.name[0]), "%s", line);
	free(line);
}

START_TEST(leaks)
{
	module_heap();
	fixture_audit_wait();
	ck_assert_uint_eq(module_events_of("leak"), 0);
	mf.stats.leaked_bytes = 8192;
	module_tell(0, CCBUF_HEAP_LEAKED, 0, 8192);
	/* two events, one counter: told once */
	module_tell(0, CCBUF_HEAP_LEAKED, 0, 4096);
	fixture_settle();
	check_leak(1, "\"size\":8192,", "8K in all since the module was loaded\"");
	mf.stats.leaked_bytes = 12288;
	module_tell(0, CCBUF_HEAP_LEAKED, 0, 4096);
	fixture_settle();
	check_leak(2, "\"size\":4096,", "12K in all since the module was loaded\"");
}
END_TEST

START_TEST(leaks_of_before)
{
	mf.stats.leaked_bytes = 4096;
	module_heap();
	check_leak(1, "\"size\":4096,", "before ccbufd opened the heap");
}
END_TEST

/* One device has one counter, however many names it has. */
START_TEST(leaks_of_a_twin)
{
	const struct heap *other;

	module_add_node(1);
	module_heap();
	ck_assert_int_eq(heaps_get(mf.broker.heaps, mf.name[1], &other), 0);
	/* two terminals are two devices; that they are one is as easily said */
	((struct heap *)other)->device = module_heap()->device;
	mf.stats.leaked_bytes = 4096;
	module_tell(0, CCBUF_HEAP_LEAKED, 0, 4096);
	fixture_settle();
	check_leak(1, "\"size\":4096,", "4K in all");
}
END_TEST

START_TEST(leak_that_cannot_be_recorded)
{
	module_heap();
	fixture_audit_fail();
	mf.stats.leaked_bytes = 4096;
	module_tell(0, CCBUF_HEAP_LEAKED, 0, 4096);
	fixture_settle();
	fixture_audit_wait();
	ck_assert_uint_eq(module_events_of("leak"), 0);
	mf.stats.leaked_bytes = 8192;
	fixture_audit_heal();
	/* by itself, and all of it */
	fixture_run_until(module_events_of("leak") == 1);
	check_leak(1, "\"size\":8192,", "8K in all");
}
END_TEST

/* It leaked so much that it gives out nothing any more. */
START_TEST(stopped)
{
	mf.stats.leaked_bytes = 65 << 20;
	mf.stats.flags = CCBUF_HEAP_STAT_STOPPED;
	mf.alloc_error = -EIO;
	ck_assert_verdict(module_ask("u", PAGE, 1), CCBUF_HEAP_UNAVAILABLE);
	ck_assert_msg(strstr(mf.reason, "65M could not be made private again"), "%s", mf.reason);
	ck_assert_msg(strstr(mf.reason, "restart the machine"), "%s", mf.reason);
	mf.stats.flags = 0;
	ck_assert_verdict(module_ask("u", PAGE, 1), CCBUF_INTERNAL);
	ck_assert_msg(strstr(mf.reason, "Input/output error"), "%s", mf.reason);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { module_set_up, module_tear_down };
	const struct test tests[] = {
		{ what_it_can },
		{ another_heap },
		{ buffer },
		{ cannot_be_watched },
		{ closed_at_once },
		{ many_events },
		{ event_before_a_release },
		{ events_cannot_be_read },
		{ leaks },
		{ leaks_of_before },
		{ leaks_of_a_twin },
		{ leak_that_cannot_be_recorded },
		{ stopped },
		{ NULL },
	};

	return run_tests(argc, argv, "heap-events", &hooks, tests);
}

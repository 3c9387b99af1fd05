/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the ledger with heaps that tell when a buffer is released: no fd is kept, nothing is
 * looked at, nothing ends twice or too early, and who comes after the event is told the truth. Also
 * of grants that are taken back, and of reviews.
 */
#include "ledger-fixture.h"
#include "ledger/state.h"

#define PAGE 4096

static struct peer *self;

static void set_up(void)
{
	ledger_set_up("{ \"version\": 1, \"uses\": { \"u\": { \"heap\": \"emulated\" },"
		      " \"few\": { \"heap\": \"emulated\" } }, \"rules\": ["
		      " { \"name\": \"r\", \"match\": {}, \"allow\": { \"use\": [\"u\"] } },"
		      " { \"name\": \"f\", \"match\": {},"
		      "   \"allow\": { \"use\": [\"few\"], \"buffers\": 1 } } ] }");
	lf.heap = &telling_heap;
	self = fixture_self();
}

static void tear_down(void)
{
	self = peer_unref(self);
	ledger_tear_down();
}

static void wait_for_word(int fd, void *userdata)
{
	char word;

	(void)userdata;
	(void)!read(fd, &word, 1);
}

/* What the heap has to tell, until it is asked. */
static struct {
	uint64_t watches[4];
	size_t count;
	unsigned int asked;
} untold;

static void take(void *userdata)
{
	(void)userdata;
	untold.asked++;
	while (untold.count > 0)
		ledger_ended(lf.ledger, &telling_heap, untold.watches[--untold.count]);
}

static void tell_when_asked(uint64_t watch)
{
	untold.watches[untold.count++] = watch;
	ledger_set_source(lf.ledger, take, NULL);
}

START_TEST(event_releases)
{
	size_t fds = fixture_fds();
	struct grant *one = grant_watched(self, "u", PAGE, 7), *two;

	/* the event source of the peer's exit, but no fd of the buffer, and no timer */
	two = grant_watched(self, "u", 2 * PAGE, 8);
	ck_assert_uint_eq(fixture_fds(), fds);
	ck_assert_int_eq(sd_event_source_get_enabled(lf.ledger->timer, NULL), 0);
	ck_assert_int_eq(one->fd, -1);
	ledger_ended(lf.ledger, &telling_heap, 7);
	ck_assert_state(one->state, GRANT_RELEASED);
	ck_assert_state(two->state, GRANT_LIVE);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 2 * PAGE);
	ck_assert_uint_eq(lf.released, 1);
	ck_assert_str_eq(lf.reason, "no longer held");
	fixture_audit_wait();
	ck_assert_uint_eq(fixture_trail_count("\"event\":\"release\""), 1);
	/* nobody was asked who holds it */
	ck_assert_uint_eq(lf.looks, 0);
	ledger_ended(lf.ledger, &telling_heap, 8);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 0);
	ck_assert_uint_eq(ledger_count(lf.ledger), 0);
}
END_TEST

/* Of a number that no grant has, of another heap's, of one that ended: nothing happens. */
START_TEST(events_of_no_grant)
{
	struct grant *grant = grant_watched(self, "u", PAGE, 7);

	ledger_ended(lf.ledger, &telling_heap, 6);
	ledger_ended(lf.ledger, &other_telling_heap, 7);
	ledger_ended(lf.ledger, &telling_heap, 0);
	ck_assert_state(grant->state, GRANT_LIVE);
	ledger_ended(lf.ledger, &telling_heap, 7);
	ledger_ended(lf.ledger, &telling_heap, 7);
	ck_assert_uint_eq(lf.released, 1);
	fixture_audit_wait();
	ledger_ended(lf.ledger, &telling_heap, 7);
	ck_assert_uint_eq(lf.released, 1);
	/* the same number of two heaps is two buffers */
	grant = grant_watched(self, "u", PAGE, 9);
	lf.heap = &other_telling_heap;
	grant_watched(self, "u", 2 * PAGE, 9);
	ledger_ended(lf.ledger, &telling_heap, 9);
	ck_assert_state(grant->state, GRANT_RELEASED);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 2 * PAGE);
}
END_TEST

/* A request that comes to nothing closes its buffers, and the heap tells of that, too. */
START_TEST(event_of_what_was_cancelled)
{
	const struct buffer_id buffers[2] = { { 1, 7 }, { 2, 8 } };
	struct grant *grants[2];

	ck_assert_verdict(reserve(self, "u", PAGE, 2, grants), CCBUF_GRANTED);
	ck_assert_int_eq(ledger_number(lf.ledger, grants, 2, buffers), 0);
	ledger_numbered(lf.ledger, grants, 2, true);
	ledger_cancel(lf.ledger, grants[1]);
	ledger_ended(lf.ledger, &telling_heap, 8);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), PAGE);
	ledger_cancel(lf.ledger, grants[0]);
	ledger_ended(lf.ledger, &telling_heap, 7);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 0);
	ck_assert_uint_eq(lf.released, 0);
	ck_assert_ptr_null(lf.ledger->by_watch);
}
END_TEST

/* Without a record the numbers are taken back, the buffers when the grants are. */
START_TEST(no_number)
{
	const struct buffer_id buffers[2] = { { 1, 7 }, { 2, 7 } };
	struct grant *grants[2];

	ck_assert_verdict(reserve(self, "u", PAGE, 2, grants), CCBUF_GRANTED);
	ck_assert_int_eq(ledger_number(lf.ledger, grants, 2, buffers), 0);
	ledger_numbered(lf.ledger, grants, 2, false);
	ck_assert_uint_eq(grants[0]->id + grants[1]->id, 0);
	ck_assert_ptr_null(lf.ledger->by_id);
	ledger_cancel(lf.ledger, grants[0]);
	ledger_cancel(lf.ledger, grants[1]);
	ck_assert_ptr_null(lf.ledger->by_watch);
}
END_TEST

/* A client closes its buffer, and only then says that it needs it no more. */
START_TEST(release_after_the_event)
{
	struct grant *told = grant_watched(self, "u", PAGE, 7);
	struct grant *untold_yet = grant_watched(self, "u", PAGE, 8);
	struct grant *held = grant_watched(self, "u", PAGE, 9);
	uint64_t id = told->id;

	ledger_ended(lf.ledger, &telling_heap, 7);
	fixture_audit_wait();
	ck_assert_int_eq(ledger_release(lf.ledger, self, id), 0);
	/* once */
	ck_assert_int_eq(ledger_release(lf.ledger, self, id), -ENOENT);
	tell_when_asked(8);
	id = untold_yet->id;
	ck_assert_int_eq(ledger_release(lf.ledger, self, id), 0);
	ck_assert_int_eq(ledger_release(lf.ledger, self, id), -ENOENT);
	id = held->id;
	ck_assert_int_eq(ledger_release(lf.ledger, self, id), 1);
	ck_assert_state(held->state, GRANT_LIVE);
	ck_assert_int_eq(ledger_release(lf.ledger, self, id), 1);
	ledger_ended(lf.ledger, &telling_heap, 9);
	ck_assert_str_eq(lf.reason, "released by the peer");
	fixture_audit_wait();
	ck_assert_int_eq(ledger_release(lf.ledger, self, id), 0);
	ck_assert_int_eq(ledger_release(lf.ledger, self, 0), -ENOENT);
}
END_TEST

START_TEST(release_by_another_after_the_event)
{
	struct grant *grant = grant_watched(self, "u", PAGE, 7);
	uint64_t id = grant->id;
	struct child child;
	struct peer *peer;

	child_start(&child, wait_for_word, NULL);
	peer = child_peer(&child);
	ledger_ended(lf.ledger, &telling_heap, 7);
	ck_assert_int_eq(ledger_release(lf.ledger, peer, id), -ENOENT);
	ck_assert_int_eq(ledger_release(lf.ledger, self, id), 0);
	peer_unref(peer);
	child_kill(&child);
}
END_TEST

START_TEST(only_so_many_are_remembered)
{
	struct grant *first = grant_watched(self, "u", PAGE, 1);
	uint64_t id = first->id;

	ledger_ended(lf.ledger, &telling_heap, 1);
	for (uint64_t i = 0; i < ENDED_MAX; i++) {
		grant_watched(self, "u", PAGE, 10 + i);
		ledger_ended(lf.ledger, &telling_heap, 10 + i);
		if (i % 256 == 0)
			fixture_audit_wait();
	}
	ck_assert_int_eq(ledger_release(lf.ledger, self, id), -ENOENT);
	ck_assert_int_eq(ledger_release(lf.ledger, self, id + 1), 0);
}
END_TEST

/* Who closes a buffer and asks for another finds that there is room. */
START_TEST(room_after_an_untold_event)
{
	struct grant *grant, *next;

	grant = grant_watched(self, "few", PAGE, 7);
	ck_assert_verdict(reserve(self, "few", PAGE, 1, &next), CCBUF_BUFFERS_LIMIT);
	tell_when_asked(7);
	ck_assert_verdict(would_reserve(self, "few", PAGE, 1), CCBUF_BUFFERS_LIMIT);
	ck_assert_uint_eq(untold.asked, 0);
	ck_assert_verdict(reserve(self, "few", PAGE, 1, &next), CCBUF_GRANTED);
	ck_assert_state(grant->state, GRANT_RELEASED);
	ledger_cancel(lf.ledger, next);
}
END_TEST

START_TEST(orphan_until_the_event)
{
	struct child child;
	struct grant *grant;
	struct peer *peer;
	size_t fds;

	child_start(&child, wait_for_word, NULL);
	fds = fixture_fds();
	peer = child_peer(&child);
	grant = grant_watched(peer, "u", PAGE, 7);
	peer_unref(peer);
	child_say(&child, 'x');
	fixture_run_until(grant->state == GRANT_ORPHANED);
	fixture_settle();
	/* of the dead nothing is kept open, however long its buffer lives */
	ck_assert_uint_eq(fixture_fds(), fds);
	child_wait(&child);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), PAGE);
	ck_assert_uint_eq(visible(), 1);
	ck_assert_int_eq(sd_event_source_get_enabled(lf.ledger->timer, NULL), 0);
	fixture_audit_wait();
	ck_assert_uint_eq(fixture_trail_count("\"event\":\"orphan\""), 1);
	ledger_ended(lf.ledger, &telling_heap, 7);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 0);
	fixture_audit_wait();
	ck_assert_uint_eq(fixture_trail_count("\"event\":\"release\""), 1);
	ck_assert_ptr_null(lf.ledger->holders);
}
END_TEST

/* A process lets go of all before its end can be seen: what the heap has not told yet comes first.
 */
START_TEST(exit_after_an_untold_event)
{
	struct child child;
	struct peer *peer;

	child_start(&child, wait_for_word, NULL);
	peer = child_peer(&child);
	grant_watched(peer, "u", PAGE, 7);
	peer_unref(peer);
	tell_when_asked(7);
	child_kill(&child);
	fixture_run_until(lf.released == 1);
	fixture_audit_wait();
	ck_assert_uint_eq(fixture_trail_count("\"event\":\"orphan\""), 0);
	ck_assert_ptr_null(lf.ledger->holders);
}
END_TEST

/* The commit of a grant whose peer is gone, before and after that was seen. */
START_TEST(commit_for_the_dead)
{
	const struct buffer_id buffers[2] = { { 1, 7 }, { 2, 8 } };
	struct grant *grants[2];
	struct child child;
	struct peer *peer;
	int fd = -1;

	child_start(&child, wait_for_word, NULL);
	peer = child_peer(&child);
	ck_assert_verdict(reserve(peer, "u", PAGE, 2, grants), CCBUF_GRANTED);
	ck_assert_int_eq(ledger_number(lf.ledger, grants, 2, buffers), 0);
	ledger_numbered(lf.ledger, grants, 2, true);
	child_kill(&child);
	ledger_commit(lf.ledger, grants[0], &fd);
	fixture_run_until(grants[0]->state == GRANT_ORPHANED);
	fixture_settle();
	ledger_commit(lf.ledger, grants[1], &fd);
	ck_assert_state(grants[1]->state, GRANT_LIVE);
	fixture_run_until(grants[1]->state == GRANT_ORPHANED);
	ck_assert(!peer_alive(peer));
	ck_assert_int_eq(peer_check(peer, &(const char *){ NULL }), -ESRCH);
	peer_unref(peer);
	ledger_ended(lf.ledger, &telling_heap, 8);
	ledger_ended(lf.ledger, &telling_heap, 7);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 0);
}
END_TEST

/* Without a watch on the exit the timer has to look, at the peer only. */
START_TEST(exit_that_cannot_be_watched)
{
	struct child child;
	struct grant *grant;
	struct peer *peer;

	child_start(&child, wait_for_word, NULL);
	peer = child_peer(&child);
	lf.no_exit_watch = true;
	grant = grant_watched(peer, "u", PAGE, 7);
	peer_unref(peer);
	lf.no_exit_watch = false;
	child_kill(&child);
	fixture_run_until(grant->state == GRANT_ORPHANED);
	ck_assert_uint_eq(lf.looks, 0);
	ledger_ended(lf.ledger, &telling_heap, 7);
}
END_TEST

/* More ends at once than records may be under way: each is recorded in the end. */
START_TEST(many_at_once)
{
	enum { MANY = RELEASES_MAX + 100 };

	for (uint64_t i = 0; i < MANY; i++)
		grant_watched(self, "u", PAGE, 1 + i);
	for (uint64_t i = 0; i < MANY; i++)
		ledger_ended(lf.ledger, &telling_heap, 1 + i);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 0);
	ck_assert_uint_le(lf.ledger->n_records, RELEASES_MAX);
	fixture_run_until(!lf.ledger->holders);
	ck_assert_uint_eq(fixture_trail_count("\"event\":\"release\""), MANY);
}
END_TEST

/* --- taken back --- */

START_TEST(revoked_until_the_event)
{
	struct grant *grant = grant_watched(self, "u", PAGE, 7);
	uint64_t id = grant->id;

	ck_assert_ptr_eq(ledger_find(lf.ledger, id), grant);
	ck_assert_ptr_null(ledger_find(lf.ledger, id + 1));
	ledger_revoked(lf.ledger, id);
	ledger_revoked(lf.ledger, id);
	ledger_revoked(lf.ledger, id + 1);
	ck_assert_state(grant->state, GRANT_REVOKED);
	ck_assert_uint_eq(lf.revoked, 1);
	/* charged until it is really gone */
	ck_assert_uint_eq(ledger_bytes(lf.ledger), PAGE);
	ck_assert_uint_eq(visible(), 1);
	ck_assert_int_eq(ledger_release(lf.ledger, self, id), 1);
	ledger_ended(lf.ledger, &telling_heap, 7);
	ck_assert_str_eq(lf.reason, "revoked");
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 0);
	ck_assert_ptr_null(ledger_find(lf.ledger, id));
	ledger_revoked(lf.ledger, id);
	ledger_not_revoked(lf.ledger, id);
	ck_assert_uint_eq(lf.revoked, 1);
	fixture_audit_wait();
	ledger_not_revoked(lf.ledger, id);
}
END_TEST

START_TEST(revoked_is_no_orphan)
{
	struct child child;
	struct grant *grant;
	struct peer *peer;

	child_start(&child, wait_for_word, NULL);
	peer = child_peer(&child);
	grant = grant_watched(peer, "u", PAGE, 7);
	peer_unref(peer);
	ledger_revoked(lf.ledger, grant->id);
	child_kill(&child);
	fixture_run_until(grant->holder->gone);
	fixture_settle();
	ck_assert_state(grant->state, GRANT_REVOKED);
	/* it failed after all */
	ledger_not_revoked(lf.ledger, grant->id);
	ck_assert_state(grant->state, GRANT_ORPHANED);
	ledger_revoked(lf.ledger, grant->id);
	ledger_ended(lf.ledger, &telling_heap, 7);
	fixture_audit_wait();
	ck_assert_uint_eq(fixture_trail_count("\"event\":\"orphan\""), 0);
}
END_TEST

START_TEST(not_revoked_after_all)
{
	struct grant *grant = grant_watched(self, "u", PAGE, 7);

	ledger_not_revoked(lf.ledger, grant->id);
	ck_assert_state(grant->state, GRANT_LIVE);
	ledger_revoked(lf.ledger, grant->id);
	ledger_not_revoked(lf.ledger, grant->id);
	ck_assert_state(grant->state, GRANT_LIVE);
}
END_TEST

START_TEST(what_a_review_needs)
{
	struct request request = {
		.use = "few", .size = 100, .count = 1, .accept_shared = true, .read_only = true
	};
	struct decision decision;
	struct grant *grant;

	policy_decide(lf.policy, &self->identity, &request, &decision);
	ck_assert_verdict(ledger_reserve(lf.ledger, self, &request, &decision, &lf.settings,
				  &telling_heap, PAGE, &grant, lf.refusal),
		CCBUF_GRANTED);
	ck_assert_uint_eq(grant->asked, 100);
	ck_assert_uint_eq(grant->size, PAGE);
	ck_assert(grant->accept_shared && grant->read_only);
	ck_assert_ptr_eq(grant->node, &telling_heap);
	ledger_cancel(lf.ledger, grant);
	grant = grant_watched(self, "u", PAGE, 1);
	ck_assert(!grant->accept_shared);
}
END_TEST

static void collect(void *userdata, const struct grant *grant)
{
	uint64_t *seen = userdata;

	*seen |= UINT64_C(1) << grant->watch;
}

START_TEST(review_sees_each_once)
{
	struct grant *grants[6], *reserved;
	uint64_t seen = 0, again = 0;

	for (uint64_t i = 0; i < ARRAY_SIZE(grants); i++)
		grants[i] = grant_watched(self, "u", PAGE, 1 + i);
	ck_assert_verdict(reserve(self, "u", PAGE, 1, &reserved), CCBUF_GRANTED);
	ledger_review_start(lf.ledger);
	ck_assert(ledger_review(lf.ledger, 2, collect, &seen));
	ck_assert_uint_eq(seen, 1 << 1 | 1 << 2);
	/* meanwhile the next one ends, one is moved to the end, one comes */
	ledger_ended(lf.ledger, &telling_heap, 3);
	grant_remove(lf.ledger, grants[3]);
	grant_append(lf.ledger, grants[3]);
	grant_remove(lf.ledger, grants[0]);
	grant_append(lf.ledger, grants[0]);
	ck_assert(ledger_review(lf.ledger, 1, collect, &again));
	ck_assert_uint_eq(again, 1 << 5);
	again = 0;
	ck_assert(ledger_review(lf.ledger, 1, collect, &again));
	grant_watched(self, "u", PAGE, 20);
	while (ledger_review(lf.ledger, 1, collect, &again))
		;
	ck_assert_uint_eq(again, 1 << 6 | 1 << 4 | 1 << 20);
	/* at its end, what is moved there was seen, and what comes is not waited for */
	ck_assert(!ledger_review(lf.ledger, 1, collect, &again));
	ledger_review_start(lf.ledger);
	seen = 0;
	ck_assert(!ledger_review(lf.ledger, 100, collect, &seen));
	ck_assert_uint_eq(seen, 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 20);
	ledger_cancel(lf.ledger, reserved);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, tear_down };
	const struct test tests[] = {
		{ event_releases },
		{ events_of_no_grant },
		{ event_of_what_was_cancelled },
		{ no_number },
		{ release_after_the_event },
		{ release_by_another_after_the_event },
		{ only_so_many_are_remembered },
		{ room_after_an_untold_event },
		{ orphan_until_the_event },
		{ exit_after_an_untold_event },
		{ commit_for_the_dead },
		{ exit_that_cannot_be_watched },
		{ many_at_once },
		{ revoked_until_the_event },
		{ revoked_is_no_orphan },
		{ not_revoked_after_all },
		{ what_a_review_needs },
		{ review_sees_each_once },
		{ NULL },
	};

	return run_tests(argc, argv, "ledger-events", &hooks, tests);
}

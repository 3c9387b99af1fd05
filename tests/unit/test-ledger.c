/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the ledger: the states of a grant, who may end it, what is recorded when.
 */
#include "ledger-fixture.h"
#include "ledger/state.h"

#define PAGE 4096

static struct peer *self;

static void set_up(void)
{
	ledger_set_up("{ \"version\": 1, \"uses\": { \"u\": { \"heap\": \"emulated\" } },"
		      " \"rules\": [ { \"name\": \"r\", \"match\": {}, \"allow\": { \"use\": "
		      "[\"u\"] } } ] }");
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

START_TEST(numbers_in_no_record_come_again)
{
	static const struct buffer_id buffer = { .inode = 1 };
	struct grant *a, *b, *c;
	uint64_t first;

	ck_assert_verdict(reserve(self, "u", PAGE, 1, &a), CCBUF_GRANTED);
	ck_assert_verdict(reserve(self, "u", PAGE, 1, &b), CCBUF_GRANTED);
	ck_assert_verdict(reserve(self, "u", PAGE, 1, &c), CCBUF_GRANTED);
	ck_assert_uint_eq(a->id, 0);
	ck_assert_int_eq(ledger_number(lf.ledger, &a, 1, &buffer), 0);
	ck_assert_int_eq(ledger_number(lf.ledger, &b, 1, &buffer), 0);
	first = a->id;
	ck_assert_uint_eq(b->id, first + 1);
	/* Records fail in the order they were appended. */
	ledger_numbered(lf.ledger, &a, 1, false);
	ck_assert_uint_eq(a->id, 0);
	/* b's record may yet be written. */
	ck_assert_int_eq(ledger_number(lf.ledger, &c, 1, &buffer), 0);
	ck_assert_uint_eq(c->id, first + 2);
	ledger_numbered(lf.ledger, &b, 1, false);
	ledger_numbered(lf.ledger, &c, 1, false);
	ck_assert_int_eq(ledger_number(lf.ledger, &b, 1, &buffer), 0);
	ck_assert_uint_eq(b->id, first);
	ledger_numbered(lf.ledger, &b, 1, true);
	ck_assert_int_eq(ledger_number(lf.ledger, &c, 1, &buffer), 0);
	ck_assert_uint_eq(c->id, first + 1);
	ledger_numbered(lf.ledger, &c, 1, false);
	ledger_cancel(lf.ledger, a);
	ledger_cancel(lf.ledger, b);
	ledger_cancel(lf.ledger, c);
}
END_TEST

START_TEST(reserve_commit_release)
{
	static const struct buffer_id buffers[3] = { { 100, 0 }, { 101, 0 }, { 102, 0 } };
	struct grant *grants[3];
	uint64_t id;
	char *line;
	int fd = -1;

	lf.heap = &mute_heap;
	ck_assert_verdict(reserve(self, "u", 2 * PAGE, 3, grants), CCBUF_GRANTED);
	ck_assert_int_eq(ledger_number(lf.ledger, grants, 3, buffers), 0);
	ledger_numbered(lf.ledger, grants, 3, true);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 6 * PAGE);
	ck_assert_uint_eq(ledger_count(lf.ledger), 3);
	ck_assert_uint_eq(visible(), 0);
	ck_assert_uint_eq(lf.added, 0);
	for (uint64_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(grants[i]->id, grants[0]->id + i);
		ck_assert_str_eq(grants[i]->use, "u");
		ck_assert_str_eq(grants[i]->label, "a label");
		ck_assert_str_eq(grants[i]->heap, "emulated");
		ck_assert_str_eq(grants[i]->rule_name, "r");
		ck_assert_ptr_eq(grant_identity(grants[i]), &self->identity);
		ledger_commit(lf.ledger, grants[i], &fd);
		ck_assert_uint_gt(grants[i]->since_usec, 0);
	}
	ck_assert_uint_eq(lf.added, 3);
	ck_assert_uint_eq(visible(), 3);
	id = grants[1]->id;
	ck_assert_int_eq(ledger_release(lf.ledger, self, id), 0);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 4 * PAGE);
	ck_assert_uint_eq(ledger_count(lf.ledger), 2);
	ck_assert_uint_eq(visible(), 2);
	ck_assert_uint_eq(lf.released, 1);
	ck_assert_int_eq(ledger_release(lf.ledger, self, id), -ENOENT);
	fixture_audit_wait();
	ck_assert_int_eq(ledger_release(lf.ledger, self, id), -ENOENT);
	ck_assert_uint_eq(fixture_trail_count("\"event\":\"release\""), 1);
	line = fixture_trail_last("\"event\":\"release\"");
	ck_assert_ptr_nonnull(strstr(line, "released by the peer"));
	ck_assert_ptr_nonnull(strstr(line, "101"));
	free(line);
}
END_TEST

START_TEST(cancel_leaves_nothing)
{
	unsigned int refs = self->refs;
	struct grant *grants[2];

	ck_assert_verdict(reserve(self, "u", PAGE, 2, grants), CCBUF_GRANTED);
	ck_assert_uint_gt(self->refs, refs);
	/* nobody can release what was not handed out */
	ck_assert_int_eq(ledger_release(lf.ledger, self, grants[0]->id), -ENOENT);
	ledger_check_peer(lf.ledger, self);
	ledger_cancel(lf.ledger, grants[0]);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), PAGE);
	ledger_cancel(lf.ledger, grants[1]);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 0);
	ck_assert_uint_eq(ledger_count(lf.ledger), 0);
	ck_assert_uint_eq(self->refs, refs);
	ck_assert_uint_eq(lf.ledger->rules.count, 0);
	ck_assert_ptr_null(lf.ledger->holders);
	fixture_audit_wait();
	ck_assert_uint_eq(fixture_trail_count("\"event\":\"release\""), 0);
	ck_assert_uint_eq(lf.added + lf.released, 0);
}
END_TEST

START_TEST(no_memory_leaves_nothing)
{
	unsigned int refs = self->refs;
	enum ccbuf_verdict verdict;
	struct grant *grants[3];
	int n = 0;

	do {
		lf.allocations = n++;
		verdict = reserve(self, "u", PAGE, 3, grants);
		if (verdict != CCBUF_GRANTED) {
			ck_assert_verdict(verdict, CCBUF_INTERNAL);
			ck_assert_uint_eq(ledger_bytes(lf.ledger), 0);
			ck_assert_uint_eq(ledger_count(lf.ledger), 0);
			ck_assert_ptr_null(TAILQ_FIRST(&lf.ledger->grants));
			ck_assert_ptr_null(lf.ledger->holders);
			ck_assert_uint_eq(lf.ledger->rules.count, 0);
			ck_assert_uint_eq(self->refs, refs);
		}
	} while (verdict != CCBUF_GRANTED);
	/* an account, a holder and three grants, each with its texts */
	ck_assert_int_gt(n, 10);
	for (int i = 0; i < 3; i++)
		ledger_cancel(lf.ledger, grants[i]);
}
END_TEST

/* Still held: the peer's word is not enough, the grant stays live and charged. */
START_TEST(release_of_a_held_buffer)
{
	struct grant *grant = grant_counted(self, "u", PAGE);

	hold(grant, 2);
	ck_assert_int_eq(ledger_release(lf.ledger, self, grant->id), 1);
	ck_assert_state(grant->state, GRANT_LIVE);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), PAGE);
	/* nor is it gone when nobody can tell */
	hold(grant, -EIO);
	ck_assert_int_eq(ledger_release(lf.ledger, self, grant->id), 1);
	hold(grant, 0);
	ck_assert_int_eq(ledger_release(lf.ledger, self, grant->id), 0);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 0);
}
END_TEST

START_TEST(timer_finds_what_was_let_go)
{
	struct grant *grant = grant_counted(self, "u", PAGE);

	hold(grant, 0);
	fixture_run_until(lf.released);
	ck_assert_str_eq(lf.reason, "no longer held");
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 0);
	fixture_audit_wait();
	/* with nothing left to look at it stops */
	fixture_run_until(sd_event_source_get_enabled(lf.ledger->timer, NULL) == 0);
	grant_counted(self, "u", PAGE);
	ck_assert_int_ne(sd_event_source_get_enabled(lf.ledger->timer, NULL), 0);
}
END_TEST

START_TEST(orphan_then_release)
{
	struct child child;
	struct grant *grant;
	struct peer *peer;

	child_start(&child, wait_for_word, NULL);
	peer = child_peer(&child);
	grant = grant_counted(peer, "u", PAGE);
	peer_unref(peer);
	child_kill(&child);
	fixture_run_until(grant->state == GRANT_ORPHANED);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), PAGE);
	ck_assert_uint_eq(visible(), 1);
	for (unsigned int n = lf.looks; lf.looks < n + 5;)
		ck_assert_int_gt(sd_event_run(fixture.loop, 10000000), 0);
	fixture_audit_wait();
	ck_assert_uint_eq(fixture_trail_count("\"event\":\"orphan\""), 1);
	ck_assert_uint_eq(fixture_trail_count("\"event\":\"release\""), 0);
	ck_assert_uint_eq(lf.released, 0);
	hold(grant, 0);
	fixture_run_until(lf.released);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 0);
	fixture_audit_wait();
	ck_assert_uint_eq(fixture_trail_count("\"event\":\"orphan\""), 1);
	ck_assert_uint_eq(fixture_trail_count("\"event\":\"release\""), 1);
	ck_assert_ptr_null(lf.ledger->holders);
}
END_TEST

START_TEST(exit_releases_what_nobody_holds)
{
	struct child child;
	struct grant *counted;
	struct peer *peer;

	child_start(&child, wait_for_word, NULL);
	peer = child_peer(&child);
	counted = grant_counted(peer, "u", PAGE);
	grant_uncounted(peer, "u", PAGE);
	peer_unref(peer);
	hold(counted, 0);
	child_kill(&child);
	fixture_run_until(lf.released == 2);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 0);
	fixture_audit_wait();
	ck_assert_uint_eq(fixture_trail_count("\"event\":\"orphan\""), 0);
	ck_assert_uint_eq(fixture_trail_count("\"event\":\"release\""), 2);
	ck_assert_ptr_null(lf.ledger->holders);
}
END_TEST

/* It died after the last look at it and before the commit. */
START_TEST(commit_for_the_dead)
{
	struct grant *grant, *late;
	struct child child;
	struct peer *peer;
	int fd = -1;

	lf.heap = &mute_heap;
	child_start(&child, wait_for_word, NULL);
	peer = child_peer(&child);
	ck_assert_verdict(reserve(peer, "u", PAGE, 1, &grant), CCBUF_GRANTED);
	ck_assert_verdict(reserve(peer, "u", PAGE, 1, &late), CCBUF_GRANTED);
	child_kill(&child);
	ledger_commit(lf.ledger, grant, &fd);
	fixture_run_until(lf.released == 1);
	/* and one more, when the exit has been told already */
	ledger_commit(lf.ledger, late, &fd);
	fixture_run_until(lf.released == 2);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 0);
	peer_unref(peer);
}
END_TEST

/* A peer whose exit cannot be watched is found by the timer. */
START_TEST(exit_that_cannot_be_watched)
{
	struct child child;
	struct peer *peer;

	child_start(&child, wait_for_word, NULL);
	peer = child_peer(&child);
	lf.no_exit_watch = true;
	grant_uncounted(peer, "u", PAGE);
	peer_unref(peer);
	lf.no_exit_watch = false;
	child_kill(&child);
	fixture_run_until(lf.released == 1);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 0);
}
END_TEST

START_TEST(hang_up_of_a_living_peer)
{
	struct grant *kept = grant_uncounted(self, "u", PAGE);
	struct grant *held = grant_counted(self, "u", PAGE), *dropped;

	dropped = grant_counted(self, "u", PAGE);
	hold(dropped, 0);
	ledger_check_peer(lf.ledger, self);
	ck_assert_uint_eq(lf.released, 1);
	ck_assert_state(dropped->state, GRANT_RELEASED);
	ck_assert_state(held->state, GRANT_LIVE);
	ck_assert_state(kept->state, GRANT_LIVE);
}
END_TEST

START_TEST(hang_up_of_a_dead_peer)
{
	struct child child;
	struct grant *held;
	struct peer *peer;

	child_start(&child, wait_for_word, NULL);
	peer = child_peer(&child);
	grant_uncounted(peer, "u", PAGE);
	held = grant_counted(peer, "u", PAGE);
	child_kill(&child);
	/* before the loop has told */
	ledger_check_peer(lf.ledger, peer);
	ck_assert_uint_eq(lf.released, 1);
	ck_assert_state(held->state, GRANT_ORPHANED);
	peer_unref(peer);
}
END_TEST

START_TEST(release_by_another_process)
{
	struct grant *grant = grant_uncounted(self, "u", PAGE);
	struct peer *peer, later;
	struct child child;

	child_start(&child, wait_for_word, NULL);
	peer = child_peer(&child);
	ck_assert_int_eq(ledger_release(lf.ledger, peer, grant->id), -ENOENT);
	/* not with a grant of its own either */
	grant_uncounted(peer, "u", PAGE);
	ck_assert_int_eq(ledger_release(lf.ledger, peer, grant->id), -ENOENT);
	ck_assert_int_eq(ledger_release(lf.ledger, self, grant->id + 1), -ENOENT);
	ck_assert_int_eq(ledger_release(lf.ledger, self, 0), -ENOENT);
	ck_assert_int_eq(ledger_release(lf.ledger, self, UINT64_MAX), -ENOENT);
	ck_assert_uint_eq(ledger_count(lf.ledger), 2);
	/* nor by a process that later has its pid */
	later = *peer;
	later.identity.start_time++;
	ck_assert_int_eq(ledger_release(lf.ledger, &later, grant->id + 1), -ENOENT);
	peer_unref(peer);
	child_kill(&child);
}
END_TEST

START_TEST(two_connections_share_a_holder)
{
	struct peer *other = fixture_self();
	struct grant *a = grant_uncounted(self, "u", PAGE), *b = grant_uncounted(other, "u", PAGE);

	ck_assert_ptr_ne(self, other);
	ck_assert_ptr_eq(a->holder, b->holder);
	ck_assert_int_eq(ledger_release(lf.ledger, other, a->id), 0);
	ck_assert_int_eq(ledger_release(lf.ledger, self, b->id), 0);
	peer_unref(other);
	fixture_audit_wait();
	ck_assert_ptr_null(lf.ledger->holders);
}
END_TEST

/* A process that has become another user since its first grant: each grant says who asked for it.
 */
START_TEST(grants_say_who_asked)
{
	struct peer *later = fixture_self();
	struct grant *a = grant_uncounted(self, "u", PAGE), *b;
	char *line;

	later->identity.uid = later->inspection->uids[1] = 4242;
	b = grant_uncounted(later, "u", PAGE);
	peer_unref(later);
	ck_assert_ptr_eq(a->holder, b->holder);
	ck_assert_uint_eq(grant_identity(a)->uid, geteuid());
	ck_assert_uint_eq(grant_identity(b)->uid, 4242);
	ck_assert_int_eq(ledger_release(lf.ledger, self, a->id), 0);
	ck_assert_int_eq(ledger_release(lf.ledger, self, b->id), 0);
	fixture_audit_wait();
	line = fixture_trail_last("\"event\":\"release\"");
	ck_assert_msg(strstr(line, "4242"), "%s", line);
	free(line);
}
END_TEST

static unsigned int n_unrecorded(void)
{
	unsigned int n = 0;

	for (const struct grant *g = TAILQ_FIRST(&lf.ledger->unrecorded); g;
		g = TAILQ_NEXT(g, in_ledger))
		n++;
	return n;
}

/* The totals fall at once, the record follows when it can be written, however long that takes. */
START_TEST(release_is_recorded_in_the_end)
{
	struct grant *a = grant_uncounted(self, "u", PAGE), *b = grant_uncounted(self, "u", PAGE);

	fixture_audit_fail();
	ck_assert_int_eq(ledger_release(lf.ledger, self, a->id), 0);
	ck_assert_int_eq(ledger_release(lf.ledger, self, b->id), 0);
	ck_assert_uint_eq(ledger_bytes(lf.ledger), 0);
	fixture_audit_wait();
	ck_assert_uint_eq(n_unrecorded(), 2);
	/* a few tries that fail too */
	for (int i = 0; i < 3; i++) {
		fixture_run_until(n_unrecorded() == 0);
		fixture_run_until(n_unrecorded() == 2);
	}
	ck_assert_uint_eq(fixture_trail_count("\"event\":\"release\""), 0);
	fixture_audit_heal();
	fixture_run_until(fixture_trail_count("\"event\":\"release\"") == 2);
	fixture_run_until(lf.ledger->holders == NULL);
	ck_assert_uint_eq(lf.released, 2);
	/* Which is no loss: only the test's own marker could not be recorded. */
	fixture_audit_wait();
	ck_assert_uint_eq(fixture_trail_count("events could not be recorded"), 0);
	ck_assert_uint_eq(fixture_trail_count("1 event could not be recorded"), 1);
}
END_TEST

/* What cannot be recorded before the stop counts as lost, and whose it was. */
START_TEST(release_is_not_recorded_in_the_end)
{
	struct grant *a = grant_uncounted(self, "u", PAGE), *b = grant_uncounted(self, "u", PAGE);
	struct audit_settings settings = { .path = fixture.trail };
	char expected[64];

	fixture_audit_fail();
	ck_assert_int_eq(ledger_release(lf.ledger, self, a->id), 0);
	ck_assert_int_eq(ledger_release(lf.ledger, self, b->id), 0);
	fixture_run_until(n_unrecorded() == 2);
	ledger_record_rest(lf.ledger);
	fixture_end_audit();
	lf.ledger = ledger_free(lf.ledger);
	fixture_audit_heal();
	ck_assert_int_eq(audit_new(fixture.loop, &settings, &fixture.audit), 0);
	snprintf(expected, sizeof(expected), "2 events could not be recorded: %s (user %u: 2)",
		strerror(EFBIG), self->identity.uid);
	fixture_run_until(fixture_trail_count(expected) == 1);
}
END_TEST

START_TEST(free_lets_go_of_all)
{
	struct grant *reserved, *released;

	grant_counted(self, "u", PAGE);
	released = grant_uncounted(self, "u", PAGE);
	ck_assert_verdict(reserve(self, "u", PAGE, 1, &reserved), CCBUF_GRANTED);
	ck_assert_int_eq(ledger_release(lf.ledger, self, released->id), 0);
	fixture_end_audit();
	lf.ledger = ledger_free(lf.ledger);
	ck_assert_uint_eq(lf.released, 1);
	ck_assert_uint_eq(self->refs, 1);
	ck_assert_ptr_null(ledger_free(NULL));
}
END_TEST

START_TEST(names)
{
	ck_assert_str_eq(grant_state_name(GRANT_RESERVED), "reserved");
	ck_assert_str_eq(grant_state_name(GRANT_LIVE), "live");
	ck_assert_str_eq(grant_state_name(GRANT_ORPHANED), "orphaned");
	ck_assert_str_eq(grant_state_name(GRANT_REVOKED), "revoked");
	ck_assert_str_eq(grant_state_name(GRANT_RELEASED), "released");
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, tear_down };
	const struct test tests[] = {
		{ reserve_commit_release },
		{ numbers_in_no_record_come_again },
		{ cancel_leaves_nothing },
		{ no_memory_leaves_nothing },
		{ release_of_a_held_buffer },
		{ timer_finds_what_was_let_go },
		{ orphan_then_release },
		{ exit_releases_what_nobody_holds },
		{ commit_for_the_dead },
		{ exit_that_cannot_be_watched },
		{ hang_up_of_a_living_peer },
		{ hang_up_of_a_dead_peer },
		{ release_by_another_process },
		{ two_connections_share_a_holder },
		{ grants_say_who_asked },
		{ release_is_recorded_in_the_end },
		{ release_is_not_recorded_in_the_end },
		{ free_lets_go_of_all },
		{ names },
		{ NULL },
	};

	return run_tests(argc, argv, "ledger", &hooks, tests);
}

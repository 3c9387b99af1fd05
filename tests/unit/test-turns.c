/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the turns: round and round between users, and what goes while it waits.
 */
#include "fixture.h"

#include "user/turns.h"

#define MAX 64

struct piece {
	struct turn turn; /* first */
	char name;
	int left;
	struct piece *removes; /* when it is run */
};

static struct turns *turns;
static struct user *users[4];
static struct piece pieces[MAX];
static size_t n_pieces;
static char order[1024];
static size_t n_order;

static void set_up(void)
{
	fixture_set_up();
	n_pieces = n_order = 0;
	ck_assert_int_eq(turns_new(fixture.loop, &turns), 0);
	for (uid_t uid = 0; uid < ARRAY_SIZE(users); uid++)
		ck_assert_int_eq(users_get(fixture.users, uid, 0, &users[uid]), 0);
}

static void tear_down(void)
{
	turns = turns_free(turns);
	for (size_t i = 0; i < ARRAY_SIZE(users); i++)
		user_unref(users[i]);
	fixture_tear_down();
}

static bool run(struct turn *turn)
{
	struct piece *piece = (struct piece *)turn;

	order[n_order++] = piece->name;
	if (piece->removes)
		turns_remove(turns, &piece->removes->turn);
	return --piece->left > 0;
}

static struct piece *add(int user, char name, int times)
{
	struct piece *piece = &pieces[n_pieces++];

	*piece = (struct piece){
		.turn = { .user = users[user], .run = run }, .name = name, .left = times
	};
	turns_add(turns, &piece->turn);
	turns_add(turns, &piece->turn);
	return piece;
}

static const char *ran(void)
{
	while (sd_event_run(fixture.loop, 0) > 0)
		;
	order[n_order] = 0;
	return order;
}

START_TEST(round_and_round)
{
	/* one user with many connections, one with one that has much, one with little */
	add(0, 'a', 2);
	add(0, 'b', 2);
	add(0, 'c', 1);
	add(1, 'x', 4);
	add(2, '1', 1);
	ck_assert_str_eq(ran(), "ax1bxcxaxb");
}
END_TEST

static int on_other(sd_event_source *source, void *userdata)
{
	(void)userdata;
	order[n_order++] = '!';
	return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

/* What else the loop has to do does not wait for the end of the turns. */
START_TEST(others_in_between)
{
	sd_event_source *other = NULL;

	add(0, 'a', 3);
	ck_assert_int_gt(sd_event_run(fixture.loop, 0), 0);
	ck_assert_int_ge(sd_event_add_defer(fixture.loop, &other, on_other, NULL), 0);
	ck_assert_ptr_nonnull(strchr("!a", ran()[1]));
	ck_assert_ptr_ne(strchr(order, '!'), order + 3);
	sd_event_source_unref(other);
}
END_TEST

START_TEST(one_alone)
{
	add(3, 'a', 3);
	ck_assert_str_eq(ran(), "aaa");
	ck_assert_str_eq(ran(), "aaa");
	add(3, 'b', 1);
	ck_assert_str_eq(ran(), "aaab");
}
END_TEST

START_TEST(taken_out)
{
	struct piece *a = add(0, 'a', 1), *b = add(0, 'b', 1), *x = add(1, 'x', 1), *c, *y;

	turns_remove(turns, &b->turn);
	turns_remove(turns, &x->turn);
	turns_remove(turns, &x->turn);
	c = add(0, 'c', 1);
	y = add(1, 'y', 9);
	a->removes = y;
	(void)c;
	ck_assert_str_eq(ran(), "ac");
}
END_TEST

START_TEST(taken_out_by_its_own)
{
	struct piece *a = add(0, 'a', 1);

	a->removes = add(0, 'b', 1);
	add(1, 'x', 1);
	ck_assert_str_eq(ran(), "ax");
}
END_TEST

static int on_same(sd_event_source *source, uint64_t usec, void *userdata)
{
	unsigned int *left = userdata;

	(void)usec;
	order[n_order++] = '!';
	return --*left ? sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) : 0;
}

/* Of what there is always more of with their priority neither goes on to its end first. */
START_TEST(others_of_the_same_priority)
{
	sd_event_source *same = NULL;
	unsigned int left = 10;

	add(0, 'a', 20);
	ck_assert_int_ge(
		sd_event_add_time(fixture.loop, &same, CLOCK_MONOTONIC, 1, 0, on_same, &left), 0);
	ck_assert_int_ge(sd_event_source_set_priority(same, TURNS_PRIORITY), 0);
	ck_assert_ptr_nonnull(strstr(ran(), "!a"));
	ck_assert_ptr_nonnull(strstr(order, "a!"));
	ck_assert_ptr_null(strstr(order, "aaaaa!"));
	sd_event_source_unref(same);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, tear_down };
	const struct test tests[] = {
		{ round_and_round },
		{ others_in_between },
		{ others_of_the_same_priority },
		{ one_alone },
		{ taken_out },
		{ taken_out_by_its_own },
		{ NULL },
	};

	return run_tests(argc, argv, "turns", &hooks, tests);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the accounts of users: who is one, and the shares.
 */
#include "fixture.h"

#include "user/user.h"

#define MAX 4096

static struct users *users;

static void set_up(void)
{
	users = users_new();
	ck_assert_ptr_nonnull(users);
	users_set_max(users, USER_FDS, MAX);
}

static void tear_down(void)
{
	users = users_free(users);
}

static struct user *get(uid_t uid, ino_t ns)
{
	struct user *user = NULL;

	ck_assert_int_eq(users_get(users, uid, ns, &user), 0);
	return user;
}

/* As many as it can, one by one. */
static uint64_t fill(struct user *user)
{
	uint64_t n = 0;

	while (user_charge(user, USER_FDS, 1) == 0)
		n++;
	ck_assert_uint_eq(user_left(user, USER_FDS), 0);
	return n;
}

static void give_back(struct user *user)
{
	user_uncharge(user, USER_FDS, user->used[USER_FDS]);
	user_unref(user);
}

START_TEST(one_account_a_user)
{
	struct user *a = get(1000, 0), *b = get(1000, 0), *c = get(0, 0), *d = get(0, 4711);

	ck_assert_ptr_eq(a, b);
	ck_assert_ptr_ne(a, c);
	ck_assert_ptr_ne(c, d);
	user_unref(a);
	ck_assert_int_eq(user_charge(b, USER_FDS, 3), 0);
	ck_assert_uint_eq(b->used[USER_FDS], 3);
	give_back(b);
	user_unref(c);
	user_unref(d);
}
END_TEST

/* Half for the first, half of the rest up to three quarters, and then always some for one more. */
START_TEST(always_some_for_one_more)
{
	struct user *all[64];
	uint64_t sum = 0, n;

	for (uid_t uid = 0; uid < ARRAY_SIZE(all); uid++) {
		all[uid] = get(uid + 1, 0);
		n = fill(all[uid]);
		ck_assert_uint_ge(n, 1);
		sum += n;
		if (uid == 0)
			ck_assert_uint_eq(n, MAX / 2);
		if (uid == 1)
			ck_assert_uint_eq(n, MAX / 4);
	}
	ck_assert_uint_lt(sum, MAX);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		give_back(all[i]);
}
END_TEST

/* Who uses little is not bound by how many others there are. */
START_TEST(plenty_is_not_rationed)
{
	struct user *all[64], *one;

	for (uid_t uid = 0; uid < ARRAY_SIZE(all); uid++) {
		all[uid] = get(uid + 1, 0);
		ck_assert_int_eq(user_charge(all[uid], USER_FDS, 2), 0);
	}
	one = get(5000, 0);
	ck_assert_int_eq(user_charge(one, USER_FDS, MAX / 4), 0);
	give_back(one);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		give_back(all[i]);
}
END_TEST

START_TEST(all_or_nothing)
{
	struct user *a = get(1, 0), *b = get(2, 0);

	ck_assert_int_eq(user_charge(a, USER_FDS, MAX / 2 + 1), -EDQUOT);
	ck_assert_uint_eq(a->used[USER_FDS], 0);
	ck_assert_int_eq(user_charge(a, USER_FDS, MAX / 2), 0);
	user_uncharge(a, USER_FDS, MAX / 2);
	user_force(b, USER_FDS, MAX / 2);
	ck_assert_uint_eq(b->used[USER_FDS], MAX / 2);
	ck_assert_int_eq(user_charge(b, USER_FDS, 1), -EDQUOT);
	ck_assert_int_eq(user_charge(a, USER_FDS, 1), 0);
	give_back(a);
	give_back(b);
}
END_TEST

START_TEST(very_little_to_share)
{
	struct user *a = get(1, 0), *b = get(2, 0);

	users_set_max(users, USER_FDS, 2);
	ck_assert_uint_eq(fill(a), 1);
	ck_assert_uint_eq(fill(b), 1);
	give_back(a);
	give_back(b);
}
END_TEST

START_TEST(unlimited)
{
	struct user *a = get(1, 0);

	ck_assert_int_eq(user_charge(a, USER_RECORDS, UINT64_MAX - 1), 0);
	ck_assert_int_eq(user_charge(a, USER_RECORDS, 2), -EDQUOT);
	user_uncharge(a, USER_RECORDS, UINT64_MAX - 1);
	user_unref(a);
}
END_TEST

START_TEST(never_uncharged_below_zero)
{
	struct user *a = get(1, 0);

	ck_assert_int_eq(user_charge(a, USER_FDS, 1), 0);
	user_uncharge(a, USER_FDS, 2);
}
END_TEST

/* Users that come and go leave nothing; one with an empty bucket stays for it, not for ever. */
START_TEST(users_come_and_go)
{
	const struct rule_key key = { .rule = "r", .per = POLICY_PER_USER };

	for (uid_t uid = 1; uid < 1000; uid++) {
		struct user *user = get(uid, 0);
		struct rule_account *account = rule_accounts_add(&user->rules, &key);

		ck_assert_ptr_nonnull(account);
		ck_assert_int_eq(user_charge(user, USER_ACCOUNTS, 1), 0);
		/* full again in no time, or never */
		account->account.tokens_usec = uid == 1 ? UINT64_MAX : 1;
		user_unref(user);
	}
	struct user *user = get(1, 0);

	ck_assert_uint_eq(user->rules.count, 1);
	user_unref(user);
	user = get(2, 0);
	ck_assert_uint_eq(user->rules.count, 0);
	user_unref(user);
}
END_TEST

START_TEST(in_words)
{
	char text[USER_TEXT_MAX];
	struct user *a = get(1000, 0), *b = get(0, 4711);

	ck_assert_str_eq(user_text(a, text), "user 1000");
	ck_assert_str_eq(user_text(b, text), "user namespace 4711 (of user 0)");
	user_unref(a);
	user_unref(b);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, tear_down };
	const struct test tests[] = {
		{ one_account_a_user },
		{ always_some_for_one_more },
		{ plenty_is_not_rationed },
		{ all_or_nothing },
		{ very_little_to_share },
		{ unlimited },
		{ never_uncharged_below_zero, .signal = SIGABRT },
		{ users_come_and_go },
		{ in_words },
		{ NULL },
	};

	return run_tests(argc, argv, "user", &hooks, tests);
}

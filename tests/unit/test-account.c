/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the accounts: lookup, references, the bound on children, and token buckets with exact
 * counts. Time is a number here.
 */
#include "fixture.h"

#include "account.h"
#include "policy.h"

#define SECOND UINT64_C(1000000)
#define NOW    (1000 * SECOND)

static struct accounts *accounts;

static void set_up(void)
{
	accounts = accounts_new();
	ck_assert_ptr_nonnull(accounts);
}

static void tear_down(void)
{
	accounts = accounts_free(accounts);
}

static struct account *get(const char *key, struct account *parent)
{
	struct account *account = NULL;

	ck_assert_int_eq(accounts_get(accounts, key, parent, NOW, &account), 0);
	ck_assert_str_eq(account->key, key);
	return account;
}

START_TEST(same_key_same_account)
{
	struct account *a = get("rule a", NULL), *b = get("rule a", NULL);

	ck_assert_ptr_eq(a, b);
	ck_assert_uint_eq(a->refs, 2);
	ck_assert_ptr_ne(a, get("rule b", NULL));
	accounts_put(accounts, b, NOW);
	ck_assert_ptr_eq(accounts_find(accounts, "rule a"), a);
	accounts_put(accounts, a, NOW);
	ck_assert_ptr_null(accounts_find(accounts, "rule a"));
	accounts_put(accounts, NULL, NOW);
	accounts_put(accounts, (struct account *)accounts_find(accounts, "rule b"), NOW);
}
END_TEST

START_TEST(charges_add_up)
{
	struct account *a = get("rule a", NULL);

	account_charge(a, 4096, true);
	account_charge(a, UINT64_MAX - 4096, false);
	ck_assert_uint_eq(a->bytes, UINT64_MAX);
	ck_assert_uint_eq(a->buffers, 2);
	ck_assert_uint_eq(a->kept, 1);
	account_uncharge(a, UINT64_MAX - 4096, false);
	ck_assert_uint_eq(a->kept, 1);
	account_uncharge(a, 4096, true);
	ck_assert_uint_eq(a->bytes, 0);
	ck_assert_uint_eq(a->buffers, 0);
	ck_assert_uint_eq(a->kept, 0);
	accounts_put(accounts, a, NOW);
}
END_TEST

START_TEST(never_uncharged_below_zero)
{
	struct account *a = get("rule a", NULL);

	account_charge(a, 4096, false);
	account_uncharge(a, 4097, false);
}
END_TEST

/* A bucket that is not full again outlives its last reference: else one could fill it by letting
 * go. */
START_TEST(empty_bucket_is_remembered)
{
	struct account *a = get("rule a", NULL);

	ck_assert(account_take_token(a, 1, SECOND, NOW));
	accounts_put(accounts, a, NOW);
	a = get("rule a", NULL);
	ck_assert(!account_take_token(a, 1, SECOND, NOW + SECOND - 1));
	ck_assert(account_take_token(a, 1, SECOND, NOW + SECOND));
	accounts_put(accounts, a, NOW + 2 * SECOND);
	ck_assert_ptr_null(accounts_find(accounts, "rule a"));
}
END_TEST

static void child_key(char key[static 32], unsigned int i)
{
	snprintf(key, 32, "rule a process %u", i);
}

START_TEST(children_are_bounded)
{
	struct account *user = get("user 1", NULL), *other = get("user 2", NULL);
	struct account *children[ACCOUNT_CHILDREN_MAX], *one = NULL;
	char key[32];

	for (unsigned int i = 0; i < ACCOUNT_CHILDREN_MAX; i++) {
		child_key(key, i);
		children[i] = get(key, user);
	}
	ck_assert_uint_eq(user->children, ACCOUNT_CHILDREN_MAX);
	ck_assert_int_eq(accounts_get(accounts, "rule a process x", user, NOW, &one), -ENOBUFS);
	ck_assert_ptr_null(one);
	/* nobody else's trouble, and not of those that are there */
	one = get("rule a process x", other);
	accounts_put(accounts, one, NOW);
	child_key(key, 7);
	one = get(key, user);
	accounts_put(accounts, one, NOW);
	/* one that goes makes room */
	accounts_put(accounts, children[0], NOW);
	children[0] = get("rule a process x", user);
	for (unsigned int i = 0; i < ACCOUNT_CHILDREN_MAX; i++)
		accounts_put(accounts, children[i], NOW);
	ck_assert_uint_eq(user->children, 0);
	ck_assert_uint_eq(user->refs, 1);
	accounts_put(accounts, user, NOW);
	accounts_put(accounts, other, NOW);
	ck_assert_ptr_null(accounts_find(accounts, "user 1"));
}
END_TEST

START_TEST(idle_children_make_room)
{
	struct account *user = get("user 1", NULL), *one = NULL;
	char key[32];

	for (unsigned int i = 0; i < ACCOUNT_CHILDREN_MAX; i++) {
		child_key(key, i);
		one = get(key, user);
		ck_assert(account_take_token(one, 1, SECOND, NOW));
		accounts_put(accounts, one, NOW);
	}
	one = NULL;
	ck_assert_int_eq(accounts_get(accounts, "rule a process x", user, NOW, &one), -ENOBUFS);
	/* looked for once in a while only */
	ck_assert_int_eq(
		accounts_get(accounts, "rule a process x", user, NOW + 99999, &one), -ENOBUFS);
	ck_assert_ptr_null(one);
	ck_assert_int_eq(accounts_get(accounts, "rule a process x", user, NOW + SECOND, &one), 0);
	ck_assert_uint_eq(user->children, 1);
	ck_assert_uint_eq(user->refs, 2);
	accounts_put(accounts, one, NOW + SECOND);
	accounts_put(accounts, user, NOW + SECOND);
}
END_TEST

START_TEST(all_are_bounded)
{
	static struct account *all[ACCOUNTS_MAX];
	struct account *one = NULL;
	char key[32];

	for (unsigned int i = 0; i < ACCOUNTS_MAX; i++) {
		child_key(key, i);
		all[i] = get(key, NULL);
	}
	ck_assert_int_eq(accounts_get(accounts, "rule b", NULL, NOW, &one), -ENOBUFS);
	ck_assert_ptr_null(one);
	for (unsigned int i = 0; i < ACCOUNTS_MAX; i++)
		accounts_put(accounts, all[i], NOW);
	accounts_put(accounts, get("rule b", NULL), NOW);
}
END_TEST

static const struct {
	uint64_t rate, usec;
} rates[] = {
	{ 1, SECOND },
	{ 3, SECOND },
	{ 7, SECOND },
	{ 100, SECOND },
	{ 999, SECOND },
	{ 2000, SECOND },
	{ 99991, SECOND },
	{ 700001, SECOND },
	{ 3000000, SECOND },
	{ 1, 60 * SECOND },
	{ 59, 60 * SECOND },
	{ 1, 3600 * SECOND },
	{ 10, 3600 * SECOND },
	{ 7001, 3600 * SECOND },
};

static uint64_t take_all(struct account *a, uint64_t rate, uint64_t usec, uint64_t now)
{
	uint64_t n = 0;

	while (account_take_token(a, rate, usec, now))
		n++;
	return n;
}

/* A full bucket gives rate tokens at once, and rate more once rate_usec has gone by: not one more
 * or less. */
START_TEST(buckets_count_exactly)
{
	uint64_t rate = rates[_i].rate, usec = rates[_i].usec, n = 0;
	struct account a = { 0 };

	ck_assert_uint_eq(take_all(&a, rate, usec, NOW), rate);
	ck_assert_uint_eq(take_all(&a, rate, usec, NOW), 0);
	ck_assert_uint_eq(take_all(&a, rate, usec, NOW + usec), rate);
	/* in 1000 steps of a period, the same */
	for (uint64_t i = 1; i <= 1000; i++)
		n += take_all(&a, rate, usec, NOW + usec + usec * i / 1000);
	ck_assert_uint_eq(n, rate);
	/* and never more than a burst, however long it was quiet */
	ck_assert_uint_eq(take_all(&a, rate, usec, NOW + 100 * usec), rate);
}
END_TEST

START_TEST(one_token_comes_back_in_its_time)
{
	struct account a = { 0 };

	take_all(&a, 10, 3600 * SECOND, NOW);
	ck_assert(!account_has_token(&a, 10, 3600 * SECOND, NOW + 360 * SECOND - 1));
	ck_assert(account_has_token(&a, 10, 3600 * SECOND, NOW + 360 * SECOND));
	ck_assert_uint_eq(take_all(&a, 10, 3600 * SECOND, NOW + 360 * SECOND), 1);
}
END_TEST

START_TEST(looking_takes_nothing)
{
	struct account a = { 0 };

	for (int i = 0; i < 100; i++)
		ck_assert(account_has_token(&a, 1, SECOND, NOW));
	ck_assert(account_take_token(&a, 1, SECOND, NOW));
	ck_assert(!account_has_token(&a, 1, SECOND, NOW));
}
END_TEST

START_TEST(unlimited_and_none)
{
	struct account a = { 0 };

	for (int i = 0; i < 1000; i++)
		ck_assert(account_take_token(&a, POLICY_UNLIMITED, 0, NOW));
	ck_assert_uint_eq(a.tokens_usec, 0);
	ck_assert(!account_take_token(&a, 0, SECOND, NOW));
}
END_TEST

/* A reload may change the rate of a rule that has a bucket: then it begins anew, for an hour's debt
 * must not bind who may now ask every second. */
START_TEST(rate_changes)
{
	struct account a = { 0 };

	ck_assert_uint_eq(take_all(&a, 7, 3600 * SECOND, NOW), 7);
	ck_assert_uint_eq(take_all(&a, 3, SECOND, NOW), 3);
	ck_assert_uint_eq(take_all(&a, 3, SECOND, NOW + SECOND), 3);
	ck_assert_uint_eq(take_all(&a, 5, SECOND, NOW + SECOND), 5);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("account");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, same_key_same_account);
	tcase_add_test(tcase, charges_add_up);
	tcase_add_test_raise_signal(tcase, never_uncharged_below_zero, SIGABRT);
	tcase_add_test(tcase, empty_bucket_is_remembered);
	tcase_add_test(tcase, children_are_bounded);
	tcase_add_test(tcase, idle_children_make_room);
	tcase_add_test(tcase, all_are_bounded);
	tcase_add_loop_test(tcase, buckets_count_exactly, 0, (int)ARRAY_SIZE(rates));
	tcase_add_test(tcase, one_token_comes_back_in_its_time);
	tcase_add_test(tcase, looking_takes_nothing);
	tcase_add_test(tcase, unlimited_and_none);
	tcase_add_test(tcase, rate_changes);
	return fixture_run("account", tcase);
}

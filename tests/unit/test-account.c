/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the accounts: lookup, references, what is idle, and token buckets with exact counts.
 * Time is a number here.
 */
#include "fixture.h"

#include "policy.h"
#include "user/account.h"

#define SECOND UINT64_C(1000000)
#define NOW    (1000 * SECOND)

static struct rule_accounts set;

static void set_up(void)
{
	set = (struct rule_accounts){ 0 };
}

static void tear_down(void)
{
	rule_accounts_done(&set);
}

static struct rule_account *get(const struct rule_key *key)
{
	struct rule_account *account = rule_accounts_find(&set, key);

	if (!account)
		account = rule_accounts_add(&set, key);
	ck_assert_ptr_nonnull(account);
	ck_assert_ptr_eq(rule_accounts_find(&set, key), account);
	return rule_account_ref(account);
}

/* Each differs from the others in one thing. */
static const struct rule_key keys[] = {
	{ .rule = "a" },
	{ .rule = "b" },
	{ .rule = "a", .per = POLICY_PER_USER },
	{ .rule = "a", .per = POLICY_PER_UNIT },
	{ .rule = "a", .per = POLICY_PER_UNIT, .unit = "" },
	{ .rule = "a", .per = POLICY_PER_UNIT, .unit = "u.service" },
	{ .rule = "a", .per = POLICY_PER_PROCESS, .pid = 1, .start_time = 1 },
	{ .rule = "a", .per = POLICY_PER_PROCESS, .pid = 1, .start_time = 2 },
	{ .rule = "a", .per = POLICY_PER_PROCESS, .pid = 2, .start_time = 1 },
};

START_TEST(same_key_same_account)
{
	struct rule_account *accounts[ARRAY_SIZE(keys)];

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		accounts[i] = get(&keys[i]);
		for (size_t j = 0; j < i; j++)
			ck_assert_ptr_ne(accounts[i], accounts[j]);
	}
	ck_assert_uint_eq(set.count, ARRAY_SIZE(keys));
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		ck_assert_ptr_eq(get(&keys[i]), accounts[i]);
		ck_assert(!rule_account_unref(accounts[i], NOW));
		ck_assert(rule_account_unref(accounts[i], NOW));
	}
	ck_assert_uint_eq(set.count, 0);
	ck_assert_ptr_null(rule_accounts_find(&set, &keys[0]));
}
END_TEST

START_TEST(charges_add_up)
{
	struct account a = { 0 };

	account_charge(&a, 4096, true);
	account_charge(&a, UINT64_MAX - 4096, false);
	ck_assert_uint_eq(a.bytes, UINT64_MAX);
	ck_assert_uint_eq(a.buffers, 2);
	ck_assert_uint_eq(a.emulated, 4096);
	account_uncharge(&a, UINT64_MAX - 4096, false);
	ck_assert_uint_eq(a.emulated, 4096);
	account_uncharge(&a, 4096, true);
	ck_assert_uint_eq(a.bytes + a.buffers + a.emulated, 0);
}
END_TEST

START_TEST(never_uncharged_below_zero)
{
	struct account a = { 0 };

	account_charge(&a, 4096, false);
	account_uncharge(&a, 4097, false);
}
END_TEST

/* A bucket that is not full again outlives its last reference: else one could fill it by letting
 * go. */
START_TEST(empty_bucket_is_remembered)
{
	struct rule_account *a = get(&keys[0]);

	ck_assert(account_take_token(&a->account, 1, SECOND, NOW));
	ck_assert(!rule_account_unref(a, NOW));
	a = get(&keys[0]);
	ck_assert(!account_take_token(&a->account, 1, SECOND, NOW + SECOND - 1));
	ck_assert(account_take_token(&a->account, 1, SECOND, NOW + SECOND));
	ck_assert(rule_account_unref(a, NOW + 2 * SECOND));
	ck_assert_uint_eq(set.count, 0);
}
END_TEST

START_TEST(idle_ones_are_dropped)
{
	struct rule_account *held = get(&keys[1]);

	for (size_t i = 2; i < ARRAY_SIZE(keys); i++) {
		struct rule_account *account = get(&keys[i]);

		ck_assert(account_take_token(&account->account, 1, i * SECOND, NOW));
		ck_assert(!rule_account_unref(account, NOW));
	}
	ck_assert_uint_eq(rule_accounts_drop_idle(&set, NOW), 0);
	ck_assert_uint_eq(rule_accounts_drop_idle(&set, NOW + 3 * SECOND), 2);
	ck_assert_uint_eq(rule_accounts_drop_idle(&set, NOW + 99 * SECOND), ARRAY_SIZE(keys) - 4);
	ck_assert_uint_eq(set.count, 1);
	rule_account_unref(held, NOW);
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

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, tear_down };
	const struct test tests[] = {
		{ same_key_same_account },
		{ charges_add_up },
		{ never_uncharged_below_zero, .signal = SIGABRT },
		{ empty_bucket_is_remembered },
		{ idle_ones_are_dropped },
		{ buckets_count_exactly, .times = ARRAY_SIZE(rates) },
		{ one_token_comes_back_in_its_time },
		{ looking_takes_nothing },
		{ unlimited_and_none },
		{ rate_changes },
		{ NULL },
	};

	return run_tests(argc, argv, "account", &hooks, tests);
}

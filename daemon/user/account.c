/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Accounts and their lookup. They refuse nothing: the ledger compares limits.
 */
#include "user/account.h"

#include <assert.h>
#include <search.h>

#include "util.h"

void account_charge(struct account *account, uint64_t bytes, bool emulated)
{
	account->bytes += bytes;
	account->buffers++;
	if (emulated)
		account->emulated += bytes;
}

void account_uncharge(struct account *account, uint64_t bytes, bool emulated)
{
	assert(account->bytes >= bytes && account->buffers > 0);
	account->bytes -= bytes;
	account->buffers--;
	if (emulated)
		account->emulated -= bytes;
}

/*
 * The bucket is kept as the moment when it is full again. Taking a token moves the moment by the
 * time that refilling one token takes. It is exact, with the fraction of a microsecond that the
 * division leaves, so a burst and the refill of a period are rate tokens each, at any rate.
 */
struct moment {
	uint64_t usec, part;
};

/* The moment after taking a token now. */
static struct moment full_after(
	const struct account *account, uint64_t rate, uint64_t rate_usec, uint64_t now_usec)
{
	struct moment full = { now_usec, 0 };

	if (account->tokens_usec >= now_usec && account->tokens_rate == rate &&
		account->tokens_rate_usec == rate_usec)
		full = (struct moment){ account->tokens_usec, account->tokens_part };
	full.usec += rate_usec / rate;
	full.part += rate_usec % rate;
	if (full.part >= rate) {
		full.usec++;
		full.part -= rate;
	}
	return full;
}

bool account_has_token(
	const struct account *account, uint64_t rate, uint64_t rate_usec, uint64_t now_usec)
{
	uint64_t empty_usec = now_usec + rate_usec;
	struct moment full;

	if (rate == POLICY_UNLIMITED || rate == 0)
		return rate != 0;
	full = full_after(account, rate, rate_usec, now_usec);
	return full.usec < empty_usec || (full.usec == empty_usec && full.part == 0);
}

bool account_take_token(
	struct account *account, uint64_t rate, uint64_t rate_usec, uint64_t now_usec)
{
	struct moment full;

	if (!account_has_token(account, rate, rate_usec, now_usec))
		return false;
	if (rate != POLICY_UNLIMITED) {
		full = full_after(account, rate, rate_usec, now_usec);
		account->tokens_usec = full.usec;
		account->tokens_part = full.part;
		account->tokens_rate = rate;
		account->tokens_rate_usec = rate_usec;
	}
	return true;
}

/* --- accounts of rules --- */

static int compare_texts(const char *a, const char *b)
{
	if (!a || !b)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

static int compare(const void *a, const void *b)
{
	const struct rule_account *x = a, *y = b;
	int r = strcmp(x->rule, y->rule);

	if (r)
		return r;
	if (x->per != y->per)
		return x->per < y->per ? -1 : 1;
	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->start_time != y->start_time)
		return x->start_time < y->start_time ? -1 : 1;
	return compare_texts(x->unit, y->unit);
}

static struct rule_account wanted(const struct rule_key *key)
{
	return (struct rule_account){
		.per = key->per,
		.pid = key->pid,
		.start_time = key->start_time,
		.unit = (char *)key->unit,
		.rule = (char *)key->rule,
	};
}

struct rule_account *rule_accounts_find(const struct rule_accounts *set, const struct rule_key *key)
{
	struct rule_account like = wanted(key);
	struct rule_account *const *found = tfind(&like, &set->tree, compare);

	return found ? *found : NULL;
}

static void free_account(void *node)
{
	struct rule_account *account = node;

	free(account->rule);
	free(account->unit);
	free(account);
}

struct rule_account *rule_accounts_add(struct rule_accounts *set, const struct rule_key *key)
{
	struct rule_account *account = malloc(sizeof(*account));

	if (!account)
		return NULL;
	*account = wanted(key);
	account->set = set;
	account->rule = strdup(key->rule);
	account->unit = key->unit ? strdup(key->unit) : NULL;
	if (!account->rule || (key->unit && !account->unit) ||
		!tsearch(account, &set->tree, compare)) {
		free_account(account);
		return NULL;
	}
	set->count++;
	return account;
}

struct rule_account *rule_account_ref(struct rule_account *account)
{
	account->refs++;
	return account;
}

static bool is_idle(const struct rule_account *account, uint64_t now_usec)
{
	return account->refs == 0 && account->account.tokens_usec <= now_usec;
}

static void drop(struct rule_account *account)
{
	tdelete(account, &account->set->tree, compare);
	account->set->count--;
	free_account(account);
}

bool rule_account_unref(struct rule_account *account, uint64_t now_usec)
{
	assert(account->refs > 0);
	account->refs--;
	if (!is_idle(account, now_usec))
		return false;
	drop(account);
	return true;
}

struct idle {
	uint64_t now_usec;
	struct rule_account *first;
};

static void find_idle(const void *node, VISIT visit, void *closure)
{
	struct rule_account *account = *(struct rule_account *const *)node;
	struct idle *idle = closure;

	if ((visit == postorder || visit == leaf) && is_idle(account, idle->now_usec)) {
		account->idle_next = idle->first;
		idle->first = account;
	}
}

size_t rule_accounts_drop_idle(struct rule_accounts *set, uint64_t now_usec)
{
	struct idle idle = { .now_usec = now_usec };
	size_t before = set->count;

	twalk_r(set->tree, find_idle, &idle);
	while (idle.first) {
		struct rule_account *account = idle.first;

		idle.first = account->idle_next;
		drop(account);
	}
	return before - set->count;
}

void rule_accounts_done(struct rule_accounts *set)
{
	tdestroy(set->tree, free_account);
	*set = (struct rule_accounts){ 0 };
}

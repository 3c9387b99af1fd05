/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Accounts and their lookup. They must never refuse: limits are the ledger's to compare.
 */
#include "account.h"

#include <assert.h>
#include <search.h>

#include "util.h"

#define IDLE_INTERVAL_USEC 100000

struct accounts {
	void *tree; /* of tsearch(3), by key */
	size_t count;
	uint64_t now_usec; /* of the last search for idle ones */
	struct account *idle;
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct account *)a)->key, ((const struct account *)b)->key);
}

static bool is_idle(const struct account *account, uint64_t now_usec)
{
	return account->refs == 0 && account->tokens_usec <= now_usec;
}

static void drop(struct accounts *accounts, struct account *account)
{
	if (account->parent) {
		account->parent->children--;
		account->parent->refs--;
	}
	tdelete(account, &accounts->tree, compare);
	accounts->count--;
	free(account->key);
	free(account);
}

static void find_idle(const void *node, VISIT visit, void *closure)
{
	struct account *account = *(struct account *const *)node;
	struct accounts *accounts = closure;

	if ((visit == postorder || visit == leaf) && is_idle(account, accounts->now_usec)) {
		account->idle_next = accounts->idle;
		accounts->idle = account;
	}
}

static void drop_idle(struct accounts *accounts, uint64_t now_usec)
{
	if (now_usec - accounts->now_usec < IDLE_INTERVAL_USEC)
		return;
	accounts->idle = NULL;
	accounts->now_usec = now_usec;
	twalk_r(accounts->tree, find_idle, accounts);
	while (accounts->idle) {
		struct account *account = accounts->idle;

		accounts->idle = account->idle_next;
		drop(accounts, account);
	}
}

static bool is_full(const struct accounts *accounts, const struct account *parent)
{
	return accounts->count >= ACCOUNTS_MAX ||
	       (parent && parent->children >= ACCOUNT_CHILDREN_MAX);
}

struct accounts *accounts_new(void)
{
	return calloc(1, sizeof(struct accounts));
}

static void free_account(void *node)
{
	struct account *account = node;

	free(account->key);
	free(account);
}

struct accounts *accounts_free(struct accounts *accounts)
{
	if (accounts)
		tdestroy(accounts->tree, free_account);
	free(accounts);
	return NULL;
}

const struct account *accounts_find(const struct accounts *accounts, const char *key)
{
	struct account wanted = { .key = (char *)key };
	struct account *const *found = tfind(&wanted, &accounts->tree, compare);

	return found ? *found : NULL;
}

int accounts_get(struct accounts *accounts, const char *key, struct account *parent,
	uint64_t now_usec, struct account **ret_account)
{
	struct account *account = (struct account *)accounts_find(accounts, key);

	if (account) {
		account->refs++;
		*ret_account = account;
		return 0;
	}
	if (is_full(accounts, parent))
		drop_idle(accounts, now_usec);
	if (is_full(accounts, parent))
		return -ENOBUFS;
	account = calloc(1, sizeof(*account));
	if (!account)
		return -ENOMEM;
	account->key = strdup(key);
	if (!account->key || !tsearch(account, &accounts->tree, compare)) {
		free(account->key);
		free(account);
		return -ENOMEM;
	}
	accounts->count++;
	account->refs = 1;
	account->parent = parent;
	if (parent) {
		parent->children++;
		parent->refs++;
	}
	*ret_account = account;
	return 0;
}

void accounts_put(struct accounts *accounts, struct account *account, uint64_t now_usec)
{
	if (!account)
		return;
	assert(account->refs > 0);
	account->refs--;
	if (is_idle(account, now_usec))
		drop(accounts, account);
}

void account_charge(struct account *account, uint64_t bytes, bool kept)
{
	account->bytes += bytes;
	account->buffers++;
	account->kept += kept;
}

void account_uncharge(struct account *account, uint64_t bytes, bool kept)
{
	assert(account->bytes >= bytes && account->buffers > 0 && account->kept >= kept);
	account->bytes -= bytes;
	account->buffers--;
	account->kept -= kept;
}

/*
 * The bucket is kept as a time, the moment when it is full again: a token taken moves it by what
 * the refill of one takes. Exact, with the part of a microsecond that the division leaves, so that
 * a burst and a period's refill are rate tokens at any rate.
 */
struct moment {
	uint64_t usec, part;
};

/* That moment if a token were taken now. */
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

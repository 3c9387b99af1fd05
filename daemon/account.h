/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Accounts: what is counted together. One for everything, one a user, and one a rule or a rule and
 * user, unit or process, as the rule's `per` says. An account holds bytes, buffers and a token
 * bucket; it knows nothing of who owns a buffer.
 *
 * Accounts live as long as something is charged to them or their bucket is not full again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "policy.h"

struct account {
	char *key;	/* "rule mpi", "rule mpi unit mpi@3.service", "user 1000" */
	uint64_t bytes; /* reserved, live and orphaned */
	uint64_t buffers;
	uint64_t kept;	      /* of these, how many the daemon keeps an fd of */
	uint64_t tokens_usec; /* when the bucket is full again (CLOCK_MONOTONIC); the past when it
				 is */
	uint64_t tokens_part; /* and a part of a microsecond, in units of 1/tokens_rate */
	uint64_t tokens_rate, tokens_rate_usec; /* when it was last taken of */
	unsigned int refs;			/* grants, reservations and children */
	struct account *parent; /* whose number of children is limited; NULL for none */
	unsigned int children;
	uint64_t pause_until_usec; /* the ledger's: no full look for this user before */
	struct account *idle_next; /* while idle ones are dropped */
};

struct accounts;

struct accounts *accounts_new(void);
/* Every account must be without references. Takes NULL. */
struct accounts *accounts_free(struct accounts *accounts);

/*
 * The account of a key, made when it does not exist, with one more reference. parent may be NULL
 * and counts only when it is made. -ENOMEM; -ENOBUFS when there are ACCOUNTS_MAX, or the parent has
 * ACCOUNT_CHILDREN_MAX, after idle ones were dropped (looked for once in 100 ms at most).
 */
#define ACCOUNTS_MAX	     65536
#define ACCOUNT_CHILDREN_MAX 4096
int accounts_get(struct accounts *accounts, const char *key, struct account *parent,
	uint64_t now_usec, struct account **ret_account);
/* The same without making it or taking a reference: NULL when there is none. */
const struct account *accounts_find(const struct accounts *accounts, const char *key);
/* Gives a reference back; takes NULL. The account may go. */
void accounts_put(struct accounts *accounts, struct account *account, uint64_t now_usec);

/* Adds one buffer to an account; the limits were checked before. */
void account_charge(struct account *account, uint64_t bytes, bool kept);
void account_uncharge(struct account *account, uint64_t bytes, bool kept);

/* Whether there is a token, without taking it. */
bool account_has_token(
	const struct account *account, uint64_t rate, uint64_t rate_usec, uint64_t now_usec);
/* Takes a token of a bucket that holds rate tokens and refills in rate_usec. False, and nothing
 * taken, when it is empty. POLICY_UNLIMITED always has one. Of another rate than the last time the
 * bucket is a new one, and full. */
bool account_take_token(
	struct account *account, uint64_t rate, uint64_t rate_usec, uint64_t now_usec);

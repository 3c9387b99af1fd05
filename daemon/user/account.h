/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Accounts of buffers: what is counted together against a limit of the policy. There is one for
 * everything, one for each user, and those of rules, as a rule's `per` says. An account has bytes,
 * buffers and a token bucket; it does not know who owns a buffer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy.h"

struct account {
	uint64_t bytes; /* reserved, live and orphaned */
	uint64_t buffers;
	uint64_t emulated;    /* the part of bytes that is of the emulated heap */
	uint64_t tokens_usec; /* when the bucket is full again (CLOCK_MONOTONIC); in the past when
				 it is full */
	uint64_t tokens_part; /* and the fraction of a microsecond, in units of 1/tokens_rate */
	uint64_t tokens_rate, tokens_rate_usec; /* of the last token taken */
};

/* Adds one buffer to an account, and subtracts it. The caller has checked the limits. */
void account_charge(struct account *account, uint64_t bytes, bool emulated);
void account_uncharge(struct account *account, uint64_t bytes, bool emulated);

/* Whether there is a token, without taking it. */
bool account_has_token(
	const struct account *account, uint64_t rate, uint64_t rate_usec, uint64_t now_usec);
/* Takes a token from a bucket that holds rate tokens and refills in rate_usec. Returns false, and
 * takes nothing, when it is empty. With POLICY_UNLIMITED there is always one. A bucket whose rate
 * changed is full again. */
bool account_take_token(
	struct account *account, uint64_t rate, uint64_t rate_usec, uint64_t now_usec);

/* An account of a rule in a set: the set of a user where the rule counts per user or process, else
 * the common one. It lives as long as something refers to it or its bucket is not full. */
struct rule_account {
	struct account account; /* first */
	struct rule_accounts *set;
	unsigned int refs; /* grants and reservations */
	enum policy_per per;
	pid_t pid; /* for POLICY_PER_PROCESS, with the start of the process; else 0 */
	uint64_t start_time;
	char *unit; /* for POLICY_PER_UNIT; NULL for processes outside of any unit, which share one
		       account */
	char *rule;
	struct rule_account *idle_next; /* used while idle ones are dropped */
};

struct rule_accounts {
	void *tree; /* of tsearch(3) */
	size_t count;
};

/* The key of an account; all is borrowed. */
struct rule_key {
	const char *rule;
	enum policy_per per;
	const char *unit;
	pid_t pid;
	uint64_t start_time;
};

/* NULL when there is none. */
struct rule_account *rule_accounts_find(
	const struct rule_accounts *set, const struct rule_key *key);
/* Makes an account that does not exist yet, without a reference. NULL when out of memory. */
struct rule_account *rule_accounts_add(struct rule_accounts *set, const struct rule_key *key);
struct rule_account *rule_account_ref(struct rule_account *account);
/* Drops a reference. Returns true when that freed the account: it was the last one and the bucket
 * is full. */
bool rule_account_unref(struct rule_account *account, uint64_t now_usec);
/* Frees the accounts without references whose bucket is full by now; returns their number. */
size_t rule_accounts_drop_idle(struct rule_accounts *set, uint64_t now_usec);
/* Frees all accounts; none may have a reference. */
void rule_accounts_done(struct rule_accounts *set);

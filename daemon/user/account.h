/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Accounts of buffers: what is counted together against a limit of the policy. One for everything,
 * one a user, and those of rules, as a rule's `per` says. An account holds bytes, buffers and a
 * token bucket; it knows nothing of who owns a buffer.
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
	uint64_t emulated;    /* of the bytes, those of the emulated heap */
	uint64_t tokens_usec; /* when the bucket is full again (CLOCK_MONOTONIC); the past when it
				 is */
	uint64_t tokens_part; /* and a part of a microsecond, in units of 1/tokens_rate */
	uint64_t tokens_rate, tokens_rate_usec; /* when it was last taken of */
};

/* Adds one buffer to an account; the limits were checked before. */
void account_charge(struct account *account, uint64_t bytes, bool emulated);
void account_uncharge(struct account *account, uint64_t bytes, bool emulated);

/* Whether there is a token, without taking it. */
bool account_has_token(
	const struct account *account, uint64_t rate, uint64_t rate_usec, uint64_t now_usec);
/* Takes a token of a bucket that holds rate tokens and refills in rate_usec. False, and nothing
 * taken, when it is empty. POLICY_UNLIMITED always has one. Of another rate than the last time the
 * bucket is a new one, and full. */
bool account_take_token(
	struct account *account, uint64_t rate, uint64_t rate_usec, uint64_t now_usec);

/* An account of a rule in a set: the set of its user where the rule counts per user or process,
 * else one for all. It lives as long as something refers to it or its bucket is not full again. */
struct rule_account {
	struct account account; /* first */
	struct rule_accounts *set;
	unsigned int refs; /* grants and reservations */
	enum policy_per per;
	pid_t pid; /* of POLICY_PER_PROCESS, with the process's start; else 0 */
	uint64_t start_time;
	char *unit; /* of POLICY_PER_UNIT: NULL outside of any unit, which is one account, too */
	char *rule;
	struct rule_account *idle_next; /* while idle ones are dropped */
};

struct rule_accounts {
	void *tree; /* of tsearch(3) */
	size_t count;
};

/* What an account is found by; all is borrowed. */
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
/* Makes one that there is not, without a reference. NULL when out of memory. */
struct rule_account *rule_accounts_add(struct rule_accounts *set, const struct rule_key *key);
struct rule_account *rule_account_ref(struct rule_account *account);
/* True when it is gone: with the last reference, unless its bucket is not full again. */
bool rule_account_unref(struct rule_account *account, uint64_t now_usec);
/* Frees those that stayed for their bucket and need not any more; returns how many there were. */
size_t rule_accounts_drop_idle(struct rule_accounts *set, uint64_t now_usec);
/* Frees all; none may have a reference. */
void rule_accounts_done(struct rule_accounts *set);

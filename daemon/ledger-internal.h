/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What ledger.c (grants) and quota.c (limits) share of the ledger. For nobody else.
 */
#pragma once

#include <time.h>

#include "ledger.h"

struct grant_list {
	struct grant *first, *last;
};

/* A process with grants: the same for all its connections. */
struct holder {
	struct ledger *ledger;
	struct peer *peer;
	struct grant *grants;
	sd_event_source *exit; /* its pidfd; NULL before the first commit */
	bool gone;
};

struct ledger {
	sd_event *loop;
	struct audit *audit;
	struct accounts *accounts;
	struct account total;
	struct grant_list grants;     /* reserved, live and orphaned, longest not looked at first */
	struct grant_list unrecorded; /* released, their record still to be written */
	void *holders;		      /* of tsearch(3), by process */
	sd_event_source *timer;	      /* on while there are grants */
	struct ledger_observer observer;
	uint64_t last_id;
};

/* Microseconds of a clock. */
uint64_t ledger_now(clockid_t clock);

/* One reservation held against its limits. */
struct quota {
	const struct account *rule, *user, *total;
	const struct decision *decision;
	const struct policy_settings *settings;
	uint64_t size; /* of each buffer */
	uint64_t count;
};

/* The accounts that a decision for a peer is charged to, with a reference each that the caller puts
 * back. GRANTED, else BUSY or INTERNAL with a reason and the accounts NULL or with a reference. */
enum verdict quota_open(struct ledger *ledger, const struct identity *peer,
	const struct decision *decision, uint64_t now_usec, struct account **ret_user,
	struct account **ret_rule, char reason[static LEDGER_REASON_MAX + 1]);

/* GRANTED, or the limit that does not hold with a reason that names it; ret_full is then the
 * account that is full if releases would help, NULL if not. */
enum verdict quota_check(const struct quota *quota, uint64_t now_usec, struct account **ret_full,
	char reason[static LEDGER_REASON_MAX + 1]);

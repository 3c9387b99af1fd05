/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Accounts of users: all that one person costs the daemon, in one place, whichever door and
 * whichever uid it comes by. What a client can have more of by asking is charged here before it is
 * made, and uncharged when it is gone.
 *
 * A person is a uid of the host. Who sits in a user namespace of another user's counts to that
 * user, so that 65,536 subordinate uids are one person; a namespace that root made, as container
 * managers do, is a person by itself.
 *
 * What there is of a resource is shared: a user may take up to half of what the others have left,
 * as long as a quarter of all stays free. Of that quarter each of n users that have something may
 * take 1/((n + 1) log2(n + 1)^2), at least one: the sum of these stays below it, so there is some
 * for one more.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "user/account.h"

enum user_resource {
	USER_CONNECTIONS, /* of either door, until what was sent to it has been read */
	USER_FDS,	  /* that the daemon keeps open for it */
	USER_FDS_SENT,	  /* in messages that it has not received (unix(7), ETOOMANYREFS) */
	USER_REQUESTS,	  /* under way */
	USER_CALLS,	  /* of the bus that wait */
	USER_RECORDS,	  /* bytes that wait in the trail's queue */
	USER_ACCOUNTS,	  /* of rules that count per user or process */
	USER_INSPECTIONS, /* at its processes that do not come back */
	USER_RESOURCES_
};

struct users;
struct turn;

struct user {
	struct users *users;
	unsigned int refs;
	uid_t uid;
	ino_t ns; /* of a namespace that root made; else 0 */
	uint64_t used[USER_RESOURCES_];
	struct account account;	    /* all of its buffers: the ledger's */
	struct rule_accounts rules; /* of rules that count per user or process: the ledger's */
	uint64_t pause_usec;	    /* no full look at what it holds before: the ledger's */
	bool listing;		    /* one of its listings is being made: the bus's */
	struct turn *turns_first, *turns_last; /* what waits for its turn: user/turns.c's */
	struct user *turns_next;	       /* of those that have something waiting */
	uint64_t updated_usec; /* when what it has received was counted: connections' */
};

/* NULL when out of memory. */
struct users *users_new(void);
/* No user may have a reference. Takes NULL. */
struct users *users_free(struct users *users);

/* How much there is of a resource; what was not set is not limited. */
void users_set_max(struct users *users, enum user_resource resource, uint64_t max);

/* The account of a uid of the host, or (ns not 0) of a namespace that root made; made when there is
 * none. With a reference. 0 or -ENOMEM. */
int users_get(struct users *users, uid_t uid, ino_t ns, struct user **ret_user);
struct user *user_ref(struct user *user);
/* Nothing may be charged to a user without references. Takes NULL, returns NULL. */
struct user *user_unref(struct user *user);

/* Charges n of a resource, if the user's share allows. 0; -EDQUOT, and nothing is charged. */
int user_charge(struct user *user, enum user_resource resource, uint64_t n);
/* The same whatever the share. */
void user_force(struct user *user, enum user_resource resource, uint64_t n);
void user_uncharge(struct user *user, enum user_resource resource, uint64_t n);
/* How much more the user may have now. */
uint64_t user_left(const struct user *user, enum user_resource resource);

/* Whether a user may have one more connection, with so many fds; if not, why. */
bool user_may_connect(const struct user *user, uint64_t connections_max, uint64_t n_fds,
	char *reason, size_t size);
/* Charges a user for one, and takes that back. One who turns out to be another user may be above
 * its share for a while. */
void user_connect(struct user *user, uint64_t n_fds);
void user_disconnect(struct user *user, uint64_t n_fds);

/* "user 1000", or "user namespace 4026532211 (of root)". Returns text. */
#define USER_TEXT_MAX 64
const char *user_text(const struct user *user, char text[static USER_TEXT_MAX]);

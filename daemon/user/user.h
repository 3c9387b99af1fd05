/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Accounts of users: all that one person costs the daemon, in one place, for both front ends and
 * all the person's uids. Everything that a client can get more of by asking is charged here before
 * it is made, and uncharged when it is gone.
 *
 * A person is a uid of the initial user namespace. A process in a user namespace that a user made
 * counts to that user, so 65,536 subordinate uids are one person. A namespace that root made, as
 * container managers do, is a person by itself.
 *
 * Users share each resource. A user may take up to half of what the others leave, as long as a
 * quarter of all stays free. Each of n users that have something may take 1/((n + 1) log2(n + 1)^2)
 * of that quarter, at least one. The sum of these shares stays below the quarter, so there is some
 * for one more user.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "user/account.h"

enum user_resource {
	USER_CONNECTIONS, /* of both front ends, until all that was sent has been read */
	USER_FDS,	  /* that the daemon keeps open for the user */
	USER_FDS_SENT,	  /* in messages that are not received yet (unix(7), ETOOMANYREFS) */
	USER_REQUESTS,	  /* under way */
	USER_CALLS,	  /* waiting D-Bus calls */
	USER_RECORDS,	  /* bytes waiting in the trail's queue */
	USER_ACCOUNTS,	  /* of rules that count per user or process */
	USER_INSPECTIONS, /* of its processes, that hang */
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
	struct account account; /* all of its buffers; the ledger's */
	struct rule_accounts
		rules;	     /* accounts of rules that count per user or process; the ledger's */
	uint64_t pause_usec; /* no full check of its grants before this time; the ledger's */
	bool listing;	     /* one of its listings is being made; the D-Bus front end's */
	struct turn *turns_first, *turns_last; /* its waiting turns; user/turns.c's */
	struct user *turns_next;	       /* the next user with waiting turns */
	uint64_t updated_usec; /* when its received messages were last counted; the connections' */
};

/* NULL when out of memory. */
struct users *users_new(void);
/* Nobody may have a reference to a user. Takes NULL. */
struct users *users_free(struct users *users);

/* Sets how much there is of a resource. A resource that was not set is not limited. */
void users_set_max(struct users *users, enum user_resource resource, uint64_t max);

/* The account of a uid of the initial user namespace, or (ns not 0) of a namespace that root made.
 * Makes it if there is none. Returns a reference. 0 or -ENOMEM. */
int users_get(struct users *users, uid_t uid, ino_t ns, struct user **ret_user);
struct user *user_ref(struct user *user);
/* At the last reference nothing may be charged to the user. Takes NULL, returns NULL. */
struct user *user_unref(struct user *user);

/* Charges n of a resource, if the user's share allows. Returns 0, or -EDQUOT and charges
 * nothing. */
int user_charge(struct user *user, enum user_resource resource, uint64_t n);
/* The same whatever the share. */
void user_force(struct user *user, enum user_resource resource, uint64_t n);
void user_uncharge(struct user *user, enum user_resource resource, uint64_t n);
/* How much more the user may have now. */
uint64_t user_left(const struct user *user, enum user_resource resource);

/* Whether a user may have one more connection, with n_fds fds; if not, writes why. */
bool user_may_connect(const struct user *user, uint64_t connections_max, uint64_t n_fds,
	char *reason, size_t size);
/* Charges a user for a connection, and uncharges it. A connection that turns out to be another
 * user's may take that user above its share for a while. */
void user_connect(struct user *user, uint64_t n_fds);
void user_disconnect(struct user *user, uint64_t n_fds);

/* "user 1000", or "user namespace 4026532211 (of root)". Returns text. */
#define USER_TEXT_MAX 64
const char *user_text(const struct user *user, char text[static USER_TEXT_MAX]);

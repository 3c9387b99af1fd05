/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The broker: what the steps of a grant work on, made once by main.c and shared by the front ends.
 * It owns the policy in force and replaces it as a whole.
 */
#pragma once

#include "audit/audit.h"
#include "heap/workers.h"
#include "helper/helper.h"
#include "ledger/heap-events.h"
#include "ledger/ledger.h"
#include "peer/inspect.h"
#include "policy-load.h"

struct closer;

#define ADMIN_GROUP "ccbuf-admin"

struct broker {
	sd_event *loop;
	struct helper *helper;
	struct inspections *inspections;
	struct heaps *heaps;
	struct heap_events *heap_events;
	struct workers *workers;
	struct turns *turns;
	struct closer *closer; /* of what may sleep when it is closed */
	struct audit *audit;
	struct ledger *ledger;
	struct policy *policy;	   /* in force; never NULL while a front end runs */
	char *policy_error;	   /* why the last load failed, one mistake a line; NULL if not */
	struct policy_facts facts; /* what can be known of processes here */
	uint32_t policy_folders;   /* those that were there at the last good load; as load.h's */
	gid_t admin_gid;	   /* of ADMIN_GROUP; (gid_t)-1 where there is none */
	bool audit_failing;
	struct reload *reload;			   /* under way; NULL for none */
	struct review *review;			   /* of grants, after a reload */
	struct revoke_op *busy;			   /* revoke.c's: to be asked for again */
	unsigned int n_requests;		   /* under way, in either front end */
	struct users *users;			   /* what each costs */
	void (*on_policy_changed)(void *userdata); /* for D-Bus; may be NULL */
	void *on_policy_changed_userdata;
};

/*
 * Puts the result of a load (reload.h) in force; or, of one that failed, keeps the policy in force
 * and sets policy_error. Writes a `policy` record either way. result is 0 with a policy, which is
 * taken over; -EINVAL with errors; or another negative errno, with why it could not be loaded in
 * words, or NULL. errors are freed.
 */
void broker_settle_policy(struct broker *broker, int result, const char *failure,
	struct policy_errors *errors, struct policy *policy);

/* What the name service said of ADMIN_GROUP: 0 and its number, or a negative errno, and then
 * nobody is in it. */
void broker_settle_admins(struct broker *broker, int result, gid_t gid);

/* Makes the accounts of users, and says how much there is to share of what the daemon has. 0 or a
 * negative errno. */
int broker_new_users(struct broker *broker);

/* Whether a peer may administer: root and members of ADMIN_GROUP. */
bool broker_is_admin(const struct broker *broker, const struct peer *peer);

/* Takes note of how a record went (0 when it is durable, or a negative errno): tells the journal
 * when the trail cannot be written and when it can be again, once each, however many requests meet
 * it. */
void broker_note_audit(struct broker *broker, int result);

/* Records the refusal of a message that is no request (malformed, too many connections, ...). Not
 * waited for. */
void broker_record_refusal(struct broker *broker, const struct peer *peer,
	const struct request *request, enum ccbuf_verdict verdict, const char *reason);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The broker: the parts that the steps of a grant use. main.c makes it once; the front ends share
 * it. It owns the policy in force and replaces it as a whole.
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
	struct closer *closer; /* for files whose close may sleep */
	struct audit *audit;
	struct ledger *ledger;
	struct policy *policy; /* in force; never NULL while a front end runs */
	char *policy_error; /* why the last load failed, one mistake in a line; NULL if it did not
			     */
	struct policy_facts facts; /* what the kernel tells of processes here */
	uint32_t policy_folders;   /* those that existed at the last good load; bits as in load.h */
	gid_t admin_gid;	   /* of ADMIN_GROUP; (gid_t)-1 where there is none */
	bool audit_failing;
	struct reload *reload;	 /* under way; NULL for none */
	struct review *review;	 /* of grants, after a reload */
	struct revoke_op *busy;	 /* revoke.c's: buffers that a device is working in */
	unsigned int n_requests; /* under way, of both front ends */
	struct users *users;	 /* what each user costs */
	void (*on_policy_changed)(void *userdata); /* for D-Bus; may be NULL */
	void *on_policy_changed_userdata;
};

/*
 * Puts the result of a load (reload.h) in force. If the load failed, keeps the policy in force and
 * sets policy_error. Writes a `policy` record either way. result is 0 with a policy, which is taken
 * over; -EINVAL with errors; or another negative errno with failure, the reason in words or NULL.
 * Frees errors.
 */
void broker_settle_policy(struct broker *broker, int result, const char *failure,
	struct policy_errors *errors, struct policy *policy);

/* Sets the id of ADMIN_GROUP: result is 0, or the negative errno of the look-up, and then nobody is
 * in the group. */
void broker_settle_admins(struct broker *broker, int result, gid_t gid);

/* Makes the accounts of users, and sets how much of each resource they share. Returns 0 or a
 * negative errno. */
int broker_new_users(struct broker *broker);

/* Whether a peer is an administrator: root or a member of ADMIN_GROUP. */
bool broker_is_admin(const struct broker *broker, const struct peer *peer);

/* Notes the result of a record: 0 when it is durable, or a negative errno. Logs once when the trail
 * cannot be written, and once when it can be again. */
void broker_note_audit(struct broker *broker, int result);

/* Records the refusal of a message that is not a request (malformed, too many connections, ...),
 * and does not wait for the record. */
void broker_record_refusal(struct broker *broker, const struct peer *peer,
	const struct request *request, enum ccbuf_verdict verdict, const char *reason);

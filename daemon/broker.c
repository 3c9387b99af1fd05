/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The policy in force. It is replaced as a whole: a load that fails changes nothing.
 */
#include "broker.h"

#include <stdio.h>
#include <sys/resource.h>

#include "base/log.h"
#include "util.h"

static char *join_lines(const struct policy_errors *errors)
{
	size_t size = 1;
	char *text, *p;

	for (size_t i = 0; i < errors->count; i++)
		size += strlen(errors->lines[i]) + 1;
	text = malloc(size);
	if (!text)
		return NULL;
	p = text;
	for (size_t i = 0; i < errors->count; i++)
		p += sprintf(p, "%s%s", i ? "\n" : "", errors->lines[i]);
	*p = 0;
	return text;
}

static void record(struct broker *broker, enum ccbuf_verdict verdict, const char *reason)
{
	struct audit_event event = {
		.kind = AUDIT_POLICY,
		.verdict = verdict,
		.reason = reason,
		.policy = broker->policy ? policy_digest(broker->policy) : NULL,
	};
	int r = audit_append(broker->audit, &event, NULL, NULL);

	/* That a record is queued does not mean that it can be written. */
	if (r < 0)
		broker_note_audit(broker, r);
}

static void refuse(struct broker *broker, const struct policy_errors *errors)
{
	free(broker->policy_error);
	broker->policy_error = join_lines(errors);
	for (size_t i = 0; i < errors->count; i++)
		log_error("policy: %s", errors->lines[i]);
	if (broker->policy)
		log_error("policy: %zu mistake%s; the policy in force is kept", errors->count,
			errors->count == 1 ? "" : "s");
	record(broker, CCBUF_MALFORMED, broker->policy_error);
}

/* The policy could not be read; it need not have a mistake. */
static void fail(struct broker *broker, int error, const char *failure)
{
	free(broker->policy_error);
	if (asprintf(&broker->policy_error, "cannot be loaded: %s",
		    failure ? failure : strerror(-error)) < 0)
		broker->policy_error = NULL;
	log_error("policy: cannot be loaded: %s%s", failure ? failure : strerror(-error),
		broker->policy ? "; the policy in force is kept" : "");
	record(broker, CCBUF_INTERNAL, broker->policy_error);
}

/* Warns of rules that may not match the peers that they are meant for, because a key cannot be
 * known here. */
static void warn_of_unknowable(const struct broker *broker)
{
	struct policy_errors lines = { 0 };

	if (policy_unknowable(broker->policy, &broker->facts, true, &lines) < 0)
		log_warning("policy: out of memory while looking for rules by keys that cannot be "
			    "known");
	for (size_t i = 0; i < lines.count; i++)
		log_warning("policy: %s", lines.lines[i]);
	policy_errors_done(&lines);
}

void broker_settle_policy(struct broker *broker, int result, const char *failure,
	struct policy_errors *errors, struct policy *policy)
{
	if (result < 0) {
		if (errors->count)
			refuse(broker, errors);
		else
			fail(broker, result, failure);
	} else {
		policy_unref(broker->policy);
		broker->policy = policy;
		free(steal_pointer(&broker->policy_error));
		audit_set_durability(broker->audit, policy_settings(policy)->durability);
		record(broker, CCBUF_GRANTED, NULL);
		warn_of_unknowable(broker);
	}
	policy_errors_done(errors);
	if (broker->on_policy_changed)
		broker->on_policy_changed(broker->on_policy_changed_userdata);
}

void broker_settle_admins(struct broker *broker, int result, gid_t gid)
{
	broker->admin_gid = result < 0 ? (gid_t)-1 : gid;
	if (result == -ENOENT)
		log_warning("there is no group " ADMIN_GROUP "; until a reload finds one only root "
			    "administers");
	else if (result < 0)
		log_warning("group " ADMIN_GROUP
			    " cannot be looked up: %s; until a reload finds it "
			    "only root administers",
			strerror(-result));
}

/* Fds that the daemon needs for itself. */
#define FDS_OWN 64

int broker_new_users(struct broker *broker)
{
	struct users *users = users_new();
	struct rlimit fds;
	uint64_t n;

	if (!users)
		return -ENOMEM;
	/* A connection and a buffer are an fd each. Fds that a client has not received count
	 * against the same limit once more. */
	if (getrlimit(RLIMIT_NOFILE, &fds) < 0)
		fds.rlim_cur = 2 * FDS_OWN;
	n = fds.rlim_cur;
	users_set_max(users, USER_FDS, n > 2 * FDS_OWN ? n - FDS_OWN : n / 2);
	users_set_max(users, USER_FDS_SENT, n);
	users_set_max(users, USER_REQUESTS, 2048);
	users_set_max(users, USER_CALLS, 2048);
	users_set_max(users, USER_ACCOUNTS, 65536);
	users_set_max(users, USER_RECORDS, AUDIT_WAITING_BYTES);
	users_set_max(users, USER_INSPECTIONS, INSPECT_CHILDREN_MAX);
	broker->users = users;
	return 0;
}

bool broker_is_admin(const struct broker *broker, const struct peer *peer)
{
	if (peer->identity.uid == 0)
		return true;
	return broker->admin_gid != (gid_t)-1 && peer_in_group(peer, broker->admin_gid);
}

void broker_note_audit(struct broker *broker, int result)
{
	const char *why = audit_why_not(broker->audit);
	bool failing = result < 0;

	/* A user that has used up its share concerns nobody else. */
	if (result == -EUSERS)
		return;
	if (failing && !broker->audit_failing)
		log_error("audit: cannot write records; requests are refused until it can: %s",
			why[0] ? why : strerror(-result));
	if (!failing && broker->audit_failing)
		log_info("audit: records are written again");
	broker->audit_failing = failing;
}

void broker_record_refusal(struct broker *broker, const struct peer *peer,
	const struct request *request, enum ccbuf_verdict verdict, const char *reason)
{
	struct audit_event event = {
		.kind = AUDIT_DENY,
		.user = peer ? peer->user : NULL,
		.peer = peer ? &peer->identity : NULL,
		.request = request,
		.verdict = verdict,
		.reason = reason,
		.policy = policy_digest(broker->policy),
	};
	int r;

	r = audit_append(broker->audit, &event, NULL, NULL);
	/* That a record is queued or counted does not mean that it can be written. */
	if (r < 0)
		broker_note_audit(broker, r);
}

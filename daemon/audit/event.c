/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The constants of each kind of event.
 */
#include "audit/event.h"

#include <assert.h>
#include <syslog.h>

static const struct {
	const char *name, *id;
	int priority, refused; /* of the journal's entry; refused: the priority for any verdict but
				  granted */
} kinds[AUDIT_KIND_MAX_] = {
	[AUDIT_START] = { "start", AUDIT_JOURNAL_START, LOG_INFO, LOG_INFO },
	[AUDIT_STOP] = { "stop", AUDIT_JOURNAL_STOP, LOG_INFO, LOG_INFO },
	[AUDIT_POLICY] = { "policy", AUDIT_JOURNAL_POLICY, LOG_NOTICE, LOG_ERR },
	[AUDIT_GRANT] = { "grant", AUDIT_JOURNAL_GRANT, LOG_INFO, LOG_INFO },
	[AUDIT_DENY] = { "deny", AUDIT_JOURNAL_DENY, LOG_NOTICE, LOG_NOTICE },
	[AUDIT_UNDELIVERED] = { "undelivered", AUDIT_JOURNAL_UNDELIVERED, LOG_WARNING,
		LOG_WARNING },
	[AUDIT_RELEASE] = { "release", AUDIT_JOURNAL_RELEASE, LOG_INFO, LOG_INFO },
	[AUDIT_ORPHAN] = { "orphan", AUDIT_JOURNAL_ORPHAN, LOG_WARNING, LOG_WARNING },
	[AUDIT_REVOKE] = { "revoke", AUDIT_JOURNAL_REVOKE, LOG_WARNING, LOG_WARNING },
	[AUDIT_LEAK] = { "leak", AUDIT_JOURNAL_LEAK, LOG_CRIT, LOG_CRIT },
	[AUDIT_ERROR] = { "error", AUDIT_JOURNAL_ERROR, LOG_ERR, LOG_ERR },
};

const char *audit_kind_name(enum audit_kind kind)
{
	assert((unsigned int)kind < AUDIT_KIND_MAX_);
	return kinds[kind].name;
}

/* Whether the event says that the trail cannot be written; only the journal gets it. */
static bool unwritten(enum audit_kind kind, enum ccbuf_verdict verdict)
{
	return kind == AUDIT_ERROR && verdict == CCBUF_AUDIT_FAILED;
}

const char *audit_event_id(enum audit_kind kind, enum ccbuf_verdict verdict)
{
	assert((unsigned int)kind < AUDIT_KIND_MAX_);
	return unwritten(kind, verdict) ? AUDIT_JOURNAL_UNWRITTEN : kinds[kind].id;
}

int audit_event_priority(enum audit_kind kind, enum ccbuf_verdict verdict)
{
	assert((unsigned int)kind < AUDIT_KIND_MAX_);
	if (unwritten(kind, verdict))
		return LOG_CRIT;
	return verdict == CCBUF_GRANTED ? kinds[kind].priority : kinds[kind].refused;
}

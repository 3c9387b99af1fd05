/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the trail records: the kinds of events, and an event as its reporter describes it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "request.h"
#include "verdict.h"

struct user;

enum audit_kind {
	AUDIT_START,	   /* the daemon started */
	AUDIT_STOP,	   /* the daemon stops */
	AUDIT_POLICY,	   /* a policy was loaded, or refused (verdict malformed, reason why) */
	AUDIT_GRANT,	   /* about to be sent */
	AUDIT_DENY,	   /* any refusal, also of a malformed request */
	AUDIT_UNDELIVERED, /* a grant whose reply could not be sent; the buffers are freed */
	AUDIT_RELEASE,	   /* nobody but the daemon held the buffer any more; it is freed */
	AUDIT_ORPHAN,	   /* the peer is gone, something still holds the buffer */
	AUDIT_REVOKE,	   /* about to be taken back; its release comes when nothing holds it */
	AUDIT_LEAK,	   /* memory of a heap that could not be made private again */
	AUDIT_ERROR,	   /* the daemon failed at something the auditor should know */
	AUDIT_KIND_MAX_
};

/* These never change. units/ccbuf.catalog explains them. */
#define AUDIT_JOURNAL_START	  "423db7fe811a4327a0a7790e877eeba3"
#define AUDIT_JOURNAL_STOP	  "db27380f97bb41dc9ac6053c23087074"
#define AUDIT_JOURNAL_POLICY	  "11f70e507d804b4d8c5f09fbf902fba2"
#define AUDIT_JOURNAL_GRANT	  "b83569fa24964c41bc5ab8ce2dddafe8"
#define AUDIT_JOURNAL_DENY	  "bf6321cf339744188bea9fc3effd1fb4"
#define AUDIT_JOURNAL_UNDELIVERED "e7f15e9921c64a9e9721a7d36fbbab2d"
#define AUDIT_JOURNAL_RELEASE	  "5c6b09018f024f3e9b6c4b5bfd6fac45"
#define AUDIT_JOURNAL_ORPHAN	  "64cbd1c9a479437e810159212abe0183"
#define AUDIT_JOURNAL_REVOKE	  "6d4577e32e254c0792143d964261d851"
#define AUDIT_JOURNAL_LEAK	  "8ca4c0065d854b6b900c7f4b2bafe996"
#define AUDIT_JOURNAL_ERROR	  "5df0d153c0fe485cb1c47291c8cd7a75"
#define AUDIT_JOURNAL_UNWRITTEN	  "3cfaa608b46e43f7ba77fa052e8ac991"
#define AUDIT_JOURNAL_DROPPED	  "73f7931f264e4d64b7691720730d547d"

/* "start", "stop", ... */
const char *audit_kind_name(enum audit_kind kind);

struct audit_buffer {
	uint64_t grant;
	uint64_t inode; /* of the dma-buf or memfd */
};

/* Records by their numbers, both included. */
struct audit_range {
	uint64_t first, last;
};
#define AUDIT_RANGES_MAX 16

/* One event. Everything is borrowed for the call. Members that an event does not have are NULL or
 * zero, and are left out of the record. */
struct audit_event {
	enum audit_kind kind;
	struct user *user; /* charged for the record while it waits; NULL for none */
	const struct identity *peer;
	const struct identity *by;     /* who caused it, where that is not the peer */
	const struct request *request; /* use, label, size, count, options, transport */
	const char *use;	       /* for a release, which has no request any more */
	const char *heap;
	enum exposure exposure;
	uint64_t size; /* bytes of each buffer as allocated, or bytes leaked */
	const struct audit_buffer *buffers;
	size_t n_buffers;
	const char *rule;
	enum ccbuf_verdict
		verdict;    /* recorded for grant, deny, undelivered, policy, error, revoke */
	const char *reason; /* may hold bytes from outside; the formatter escapes them */
	const char *policy; /* digest */
	uint64_t repeated;  /* folding: how many events this record stands for; 0 or 1 for one */
	const struct audit_range *missing; /* records that are missing in the trail */
	size_t n_missing;		   /* at most AUDIT_RANGES_MAX */
	const struct audit_range *deleted; /* records that the daemon deletes with old files */
	bool not_lost; /* an event that cannot be recorded does not happen, or its caller retries:
			  it counts as lost only if it waits when the trail is closed */
};

/* MESSAGE_ID and PRIORITY (as in syslog(3)) of the journal's entry. */
const char *audit_event_id(enum audit_kind kind, enum ccbuf_verdict verdict);
int audit_event_priority(enum audit_kind kind, enum ccbuf_verdict verdict);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The events of the trail in the journal: for people and their tools, not the record of authority.
 *
 * Each entry has MESSAGE, PRIORITY, MESSAGE_ID and CCBUF_EVENT, and of the following what the event
 * has: CCBUF_SEQ and CCBUF_HASH (its record in the trail and the SHA-256 of that line, so that the
 * journal shows when the end of the trail was cut off), CCBUF_UID, CCBUF_PID, CCBUF_EXE,
 * CCBUF_UNIT, CCBUF_USE, CCBUF_LABEL, CCBUF_TRANSPORT, CCBUF_HEAP, CCBUF_EXPOSURE, CCBUF_SIZE,
 * CCBUF_COUNT, CCBUF_GRANT and CCBUF_INODE (one of each for every buffer), CCBUF_RULE,
 * CCBUF_VERDICT, CCBUF_REASON, CCBUF_POLICY, CCBUF_REPEATED; CCBUF_BY_UID, CCBUF_BY_PID,
 * CCBUF_BY_EXE and CCBUF_BY_UNIT of who had it done.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "audit-copy.h"
#include "audit-lost.h"

/* Fixed for ever: units/ccbuf.catalog explains them. */
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

/* Entries that wait for journald at most; what is beyond is counted and reported. */
#define AUDIT_JOURNAL_ENTRIES 4096
#define AUDIT_JOURNAL_BYTES   (8u << 20)

struct audit_journal;

/* Starts the thread, all signals blocked in it. 0, -ENOMEM or -EAGAIN. */
int audit_journal_new(struct audit_journal **ret_journal);
/* Sends what waits, but does not wait long for a journald that does not answer. Takes NULL. */
struct audit_journal *audit_journal_free(struct audit_journal *journal);

/* Queues an entry of a user, NULL for none, and takes the copy, never blocks. A copy of NULL stands
 * for one that could not be made and counts as dropped. */
void audit_journal_push(struct audit_journal *journal, const uid_t *uid, struct audit_copy *copy);

/* The MESSAGE_ID of an event. AUDIT_JOURNAL_UNWRITTEN for one that is an error with verdict
 * audit-failed. */
const char *audit_journal_id(const struct audit_event *event);

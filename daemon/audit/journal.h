/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The events of the trail in the journal: for people and their tools, not the record of authority.
 *
 * Each entry has MESSAGE, PRIORITY, MESSAGE_ID, of one that is in the trail CCBUF_SEQ and
 * CCBUF_HASH (its record and the SHA-256 of that line, so that the journal shows when the end of
 * the trail was cut off), and those fields of the event that audit/fields.c marks for it: CCBUF_
 * and the key in upper case, CCBUF_BY_ for who had it done; CCBUF_GRANT and CCBUF_INODE once for
 * every buffer.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "audit/copy.h"
#include "audit/lost.h"

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

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The events of the trail in the journal: for people and their tools. The trail is the record of
 * authority, not the journal.
 *
 * Each entry has MESSAGE, PRIORITY and MESSAGE_ID. An event in the trail also has CCBUF_SEQ and
 * CCBUF_HASH: the number of its record and the SHA-256 of that line, so that the journal shows when
 * the end of the trail was cut off. The fields that audit/fields.c marks for the journal are named
 * CCBUF_ and the key in upper case, or CCBUF_BY_ for who caused the event; CCBUF_GRANT and
 * CCBUF_INODE are there once for every buffer.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "audit/copy.h"
#include "audit/lost.h"

/* Maximum of entries that wait for journald. Others are dropped, counted and reported. */
#define AUDIT_JOURNAL_ENTRIES 4096
#define AUDIT_JOURNAL_BYTES   (8u << 20)

struct audit_journal;

/* Starts the thread, all signals blocked in it. 0, -ENOMEM or -EAGAIN. */
int audit_journal_new(struct audit_journal **ret_journal);
/* Sends the waiting entries, but does not wait long for a journald that does not answer. Takes
 * NULL. */
struct audit_journal *audit_journal_free(struct audit_journal *journal);

/* Queues an entry of a user (NULL for none) and takes the copy. Never blocks. A NULL copy, one that
 * could not be made, counts as dropped. */
void audit_journal_push(struct audit_journal *journal, const uid_t *uid, struct audit_copy *copy);

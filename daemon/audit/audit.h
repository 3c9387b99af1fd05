/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The audit trail: every event is one JSON line in a hash chain, and durable before its caller is
 * told.
 *
 *   event -> audit_append() -> fold -> format -> writer thread: chain, write, fdatasync -> done()
 *                                                        \-> journal, afterwards, never waited for
 *
 * The event loop never waits for the disk or for journald: the writer thread syncs and rotates. The
 * event loop itself only writes into the page cache (POLICY_WRITTEN), once in each iteration, as a
 * hand-over takes longer. Whoever writes owns the file, the sequence number and the chain. Records
 * that wait while a sync is under way go out together with one fdatasync (group commit). A record
 * that cannot be written in full leaves no trace in the file (it is truncated back), its done()
 * gets the errno, and the next record is tried again. So the trail recovers from a full disk by
 * itself; a record then says how many events are missing, and whose they are.
 *
 * Others change the file, too: logrotate, administrators. It is checked before each write, and
 * regularly by name (by the thread). If the file of that name is not the trail any more, it is put
 * back, and an error record says what happened and which records are missing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "audit/event.h"
#include "policy.h"

struct audit_settings {
	const char *path;      /* "/var/log/ccbufd/audit.jsonl"; its folder must exist */
	uint64_t rotate_bytes; /* a file is renamed to PATH.SEQ (its first sequence number, 20
				  digits) when a record would make it longer; 0 for never */
	unsigned int keep;     /* rotated files kept, the oldest are deleted; 0 for all */
	bool journal;	       /* also send to the journal */
	uint64_t fold_after;   /* identical refusals of one peer recorded in full before folding; 0:
				  never fold */
	uint64_t fold_usec;    /* at most one counted record in this time */
};

struct audit;

/* The bytes of waiting records that users share (USER_RECORDS). */
#define AUDIT_WAITING_BYTES (16u << 20)

/*
 * Opens or creates (0640) the file and continues the chain as audit_open() says. The first record
 * says what is missing or damaged. Starts the writer thread (all signals blocked in it). Durability
 * is POLICY_SYNCED until set. Returns 0, or a negative errno when the file cannot be opened, see
 * audit_open(); audit_trouble_words() says why.
 */
int audit_new(sd_event *loop, const struct audit_settings *settings, struct audit **ret_audit);

/* Writes and syncs what is queued and counted, calls the waiting done functions and closes the
 * file. Returns 0, or -ETIMEDOUT when the disk does not answer: records not yet written are then
 * lost, and the waiting thread is abandoned. No record can be appended afterwards. Not to be called
 * by a done function. */
int audit_close(struct audit *audit);

/* As audit_close(), then joins the threads. Takes NULL. */
struct audit *audit_free(struct audit *audit);

void audit_set_durability(struct audit *audit, enum policy_durability durability);

/* result: 0 when the record is as durable as asked, else the negative errno of the write. For a
 * grant or a refusal, when the disk does not answer for 10 s: -ETIMEDOUT, a grant will not be
 * recorded, a refusal will; -EINPROGRESS, it may still be recorded. */
typedef void (*audit_done)(void *userdata, int result);

/*
 * Queues the record of an event. A record that cannot be queued or written counts as lost, unless
 * the event has not_lost set; the next record that can be written says how many were lost and
 * whose. done (may be NULL) is called later by the event loop, never from inside this call, in the
 * order of the calls. A folded refusal calls done too, with 0, once it is counted. Returns 0, or an
 * error and then done is not called: -ENOMEM; -ENOBUFS, too many records wait, or the trail is
 * being closed; -EUSERS, too many of the user's wait; -ETIMEDOUT, a grant or a refusal while the
 * disk does not answer, as above. At most REQUEST_COUNT_MAX buffers.
 */
int audit_append(
	struct audit *audit, const struct audit_event *event, audit_done done, void *userdata);

/* Why records cannot be written, and what to do; "" when only the errno is known. */
const char *audit_why_not(const struct audit *audit);

/* The sequence number of the last durable record; 0 before the first. */
uint64_t audit_sequence(const struct audit *audit);

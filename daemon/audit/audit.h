/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The audit trail: every event as one JSON line in a hash chain, durable before its caller hears
 * so.
 *
 *   event -> audit_append() -> fold -> format -> writer thread: chain, write, fdatasync -> done()
 *                                                        \-> journal, afterwards, never waited for
 *
 * The event loop never waits for the disk or for journald: syncs and rotations are the writer
 * thread's. Only a write into the page cache (POLICY_WRITTEN) it does by itself, once in each
 * iteration, as a hand-over takes longer. Whoever writes owns the file, the sequence number and the
 * chain. Records that wait while a sync is under way go out together with one fdatasync (group
 * commit). A record that cannot be written in full leaves no trace in the file (truncated back),
 * its done() gets the errno, and the next record tries again: a full disk heals by itself, and a
 * record then says how many events the trail lacks, and whose they are.
 *
 * Others have their hands on the file, too: logrotate, administrators. Before a write it is looked
 * at, and often enough by name (by the thread): the file of that name is the trail, or becomes it
 * again, and an error record says what happened and which records are missing.
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
	uint64_t fold_after;   /* identical refusals of one peer recorded in full before folding; 0
				  for never fold */
	uint64_t fold_usec;    /* a counted record at most this often while they go on */
};

struct audit;

/* Of records that wait: what users share (USER_RECORDS). */
#define AUDIT_WAITING_BYTES (16u << 20)

/*
 * Opens (creates, 0640) the file and goes on with the chain as audit_open() says; what it finds
 * missing or damaged is the first record.
 * Starts the writer thread (all signals blocked in it). Durability is POLICY_SYNCED until set.
 * Returns 0, or a negative errno when the file cannot be had, see audit_open();
 * audit_trouble_words() has the words.
 */
int audit_new(sd_event *loop, const struct audit_settings *settings, struct audit **ret_audit);

/* Writes and syncs what is queued and counted, calls the done functions that wait, closes the file.
 * 0, or -ETIMEDOUT when the disk does not answer: what it did not take is lost, and the thread that
 * waits for it is left behind. No record can be appended after that. Not from inside a done
 * function. */
int audit_close(struct audit *audit);

/* As audit_close(), then joins the threads. Takes NULL. */
struct audit *audit_free(struct audit *audit);

void audit_set_durability(struct audit *audit, enum policy_durability durability);

/* result: 0 when the record is as durable as asked, else the negative errno of the write. Of a
 * grant or a refusal, when the disk does not answer for 10 s: -ETIMEDOUT, a grant is not recorded
 * and a refusal will be; -EINPROGRESS, it may be recorded yet. */
typedef void (*audit_done)(void *userdata, int result);

/*
 * Queues the record of an event. One that cannot be queued or written counts as lost, unless it
 * says otherwise (not_lost), and the next record that can be written says how many were and whose.
 * done (may be NULL) is called from the event loop, later, never from inside this call, in the
 * order of the calls. A refusal that is folded away calls done too, with 0, once it is counted.
 * Returns 0, or -ENOMEM / -ENOBUFS (too many records wait, or the trail is being closed)
 * or -EUSERS (too many of the user's wait) or -ETIMEDOUT (a grant or a refusal while the disk does
 * not answer, as above), and then done is not called. At most REQUEST_COUNT_MAX buffers.
 */
int audit_append(
	struct audit *audit, const struct audit_event *event, audit_done done, void *userdata);

/* Counts events of a user, NULL for none, that not even a record could be made of, as lost. */
void audit_lose(struct audit *audit, const struct identity *peer, uint64_t events, int error);

/* Why records cannot be written, in words that say what to do; "" when only the errno is known. */
const char *audit_why_not(const struct audit *audit);

/* The sequence number of the last durable record; 0 before the first. */
uint64_t audit_sequence(const struct audit *audit);

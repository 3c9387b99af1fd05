/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ledger: all grants, and the totals that limits are checked against.
 *
 *   ledger_reserve() -> grants RESERVED, charged -> ledger_commit(): LIVE -> peer gone: ORPHANED
 *                    \-> ledger_cancel()              |                \-> taken back: REVOKED
 *                                                     \-> nobody holds it any more: RELEASED
 *
 * A grant is charged from its reservation until nobody but the daemon holds the buffer. How the
 * ledger learns of that depends on the heap (enum heap_end): the heap reports it, and the daemon
 * keeps no fd; or fdinfo of an fd that the daemon keeps shows it; or, for the emulated heap, the
 * peer has released the buffer or is gone, and nobody has it open.
 *
 * An emulated buffer is held by an fd that can read or write, or by a mapping. It is not held by an
 * O_PATH fd, a file of /proc/PID/map_files, or pages that are spliced into a pipe or pinned for a
 * device. Its release frees the memory under these. Pages in use that way stay until they are
 * dropped, uncharged, within the limits of their user (pipes, RLIMIT_MEMLOCK). A buffer whose mode
 * root has taken away (fchmod) cannot be checked any more, and stays charged as held.
 *
 * No end is missed, though the heap may report it at any time. The request that made the buffer
 * holds an fd until after ledger_commit(), so the end comes later; a number that no grant has
 * belongs to a request that failed. The ledger takes the events that wait before it calls a buffer
 * still held, an account full or a grant orphaned.
 *
 * The ledger watches the pidfd of every peer with grants. It checks grants when their peer is gone
 * and on request (release, hang-up); for the heaps that report nothing, also when an account is
 * full and on a slow timer. It keeps no fd for a peer that is gone.
 *
 * It writes the audit records of releases and orphans. A release whose record fails is retried
 * until it is written.
 */
#pragma once

#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "audit/audit.h"
#include "heap/buffer.h"
#include "peer/peer.h"
#include "policy.h"
#include "user/account.h"
#include "user/user.h"

/* Revoked: the memory was taken back, but a device or the kernel still has some of it mapped. */
enum grant_state { GRANT_RESERVED, GRANT_LIVE, GRANT_ORPHANED, GRANT_REVOKED, GRANT_RELEASED };
/* "reserved", "live", "orphaned", "revoked", "released" */
const char *grant_state_name(enum grant_state state);

struct holder;

/* One buffer that one peer has. Read-only outside the ledger. */
struct grant {
	TAILQ_ENTRY(grant) in_ledger; /* in its list, oldest check first */
	LIST_ENTRY(grant) in_holder;
	struct holder *holder; /* the process and its grants */
	struct peer *peer;     /* the process as it was when it asked */
	struct rule_account *rule;
	struct user *user; /* charged for it; referenced */
	uint64_t id;	   /* 0 until recorded; no two of one trail have the same */
	uint64_t size;
	uint64_t asked;	     /* bytes, before they were rounded to pages */
	uint64_t inode;	     /* 0 until it is numbered */
	uint64_t watch;	     /* the heap's number of the buffer; 0 where the heap reports no end */
	uint64_t since_usec; /* CLOCK_REALTIME at commit */
	const struct heap *node; /* the heap of the buffer */
	int fd;			 /* ours; -1 where none is kept */
	enum grant_state state;
	enum exposure exposure;
	enum transport transport;
	bool read_only, accept_shared;
	bool returned;		    /* the peer has released it */
	bool polled;		    /* the timer has to check it */
	unsigned int reviewed;	    /* the number of the last review that saw it */
	const char *release_reason; /* static */
	const char *undelivered;    /* why it did not reach its peer: static, NULL if it did */
	char *heap;
	char *rule_name;
	char label[LABEL_MAX + 1];
	char use[USE_NAME_MAX + 1];
};

/* The process that got the grant. */
const struct identity *grant_identity(const struct grant *grant);

/* The fields that every record of a grant has; the caller adds the kind and the rest. Fills buffer,
 * which the event borrows. */
struct audit_event grant_event(const struct grant *grant, struct audit_buffer *buffer);

/* Whether somebody may have the buffer: live, orphaned or revoked. */
bool grant_is_out(const struct grant *grant);

/* A copy that does not change with the grant or its ledger, and has no fd, heap or accounts. NULL
 * when out of memory. Free takes NULL and returns NULL. */
struct grant *grant_snapshot(const struct grant *grant);
struct grant *grant_snapshot_free(struct grant *grant);

struct ledger;
struct workers;

/* Called when a grant becomes live, is revoked or is released (for D-Bus signals). reason is
 * static. */
struct ledger_observer {
	void (*added)(void *userdata, const struct grant *grant);
	void (*revoked)(void *userdata, const struct grant *grant);
	void (*released)(void *userdata, const struct grant *grant, const char *reason);
	void *userdata;
};

/* audit is borrowed. Returns 0 or a negative errno. */
int ledger_new(sd_event *loop, struct audit *audit, struct ledger **ret_ledger);
/* Frees every grant without a record. Our fds are closed; the holders keep theirs. Takes NULL. */
struct ledger *ledger_free(struct ledger *ledger);
/* From now on workers (borrowed) close large buffers; with NULL the ledger closes them at once. */
void ledger_set_workers(struct ledger *ledger, struct workers *workers);
void ledger_set_observer(struct ledger *ledger, const struct ledger_observer *observer);
/* Sets the source of heap events. take() calls ledger_ended() for each event that waits. It must
 * not block. */
void ledger_set_source(struct ledger *ledger, void (*take)(void *userdata), void *userdata);

/* Why a reservation failed, for people. */
#define LEDGER_REASON_MAX POLICY_REASON_MAX

/*
 * Charges count buffers of size bytes (a multiple of the page size) to the rule's account, the
 * user's and the total, if all limits allow it, and makes the grants (RESERVED). Where a limit of
 * bytes or buffers is reached, it first checks whether some charged buffers are gone. Returns
 * CCBUF_GRANTED with ret_grants[0..count-1] (owned by the ledger until commit or cancel hands or
 * takes them back); BYTES_LIMIT, BUFFERS_LIMIT, RATE_LIMIT, BUSY or INTERNAL with a reason.
 */
enum ccbuf_verdict ledger_reserve(struct ledger *ledger, struct peer *peer,
	const struct request *request, const struct decision *decision,
	const struct policy_settings *settings, const struct heap *heap, uint64_t size,
	struct grant **ret_grants, char reason[static LEDGER_REASON_MAX + 1]);

/* Returns what ledger_reserve() would, for a process of a user, but charges nothing and takes no
 * token. */
enum ccbuf_verdict ledger_would_reserve(struct ledger *ledger, const struct identity *peer,
	struct user *user, const struct decision *decision, const struct policy_settings *settings,
	const struct heap *heap, uint64_t size, uint32_t count,
	char reason[static LEDGER_REASON_MAX + 1]);

/*
 * Gives reserved grants their numbers and their buffers, right before their record is appended.
 * Returns 0, or -ENOMEM, and then none has a number.
 */
int ledger_number(struct ledger *ledger, struct grant *const *grants, uint32_t count,
	const struct buffer_id *buffers);
/* Tells the ledger whether that record is in the trail. If not, the numbers are taken back. */
void ledger_numbered(
	struct ledger *ledger, struct grant *const *grants, uint32_t count, bool recorded);

/* A reserved grant was handed out. Takes *fd, and keeps or closes it as the heap requires. */
void ledger_commit(struct ledger *ledger, struct grant *grant, int *fd);
/* A reserved grant was not handed out: uncharges and frees it. */
void ledger_cancel(struct ledger *ledger, struct grant *grant);

/* Releases the peer's own live or revoked grant of that number. Returns 0 when it is released; 1
 * when somebody still holds the buffer, or too many releases are being recorded and this one
 * follows later; -ENOENT when the peer has no such grant. Returns 0, once, for a grant whose end
 * the heap has just reported. */
int ledger_release(struct ledger *ledger, const struct peer *peer, uint64_t id);

/* At a stop: retries the records of releases once more. A record that fails now counts as lost. */
void ledger_record_rest(struct ledger *ledger);

/*
 * The transport reports that a committed grant did not arrive. The grant ends as soon as nobody
 * holds the buffer, with an `undelivered` record. reason is static.
 */
void ledger_undelivered(struct ledger *ledger, uint64_t id, const char *reason);

/* A heap reports that nothing holds its buffer of that number any more. */
void ledger_ended(struct ledger *ledger, const struct heap *heap, uint64_t watch);

/* The grant of that number, if it is out; NULL when there is none. */
const struct grant *ledger_find(const struct ledger *ledger, uint64_t id);

/* ledger_revoked() makes a grant that is out REVOKED, and tells the observer unless it was revoked
 * before. ledger_not_revoked() restores its state when the heap failed. A number that no grant has
 * any more is ignored. */
void ledger_revoked(struct ledger *ledger, uint64_t id);
void ledger_not_revoked(struct ledger *ledger, uint64_t id);

/* Checks the grants of a peer whose connection hung up: some of them now, the rest in later turns
 * of the event loop. */
void ledger_check_peer(struct ledger *ledger, const struct peer *peer);

/* Bytes and number of all grants, reserved ones included. */
uint64_t ledger_bytes(const struct ledger *ledger);
uint64_t ledger_count(const struct ledger *ledger);

/* Calls visit for every grant that is out. */
void ledger_each(const struct ledger *ledger,
	void (*visit)(void *userdata, const struct grant *grant), void *userdata);

/*
 * A review visits every grant that is out, a part at a time. Each call of ledger_review() calls
 * visit for up to n grants that were not visited since ledger_review_start(), and returns false
 * when none is left. Between two calls grants may come and go. visit may not end a grant.
 */
void ledger_review_start(struct ledger *ledger);
bool ledger_review(struct ledger *ledger, unsigned int n,
	void (*visit)(void *userdata, const struct grant *grant), void *userdata);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ledger: all grants, and the totals that limits are checked against.
 *
 *   ledger_reserve() -> grants RESERVED, charged -> ledger_commit(): LIVE -> peer gone: ORPHANED
 *                    \-> ledger_cancel()              |                \-> taken back: REVOKED
 *                                                     \-> nobody holds it any more: RELEASED
 *
 * A grant is charged from its reservation until nobody but the daemon holds the buffer. That the
 * heap says (heap/heap.h), and then the daemon keeps no fd; or fdinfo of an fd that it keeps; a
 * buffer of the emulated heap is charged until its peer releases it or is gone, and nobody has it
 * open.
 *
 * What holds an emulated buffer is an fd that can read or write, or a mapping. An O_PATH fd, a file
 * of /proc/PID/map_files, pages spliced into a pipe or pinned for a device do not: at the release
 * its memory is freed from under them, and pages that are in use that way stay until they are let
 * go, uncharged, within the limits of whoever has them (pipes, RLIMIT_MEMLOCK). One that root has
 * taken the mode from (fchmod) cannot be looked at any more, and is charged as held.
 *
 * No end is missed, though the heap may tell of it at any time: whoever made the buffer holds an fd
 * until after ledger_commit(), so the end comes after it, and a number that no grant has is that of
 * a request that came to nothing. What waits to be told is taken before the ledger calls a buffer
 * still held, an account full or a grant orphaned.
 *
 * The ledger watches the pidfd of every peer with grants and looks again when a peer is gone, when
 * it is asked to (release, hang-up), and, for the heaps that do not tell, under quota pressure and
 * on a slow timer. Of a peer that is gone no fd is kept.
 *
 * It writes the audit records of releases and orphans; a release whose record fails is recorded
 * again later, until it succeeds.
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

/* Revoked: its memory was taken back, but a device or the kernel still has some of it mapped. */
enum grant_state { GRANT_RESERVED, GRANT_LIVE, GRANT_ORPHANED, GRANT_REVOKED, GRANT_RELEASED };
/* "reserved", "live", "orphaned", "revoked", "released" */
const char *grant_state_name(enum grant_state state);

struct holder;

/* One buffer in one peer's hands. Read-only outside the ledger. */
struct grant {
	TAILQ_ENTRY(grant) in_ledger; /* in its list, oldest check first */
	LIST_ENTRY(grant) in_holder;
	struct holder *holder; /* the process and its grants */
	struct peer *peer;     /* the process as it was when it asked */
	struct rule_account *rule;
	struct user *user; /* whose it is, and counts to */
	uint64_t id;	   /* 0 until recorded; no two of one trail have the same */
	uint64_t size;
	uint64_t asked;		 /* bytes, before they were rounded to pages */
	uint64_t inode;		 /* 0 until it is numbered */
	uint64_t watch;		 /* the heap's number of the buffer; 0 for one that does not tell */
	uint64_t since_usec;	 /* CLOCK_REALTIME at commit */
	const struct heap *node; /* the heap that it is of */
	int fd;			 /* ours; -1 where none is kept */
	enum grant_state state;
	enum exposure exposure;
	enum transport transport;
	bool read_only, accept_shared;
	bool returned;		    /* the peer says that it needs it no more */
	bool polled;		    /* the timer has to look at it */
	unsigned int reviewed;	    /* the number of the last review that saw it */
	const char *release_reason; /* static */
	const char *undelivered;    /* why its peer has not got it: static, NULL if it has */
	char *heap;
	char *rule_name;
	char label[LABEL_MAX + 1];
	char use[USE_NAME_MAX + 1];
};

/* Who holds it (or held it). */
const struct identity *grant_identity(const struct grant *grant);

/* What every record of it says; kind and the rest are the caller's to add. buffer is filled, and
 * borrowed by the event. */
struct audit_event grant_event(const struct grant *grant, struct audit_buffer *buffer);

/* Whether somebody may have it: live, orphaned or revoked. */
bool grant_is_out(const struct grant *grant);

/* A copy that stays as it is, whatever becomes of the grant and its ledger; without its fd, heap
 * and accounts. NULL when out of memory. Free takes NULL and returns NULL. */
struct grant *grant_snapshot(const struct grant *grant);
struct grant *grant_snapshot_free(struct grant *grant);

struct ledger;
struct workers;

/* What the ledger tells when a grant becomes live, is revoked or is released (for D-Bus signals);
 * reason is static. */
struct ledger_observer {
	void (*added)(void *userdata, const struct grant *grant);
	void (*revoked)(void *userdata, const struct grant *grant);
	void (*released)(void *userdata, const struct grant *grant, const char *reason);
	void *userdata;
};

/* audit is borrowed. 0 or a negative errno. */
int ledger_new(sd_event *loop, struct audit *audit, struct ledger **ret_ledger);
/* Lets go of every grant without a record (the fds go, the holders keep theirs). Takes NULL. */
struct ledger *ledger_free(struct ledger *ledger);
/* Large buffers are closed by workers (borrowed) from now on, or here and now for NULL. */
void ledger_set_workers(struct ledger *ledger, struct workers *workers);
void ledger_set_observer(struct ledger *ledger, const struct ledger_observer *observer);
/* take has the heaps tell, by ledger_ended(), what they have not told yet. It must not block. */
void ledger_set_source(struct ledger *ledger, void (*take)(void *userdata), void *userdata);

/* What a reservation failed on, for people. */
#define LEDGER_REASON_MAX POLICY_REASON_MAX

/*
 * Charges count buffers of size bytes (a multiple of the page size) to the rule's account, the
 * user's and the total, if all limits hold, and makes the grants (RESERVED). Where a byte or buffer
 * limit does not hold it looks first whether some charged buffers are gone. Returns CCBUF_GRANTED
 * with ret_grants[0..count-1] (owned by the ledger until commit or cancel hands or takes them
 * back); BYTES_LIMIT, BUFFERS_LIMIT, RATE_LIMIT, BUSY or INTERNAL with a reason.
 */
enum ccbuf_verdict ledger_reserve(struct ledger *ledger, struct peer *peer,
	const struct request *request, const struct decision *decision,
	const struct policy_settings *settings, const struct heap *heap, uint64_t size,
	struct grant **ret_grants, char reason[static LEDGER_REASON_MAX + 1]);

/* What ledger_reserve() would say of a process of a user, without charging or taking a token. */
enum ccbuf_verdict ledger_would_reserve(struct ledger *ledger, const struct identity *peer,
	struct user *user, const struct decision *decision, const struct policy_settings *settings,
	const struct heap *heap, uint64_t size, uint32_t count,
	char reason[static LEDGER_REASON_MAX + 1]);

/*
 * Gives reserved grants their numbers and their buffers, right before their one record is appended.
 * 0 or -ENOMEM, and then none has one.
 */
int ledger_number(struct ledger *ledger, struct grant *const *grants, uint32_t count,
	const struct buffer_id *buffers);
/* How that record went: whether it is in the trail. If not, the numbers are taken back. */
void ledger_numbered(
	struct ledger *ledger, struct grant *const *grants, uint32_t count, bool recorded);

/* The reserved grant was handed out: *fd is taken over, to be kept or closed as its heap needs. */
void ledger_commit(struct ledger *ledger, struct grant *grant, int *fd);
/* It was not: uncharged and freed. */
void ledger_cancel(struct ledger *ledger, struct grant *grant);

/* The peer's own live (or revoked) grant of that number: the peer says that it needs it no more.
 * Returns 1 when somebody still holds the buffer, or so many releases are being recorded that this
 * one comes later; 0 when it is released, -ENOENT when there is no such grant. One that the heap
 * told the end of a moment ago, before the peer could say so, is released, once. */
int ledger_release(struct ledger *ledger, const struct peer *peer, uint64_t id);

/* At a stop: tries the records of releases that wait for another try once more. What fails now
 * counts as lost. */
void ledger_record_rest(struct ledger *ledger);

/*
 * A committed grant did not arrive, as the transport learned afterwards: it ends as soon as nobody
 * holds it, with an `undelivered` record. reason is static.
 */
void ledger_undelivered(struct ledger *ledger, uint64_t id, const char *reason);

/* A heap tells that nothing holds its buffer of that number any more. */
void ledger_ended(struct ledger *ledger, const struct heap *heap, uint64_t watch);

/* The grant of that number that is out; NULL when there is none. */
const struct grant *ledger_find(const struct ledger *ledger, uint64_t id);

/* A grant that is out is REVOKED from now on, and the observer told so unless it was before; or,
 * when that failed, it is what it was. A number that no grant has any more is passed over. */
void ledger_revoked(struct ledger *ledger, uint64_t id);
void ledger_not_revoked(struct ledger *ledger, uint64_t id);

/* Looks at the grants of a peer again (its connection hung up): some of many at once, the others in
 * later turns of the event loop. */
void ledger_check_peer(struct ledger *ledger, const struct peer *peer);

/* Bytes and number of all grants, reserved ones included. */
uint64_t ledger_bytes(const struct ledger *ledger);
uint64_t ledger_count(const struct ledger *ledger);

/* Calls visit for every grant that is out. */
void ledger_each(const struct ledger *ledger,
	void (*visit)(void *userdata, const struct grant *grant), void *userdata);

/*
 * A review looks at every grant that is out, a part at a time. Each call of ledger_review() calls
 * visit for up to n of those that it was not called for since ledger_review_start(), and returns
 * false when there are no more. Between two calls grants may come and go; visit may not end one.
 */
void ledger_review_start(struct ledger *ledger);
bool ledger_review(struct ledger *ledger, unsigned int n,
	void (*visit)(void *userdata, const struct grant *grant), void *userdata);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ledger: all grants, and the totals that limits are checked against.
 *
 *   ledger_reserve() -> grants RESERVED, charged -> ledger_commit(): LIVE -> peer gone: ORPHANED
 *                    \-> ledger_cancel()                         \-> only we hold it: released
 *
 * A grant is charged from its reservation until nobody but the daemon holds the buffer, as fdinfo
 * tells; a buffer of a heap that cannot tell (emulated) until its peer releases it or is gone.
 * The ledger watches the pidfd of every peer with grants and looks again when a peer is gone, when
 * it is asked to (release, hang-up), under quota pressure, and on a slow timer.
 *
 * It writes the audit records of releases and orphans; a release whose record fails is recorded
 * again later, until it succeeds.
 */
#pragma once

#include <systemd/sd-event.h>

#include "account.h"
#include "audit.h"
#include "heap.h"
#include "peer.h"
#include "policy.h"

enum grant_state { GRANT_RESERVED, GRANT_LIVE, GRANT_ORPHANED, GRANT_RELEASED };
/* "reserved", "live", "orphaned", "released" */
const char *grant_state_name(enum grant_state state);

struct holder;

/* One buffer in one peer's hands. Read-only outside the ledger. */
struct grant {
	struct grant *next, *prev;	     /* in the ledger's list, oldest check first */
	struct grant *peer_next, *peer_prev; /* of the same holder */
	struct holder *holder;		     /* the process and its grants */
	struct peer *peer;		     /* the process as it was when it asked */
	struct account *rule, *user;
	uint64_t id; /* 0 until recorded; no two of one trail have the same */
	uint64_t size;
	uint64_t inode;	     /* 0 until the grant is recorded */
	uint64_t since_usec; /* CLOCK_REALTIME at commit */
	int fd;		     /* ours; -1 for a heap whose buffers cannot be counted */
	enum grant_state state;
	enum exposure exposure;
	enum transport transport;
	bool read_only;
	bool returned;		    /* the peer says that it needs it no more */
	const char *release_reason; /* static */
	char *heap;
	char *rule_name;
	char label[LABEL_MAX + 1];
	char use[USE_NAME_MAX + 1];
};

/* Who holds it (or held it). */
const struct identity *grant_identity(const struct grant *grant);

/* A copy that stays as it is, whatever becomes of the grant and its ledger; without its fd and
 * accounts. NULL when out of memory. Free takes NULL and returns NULL. */
struct grant *grant_snapshot(const struct grant *grant);
struct grant *grant_snapshot_free(struct grant *grant);

struct ledger;
struct workers;

/* What the ledger tells when a grant becomes live or is released (for D-Bus signals); reason is
 * static. */
struct ledger_observer {
	void (*added)(void *userdata, const struct grant *grant);
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

/* What a reservation failed on, for people. */
#define LEDGER_REASON_MAX POLICY_REASON_MAX

/*
 * Charges count buffers of size bytes (a multiple of the page size) to the rule's account, the
 * user's and the total, if all limits hold, and makes the grants (RESERVED). Where a byte or buffer
 * limit does not hold it looks first whether some charged buffers are gone. Returns VERDICT_GRANTED
 * with ret_grants[0..count-1] (owned by the ledger until commit or cancel hands or takes them
 * back); BYTES_LIMIT, BUFFERS_LIMIT, RATE_LIMIT, BUSY or INTERNAL with a reason.
 */
enum verdict ledger_reserve(struct ledger *ledger, struct peer *peer, const struct request *request,
	const struct decision *decision, const struct policy_settings *settings, uint64_t size,
	struct grant **ret_grants, char reason[static LEDGER_REASON_MAX + 1]);

/* What ledger_reserve() would say, without charging or taking a token. */
enum verdict ledger_would_reserve(struct ledger *ledger, const struct identity *peer,
	const struct decision *decision, const struct policy_settings *settings, uint64_t size,
	uint32_t count, char reason[static LEDGER_REASON_MAX + 1]);

/*
 * Gives reserved grants their numbers, right before their one record is appended. 0 or -ENOMEM, and
 * then none has one.
 */
int ledger_number(struct ledger *ledger, struct grant *const *grants, uint32_t count);
/* How that record went: inodes of the buffers when it is in the trail, NULL when it is not, and
 * then the numbers are taken back. */
void ledger_numbered(
	struct ledger *ledger, struct grant *const *grants, uint32_t count, const uint64_t *inodes);

/* The reserved grant was handed out: *fd (or -1) is taken over. */
void ledger_commit(struct ledger *ledger, struct grant *grant, int *fd);
/* It was not: uncharged and freed. */
void ledger_cancel(struct ledger *ledger, struct grant *grant);

/* The peer's own live grant of that number: the peer says that it needs it no more. Returns 1 when
 * somebody still holds the buffer, or so many releases are being recorded that this one comes
 * later; 0 when it is released, -ENOENT when there is no such grant. */
int ledger_release(struct ledger *ledger, const struct peer *peer, uint64_t id);

/* Looks at the grants of a peer again (its connection hung up): some of many at once, the others in
 * later turns of the event loop. */
void ledger_check_peer(struct ledger *ledger, const struct peer *peer);

/* Bytes and number of all grants, reserved ones included. */
uint64_t ledger_bytes(const struct ledger *ledger);
uint64_t ledger_count(const struct ledger *ledger);

/* Calls visit for every live and orphaned grant. */
void ledger_each(const struct ledger *ledger,
	void (*visit)(void *userdata, const struct grant *grant), void *userdata);

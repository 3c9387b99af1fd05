/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the ledger share. Calls go down: ledger/ledger.c (grants come),
 * ledger/release.c (who says that one goes), ledger/number.c, ledger/revoke.c; ledger/check.c (when
 * one is checked); ledger/end.c (it goes); ledger/quota.c (limits); ledger/state.c (the data). For
 * nobody else.
 */
#pragma once

#include <time.h>

#include "heap/workers.h"
#include "ledger/ledger.h"

TAILQ_HEAD(grant_list, grant);

/* A grant that the heap told the end of, until its peer says that it needs it no more. */
struct ended {
	uint64_t id; /* 0 for none */
	pid_t pid;
	uint64_t start_time;
};

/* So many are remembered; of an older one the peer hears that it is not known. */
#define ENDED_MAX 1024

/* A process with grants: the same for all its connections. */
struct holder {
	struct ledger *ledger;
	struct peer *peer;
	LIST_HEAD(, grant) grants;
	sd_event_source *exit; /* its pidfd; NULL before the first commit, and when it is gone */
	bool gone;
	/* A check of all of its grants that is under way: */
	TAILQ_ENTRY(holder) in_checks; /* of the ledger */
	bool check_queued;
	struct grant *check_at;	   /* where it goes on; NULL when there is none */
	const char *check_reason;  /* static */
	uint64_t check_since_usec; /* when it began */
	uint64_t check_pause_usec; /* no other one before, unless the process ends */
};

/* Grants checked in one turn of the event loop for one process: half a millisecond or so. */
#define CHECK_GRANTS 32
/* Records of the ledger's under way at a time: the trail's queue is for others, too. */
#define RECORDS_MAX 512
/* The same for releases that a peer asks for: they need not wait for those that nobody asked for.
 */
#define RELEASES_MAX (4 * RECORDS_MAX)

struct ledger {
	sd_event *loop;
	struct audit *audit;
	struct workers *workers;    /* to close large buffers; NULL for none */
	struct rule_accounts rules; /* that count for all, or per unit */
	size_t rules_sweep;	    /* at so many those that are idle are dropped */
	struct account total;
	struct grant_list grants;     /* reserved, live and orphaned, longest not checked first */
	struct grant_list unrecorded; /* released, their record still to be written */
	void *holders;		      /* of tsearch(3), by process */
	void *by_id;		      /* likewise, of grants */
	void *by_watch;		      /* likewise, by the heap's number of the buffer */
	unsigned int n_polled;	      /* grants that the timer has to check */
	unsigned int review;	      /* the number of the last one */
	struct grant *review_at;      /* where it goes on */
	bool reviewing;		      /* what comes last is still to be seen */
	sd_event_source *timer;	      /* on while there is something to check */
	sd_event_source *turn;	      /* on while there is something to go on with */
	TAILQ_HEAD(, holder) checks;  /* holders whose check is under way */
	unsigned int n_records;	      /* with the trail */
	struct ledger_observer observer;
	void (*take)(void *userdata); /* NULL for none */
	void *take_userdata;
	struct ended ended[ENDED_MAX];
	unsigned int ended_next;  /* the oldest */
	uint64_t last_id;	  /* given out */
	uint64_t recorded_id;	  /* the highest that is in a record */
	unsigned int n_numbering; /* grants whose record is under way */
};

/* --- ledger/state.c --- */

/* By number, and by the heap's number of the buffer, for tsearch(3). */
int grant_compare(const void *a, const void *b);
int grant_compare_watch(const void *a, const void *b);
/* The grant of a number in whatever state; NULL when there is none. */
struct grant *grant_by_id(const struct ledger *ledger, uint64_t id);

/* To the end of the ledger's grants, and out of them. A review sees those that come last. */
void grant_append(struct ledger *ledger, struct grant *grant);
void grant_remove(struct ledger *ledger, struct grant *grant);

/* The holder of a process, NULL when it has no grants; made when it has none yet. */
struct holder *holder_find(const struct ledger *ledger, const struct peer *peer);
int holder_get(struct ledger *ledger, struct peer *peer, struct holder **ret_holder);
/* Frees it if it has no grants. */
void holder_put(struct holder *holder);
/* Gives a grant to its holder, and takes it away again; the holder may go then. */
void holder_add(struct holder *holder, struct grant *grant);
void holder_remove(struct holder *holder, struct grant *grant);
/* Has its check go on in a later turn of the event loop, or no more. */
void holder_queue_check(struct holder *holder);
void holder_forget_check(struct holder *holder);

/* Has the heaps tell what they have not told yet. */
void ledger_take(struct ledger *ledger);
/* Whether more records may be under way. What has to wait comes with a later turn or the timer. */
bool ledger_may_record(const struct ledger *ledger);
/* Has what waits for its turn go on. */
void ledger_go_on(struct ledger *ledger);
/* Has the timer check in a while, if it is not about to. */
#define TIMER_USEC 1000000
void ledger_start_timer(struct ledger *ledger);

/* --- ledger/end.c --- */

/* Frees a grant that is in no list and charged to nothing. */
void grant_free(struct ledger *ledger, struct grant *grant);
void grant_uncharge(struct ledger *ledger, struct grant *grant);
/* Uncharges a grant that nobody holds, and has that recorded. reason must be static. */
void grant_release(struct ledger *ledger, struct grant *grant, const char *reason);
/* Checks whether somebody but us still holds the buffer, and releases it if not; true when it did.
 * What cannot be counted stays charged as long as its peer lives, what the heap tells the end of
 * until it does. reason must be static. */
bool grant_check(struct ledger *ledger, struct grant *grant, bool peer_gone, const char *reason);
/* Records the releases that could not be so far, as many as may be under way. */
void grant_record_rest(struct ledger *ledger);

/* --- ledger/check.c --- */

/* Checks all grants of a process, the first CHECK_GRANTS of them now; gone says that it is. reason
 * must be static. */
void holder_check(struct holder *holder, bool gone, const char *reason);
/* Has its grants checked when the process ends, or soon if it has. 0 or a negative errno. */
int holder_watch(struct holder *holder);
/* Whether the process has ended. */
bool holder_gone(struct holder *holder);
/* Checks some grants of an account that is full. */
void check_relieve(struct ledger *ledger, const struct account *full, struct user *user);
/* Go on with what waits for the next turn, for the timer. */
int check_on_turn(sd_event_source *source, void *userdata);
int check_on_timer(sd_event_source *source, uint64_t usec, void *userdata);

/* --- ledger/quota.c --- */

/* One reservation held against its limits. */
struct quota {
	struct account *rule, *total;
	struct user *user;
	const struct decision *decision;
	const struct policy_settings *settings;
	uint64_t size; /* of each buffer */
	uint64_t count;
	bool emulated; /* of the heap of that name */
};

/* The rule's account that a decision for a peer of a user is charged to, with a reference. GRANTED,
 * else BUSY or INTERNAL with a reason. */
enum ccbuf_verdict quota_open(struct ledger *ledger, const struct identity *peer, struct user *user,
	const struct decision *decision, uint64_t now_usec, struct rule_account **ret_rule,
	char reason[static LEDGER_REASON_MAX + 1]);

/* Gives back the reference to a rule's account, which may go then. */
void quota_close(struct rule_account *rule, struct user *user, uint64_t now_usec);

/* GRANTED, or the limit that does not hold with a reason that names it; ret_full is then the
 * account that is full if releases would help, NULL if not. */
enum ccbuf_verdict quota_check(const struct quota *quota, uint64_t now_usec,
	struct account **ret_full, char reason[static LEDGER_REASON_MAX + 1]);

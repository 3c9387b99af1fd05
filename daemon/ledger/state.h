/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shared by the files of the ledger only. Calls go down in this order: ledger/ledger.c (grants
 * begin), ledger/release.c (what ends one), ledger/number.c, ledger/revoke.c; ledger/check.c (when
 * one is checked); ledger/end.c (its end); ledger/quota.c (limits); ledger/state.c (the data).
 */
#pragma once

#include <time.h>

#include "heap/workers.h"
#include "ledger/ledger.h"

TAILQ_HEAD(grant_list, grant);

/* A grant whose end the heap has reported and its peer has not yet released. */
struct ended {
	uint64_t id; /* 0 for none */
	pid_t pid;
	uint64_t start_time;
};

/* How many are kept. The release of an older one is answered with "no such grant". */
#define ENDED_MAX 1024

/* A process with grants. All its connections share one. */
struct holder {
	struct ledger *ledger;
	struct peer *peer;
	LIST_HEAD(, grant) grants;
	sd_event_source *exit; /* watches its pidfd; NULL before the first commit, and when the
				  process is gone */
	bool gone;
	/* The check of all its grants that is under way: */
	TAILQ_ENTRY(holder) in_checks; /* of the ledger */
	bool check_queued;
	struct grant *check_at;	   /* the next grant to check; NULL when no check is under way */
	const char *check_reason;  /* static */
	uint64_t check_since_usec; /* when the check began */
	uint64_t check_pause_usec; /* no other check before this time, unless the process ends */
};

/* Grants of one process checked in one turn of the event loop: about half a millisecond. */
#define CHECK_GRANTS 32
/* Records of the ledger under way at a time: others need the trail's queue, too. */
#define RECORDS_MAX 512
/* The same with releases that a peer asked for: these do not wait for the others. */
#define RELEASES_MAX (4 * RECORDS_MAX)

struct ledger {
	sd_event *loop;
	struct audit *audit;
	struct workers *workers;    /* to close large buffers; NULL for none */
	struct rule_accounts rules; /* those that count for all, or per unit */
	size_t rules_sweep;	    /* at this number of accounts the idle ones are dropped */
	struct account total;
	struct grant_list grants;     /* reserved and out, least recently checked first */
	struct grant_list unrecorded; /* released, their records still to be written */
	void *holders;		      /* tree of tsearch(3), by process */
	void *by_id;		      /* likewise, grants by number */
	void *by_watch;		      /* likewise, by the heap's number of the buffer */
	unsigned int n_polled;	      /* grants that the timer has to check */
	unsigned int review;	      /* the number of the last review */
	struct grant *review_at;      /* the next grant that it visits */
	bool reviewing;		      /* it has not come to the end of the list */
	sd_event_source *timer;	      /* on while there is something to check */
	sd_event_source *turn;	      /* on while there is work for the next turn */
	TAILQ_HEAD(, holder) checks;  /* holders whose check is under way */
	unsigned int n_records;	      /* with the trail */
	struct ledger_observer observer;
	void (*take)(void *userdata); /* NULL for none */
	void *take_userdata;
	struct ended ended[ENDED_MAX];
	unsigned int ended_next;  /* the oldest */
	uint64_t last_id;	  /* given out */
	uint64_t recorded_id;	  /* the highest in a record */
	unsigned int n_numbering; /* grants whose record is under way */
};

/* --- ledger/state.c --- */

/* For tsearch(3): by number, and by the heap's number of the buffer. */
int grant_compare(const void *a, const void *b);
int grant_compare_watch(const void *a, const void *b);
/* The grant of a number, in any state; NULL when there is none. */
struct grant *grant_by_id(const struct ledger *ledger, uint64_t id);

/* Adds a grant at the end of the ledger's list, and takes it out. A review still comes to a grant
 * that is added. */
void grant_append(struct ledger *ledger, struct grant *grant);
void grant_remove(struct ledger *ledger, struct grant *grant);

/* holder_find(): the holder of a process, NULL when it has no grants. holder_get() makes one if
 * there is none; 0 or a negative errno. */
struct holder *holder_find(const struct ledger *ledger, const struct peer *peer);
int holder_get(struct ledger *ledger, struct peer *peer, struct holder **ret_holder);
/* Frees it if it has no grants. */
void holder_put(struct holder *holder);
/* Adds a grant to its holder, and removes it; removing the last one may free the holder. */
void holder_add(struct holder *holder, struct grant *grant);
void holder_remove(struct holder *holder, struct grant *grant);
/* Queues the holder's check for a later turn of the event loop, or ends it. */
void holder_queue_check(struct holder *holder);
void holder_forget_check(struct holder *holder);

/* Takes the events of the heaps that wait. */
void ledger_take(struct ledger *ledger);
/* Whether one more record may be under way. What has to wait is retried in a later turn or by the
 * timer. */
bool ledger_may_record(const struct ledger *ledger);
/* Continues in the next turn, if something waits and one more record may be under way. */
void ledger_go_on(struct ledger *ledger);
/* Starts the timer, unless it is on already. */
#define TIMER_USEC 1000000
void ledger_start_timer(struct ledger *ledger);

/* --- ledger/end.c --- */

/* Frees a grant that is in no list and is charged to nothing. */
void grant_free(struct ledger *ledger, struct grant *grant);
void grant_uncharge(struct ledger *ledger, struct grant *grant);
/* Uncharges a grant that nobody holds, and records its release. reason must be static. */
void grant_release(struct ledger *ledger, struct grant *grant, const char *reason);
/* Checks whether anybody but the daemon still holds the buffer. If nobody does, releases the grant
 * and returns true. A buffer whose holders cannot be counted stays charged as long as its peer
 * lives; one whose end the heap reports, until that event. reason must be static. */
bool grant_check(struct ledger *ledger, struct grant *grant, bool peer_gone, const char *reason);
/* Records the releases that are not recorded yet, as many as may be under way. */
void grant_record_rest(struct ledger *ledger);

/* --- ledger/check.c --- */

/* Checks all grants of a process, the first CHECK_GRANTS of them now. gone: the process has ended.
 * reason must be static. */
void holder_check(struct holder *holder, bool gone, const char *reason);
/* Has the grants of a process checked when it ends, or soon if it has ended. Returns 0 or a
 * negative errno. */
int holder_watch(struct holder *holder);
/* Whether the process has ended. */
bool holder_gone(struct holder *holder);
/* Checks some grants of an account that is full. */
void check_relieve(struct ledger *ledger, const struct account *full, struct user *user);
/* Handlers of the event sources: the next turn, the timer. */
int check_on_turn(sd_event_source *source, void *userdata);
int check_on_timer(sd_event_source *source, uint64_t usec, void *userdata);

/* --- ledger/quota.c --- */

/* One reservation, to be compared with its limits. */
struct quota {
	struct account *rule, *total;
	struct user *user;
	const struct decision *decision;
	const struct policy_settings *settings;
	uint64_t size; /* of each buffer */
	uint64_t count;
	bool emulated; /* of the heap of that name */
};

/* The account of the rule to which a decision for a user's peer is charged, with a reference.
 * Returns GRANTED, or BUSY or INTERNAL with a reason. */
enum ccbuf_verdict quota_open(struct ledger *ledger, const struct identity *peer, struct user *user,
	const struct decision *decision, uint64_t now_usec, struct rule_account **ret_rule,
	char reason[static LEDGER_REASON_MAX + 1]);

/* Drops the reference to a rule's account, which may free it. */
void quota_close(struct rule_account *rule, struct user *user, uint64_t now_usec);

/* Returns GRANTED, or the limit that is reached, with a reason that names it. ret_full is then the
 * full account if releases would help, else NULL. */
enum ccbuf_verdict quota_check(const struct quota *quota, uint64_t now_usec,
	struct account **ret_full, char reason[static LEDGER_REASON_MAX + 1]);

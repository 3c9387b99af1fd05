/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shared by the files of inspections only: peer/inspect.c (an inspection from begin to end),
 * peer/inspect-turn.c (inspections that wait), peer/inspector.c (the children), peer/inspect-time.c
 * (inspections that take too long).
 */
#pragma once

#include "peer/inspect.h"

#define INSPECT_TICK_USEC    50000   /* an inspection that takes longer is slow */
#define INSPECT_HANGING_USEC 1000000 /* one that takes longer counts as hanging for others */

enum inspect_state {
	INSPECT_WAITING, /* for an inspector */
	INSPECT_RUNNING,
	INSPECT_HELD, /* until it is known whether another inspection of its person hangs */
};

struct inspection {
	struct inspection *next; /* in its list: the waiting ones of its user, or the held ones */
	struct inspections *inspections;
	struct user *user; /* who asks; for a held one, the real user */
	struct inspector *inspector;
	enum inspect_state state;
	pid_t pid;
	unsigned int wanted; /* enum inspect_wanted */
	uint64_t since_usec;
	inspect_done done;
	void *userdata;
};

/* The waiting inspections of a user. */
struct inspect_turn {
	struct inspect_turn *next;
	struct user *user;
	struct inspection *first, *last;
};

/* A child. */
struct inspector {
	struct inspector *next;
	struct inspections *inspections;
	struct helper_child *process;
	int fd; /* -1 until it has started, and after it is given up */
	sd_event_source *io;
	bool busy, given_up;
	struct user *user; /* for whom it is busy; also when nobody waits any more */
	/* The inspection that it works on: */
	struct inspection *inspection; /* NULL when nobody waits for it any more */
	uint64_t number, since_usec;
	bool careful; /* it asks no file system that may not answer */
	bool noticed; /* it said that it may hang, and because of whom: */
	struct inspect_person person;
	struct user *charged; /* for a slow inspection; NULL while it is not slow */
};

struct inspections {
	struct helper *helper;
	sd_event *loop;
	struct users *users;
	struct inspector *inspectors;
	unsigned int n_lookers;
	struct inspect_turn *turns, **turns_end; /* the next one first */
	struct inspection *held;
	uint64_t number;	/* of the last question */
	sd_event_source *timer; /* for all; on while there is something to wait for */
	bool timing, stopped;
	union {
		struct inspect_answer answer;
		char space[INSPECT_ANSWER_MAX + 1];
	} in;
};

/* peer/inspect-turn.c: queues an inspection behind those of its user. 0 or -ENOMEM. */
int inspect_turn_add(struct inspections *inspections, struct inspection *inspection);
/* Takes out the next inspection, of a user who may (NULL: of anybody); the user goes behind the
 * others. NULL when none waits. */
struct inspection *inspect_turn_next(struct inspections *inspections,
	bool (*may)(const struct inspections *inspections, const struct user *user));
/* Removes an inspection from its list or its inspector. */
void inspect_detach(struct inspection *inspection);
/* Ends an inspection that is in no list and has no inspector: calls done and frees it. */
void inspect_finish(struct inspection *inspection, int result, const struct inspect_answer *answer);
void inspect_free(struct inspection *inspection);
/* Starts the timer for slow inspections, unless it is on. */
void inspect_time_start(struct inspections *inspections);

/* peer/inspector.c: gives an inspection to an idle inspector. False when none is idle. */
bool inspector_ask_any(struct inspections *inspections, struct inspection *inspection);
/* Whether an inspector may work for a user now. The last idle one only works for a user who has no
 * other: an inspection can take long without hanging, and others would wait for it. */
bool inspector_may_ask(const struct inspections *inspections, const struct user *user);
/* Gives the waiting inspections to the idle inspectors. */
void inspector_dispatch(struct inspections *inspections);
/* Takes one answer. Returns true when more may come. Frees no inspector. */
bool inspector_receive(struct inspector *inspector);
/* Gives up an inspector that cannot be recovered; its user is charged until it exits. Its
 * inspection ends with result. */
void inspector_give_up(struct inspector *inspector, int result);
/* Charges a user for a slow inspector, or gives it up if the user's share allows no more. */
void inspector_note_slow(struct inspector *inspector);
/* Starts the inspectors that are needed and allowed. False when there should be more. */
bool inspector_make(struct inspections *inspections);
void inspector_end_spare(struct inspections *inspections);
void inspector_free(struct inspector *inspector);

/* peer/inspect-time.c */
int inspect_time_init(struct inspections *inspections);

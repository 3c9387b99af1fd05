/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of inspections share: peer/inspect.c (an inspection from its beginning to its
 * end), peer/inspect-turn.c (those that wait), peer/inspector.c (the children), peer/inspect-time.c
 * (what takes too long). For nobody else.
 */
#pragma once

#include "peer/inspect.h"

#define INSPECT_TICK_USEC    50000   /* an inspection that takes longer is slow */
#define INSPECT_HANGING_USEC 1000000 /* one that takes longer hangs, as far as others go */

enum inspect_state {
	INSPECT_WAITING, /* for an inspector */
	INSPECT_RUNNING,
	INSPECT_HELD, /* until it is clear whether another inspection of its person hangs */
};

struct inspection {
	struct inspection
		*next; /* of the list that it is in: those of its user that wait, or the held */
	struct inspections *inspections;
	struct user *user; /* who asks; of one that is held, who it really is */
	struct inspector *inspector;
	enum inspect_state state;
	pid_t pid;
	unsigned int wanted; /* enum inspect_wanted */
	uint64_t since_usec;
	inspect_done done;
	void *userdata;
};

/* Those of a user that wait. */
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
	int fd; /* -1 until it has started, and once it is given up */
	sd_event_source *io;
	bool busy, given_up;
	/* Of what it is busy with: */
	struct inspection *inspection; /* NULL where nobody waits for it any more */
	uint64_t number, since_usec;
	bool careful; /* it asks no file system that may not answer */
	bool noticed; /* it said that it may hang, and over whom: */
	struct inspect_person person;
	struct user *charged; /* since it is slow; NULL if it is not */
};

struct inspections {
	struct helper *helper;
	sd_event *loop;
	struct users *users;
	struct inspector *inspectors;
	unsigned int n_lookers;
	struct inspect_turn *turns, **turns_end; /* whose turn is next is first */
	struct inspection *held;
	uint64_t number;	/* of the last question */
	sd_event_source *timer; /* one for all, on while there is something to wait for */
	bool timing, stopped;
	union {
		struct inspect_answer answer;
		char space[INSPECT_ANSWER_MAX + 1];
	} in;
};

/* peer/inspect-turn.c: behind those of its user. 0 or -ENOMEM. */
int inspect_turn_add(struct inspections *inspections, struct inspection *inspection);
/* The next one, taken out; its user goes behind the others. NULL when none waits. */
struct inspection *inspect_turn_next(struct inspections *inspections);
void inspect_turn_remove(struct inspections *inspections, const struct inspection *inspection);
/* Takes it out of wherever it is. */
void inspect_detach(struct inspection *inspection);
/* The end of an inspection that is in no list and no inspector's. */
void inspect_finish(struct inspection *inspection, int result, const struct inspect_answer *answer);
void inspect_free(struct inspection *inspection);
/* Has the timer see what takes long, if it is not about to. */
void inspect_time_start(struct inspections *inspections);

/* peer/inspector.c: has one that has time inspect. False when none has. */
bool inspector_ask_any(struct inspections *inspections, struct inspection *inspection);
bool inspector_any_idle(const struct inspections *inspections);
/* Gives those that wait to the inspectors that have time. */
void inspector_dispatch(struct inspections *inspections);
/* Takes what it says. True when more may come. Frees no inspector. */
bool inspector_receive(struct inspector *inspector);
/* It cannot be had back, and is charged until it is gone; its inspection ends with result. */
void inspector_give_up(struct inspector *inspector, int result);
/* Charges a user for one that is slow; or gives it up, where that user's share allows no more. */
void inspector_note_slow(struct inspector *inspector);
/* As many as are needed and may be: false when there should be more. */
bool inspector_make(struct inspections *inspections);
void inspector_end_spare(struct inspections *inspections);
void inspector_free(struct inspector *inspector);

/* peer/inspect-time.c */
int inspect_time_init(struct inspections *inspections);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of looks share: peer/probe.c (a look from its beginning to its end),
 * peer/probe-turn.c (those that wait), peer/prober.c (the children), peer/probe-time.c (what takes
 * too long). For nobody else.
 */
#pragma once

#include "peer/probe.h"

#define LOOK_TICK_USEC	  50000	  /* a look that takes longer is slow */
#define LOOK_HANGING_USEC 1000000 /* one that takes longer hangs, as far as others go */

enum look_state {
	LOOK_WAITING, /* for a looker */
	LOOK_RUNNING,
	LOOK_HELD, /* until it is clear whether another look of its person hangs */
};

struct look {
	struct look *next; /* of the list that it is in: those of its user that wait, or the held */
	struct looks *looks;
	struct user *user; /* who asks; of one that is held, who it really is */
	struct looker *looker;
	enum look_state state;
	pid_t pid;
	unsigned int wanted; /* enum look_wanted */
	uint64_t since_usec;
	look_done done;
	void *userdata;
};

/* Those of a user that wait. */
struct look_turn {
	struct look_turn *next;
	struct user *user;
	struct look *first, *last;
};

/* A child. */
struct looker {
	struct looker *next;
	struct looks *looks;
	struct helper_child *process;
	int fd; /* -1 until it has started, and once it is given up */
	sd_event_source *io;
	bool busy, given_up;
	/* Of what it is busy with: */
	struct look *look; /* NULL where nobody waits for it any more */
	uint64_t number, since_usec;
	bool noticed; /* it said that it may hang, and over whom: */
	struct look_person person;
	struct user *charged; /* since it is slow; NULL if it is not */
};

struct looks {
	struct helper *helper;
	sd_event *loop;
	struct users *users;
	struct looker *lookers;
	unsigned int n_lookers;
	struct look_turn *turns, **turns_end; /* whose turn is next is first */
	struct look *held;
	uint64_t number;	/* of the last question */
	sd_event_source *timer; /* one for all, on while there is something to wait for */
	bool timing, stopped;
	union {
		struct look_answer answer;
		char space[LOOK_ANSWER_MAX + 1];
	} in;
};

/* peer/probe.c: the end of a look that is in no list and no looker's. */
void look_finish(struct look *look, int result, const struct look_answer *answer);
/* Takes it out of wherever it is. */
void look_detach(struct look *look);
/* Gives those that wait to the lookers that have time. */
void look_dispatch(struct looks *looks);

/* peer/probe-turn.c: behind those of its user. 0 or -ENOMEM. */
int look_turn_add(struct looks *looks, struct look *look);
/* The next one, taken out; its user goes behind the others. NULL when none waits. */
struct look *look_turn_next(struct looks *looks);
void look_turn_remove(struct looks *looks, const struct look *look);

/* peer/prober.c: has one that has time look. False when none has. */
bool looker_ask_any(struct looks *looks, struct look *look);
bool looker_any_idle(const struct looks *looks);
/* Takes what it says. True when more may come. Frees no looker. */
bool looker_receive(struct looker *looker);
/* It cannot be had back, and is charged until it is gone; its look ends with result. */
void looker_give_up(struct looker *looker, int result);
/* Charges a user for one that is slow; or gives it up, where that user's share allows no more. */
void looker_note_slow(struct looker *looker);
/* As many as are needed and may be: false when there should be more. */
bool looker_make(struct looks *looks);
void looker_end_spare(struct looks *looks);
void looker_free(struct looker *looker);

/* peer/probe-time.c */
int look_time_init(struct looks *looks);
/* Has the timer look, if it is not about to. */
void look_time_start(struct looks *looks);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Turns: what clients ask for is done one piece for each user in each round, however many
 * connections a user has and however much waits in each. Who comes anew takes part as one more
 * user. All else in the event loop goes first.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "user/user.h"

/* Also of other work that clients cause much of: it and the turns go on by pieces, one of each at a
 * time, after what is under way. */
#define TURNS_PRIORITY (SD_EVENT_PRIORITY_NORMAL + 10)

struct turns;

/* Something that waits for its turn; embedded where it is done. */
struct turn {
	struct turn *next;
	struct user *user; /* whose it is; borrowed while it waits */
	bool waits;
	/* Does one piece. True when there is more: it waits again, behind the others of its user.
	 * It may free what it is embedded in, and then returns false. */
	bool (*run)(struct turn *turn);
};

/* 0 or a negative errno. */
int turns_new(sd_event *loop, struct turns **ret_turns);
/* Nothing may wait. Takes NULL. */
struct turns *turns_free(struct turns *turns);

/* Has it wait for its turn, if it does not already. user and run are set. */
void turns_add(struct turns *turns, struct turn *turn);
/* Takes it out, if it waits. */
void turns_remove(struct turns *turns, struct turn *turn);

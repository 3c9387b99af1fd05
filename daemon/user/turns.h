/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Turns: in each round one piece of each user's work is done, however many connections a user has
 * and however much waits in each. All else in the event loop goes first.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "user/user.h"

/* The priority of turns, and of other work that clients may cause much of. The event loop
 * alternates between them, a piece at a time, after work under way. */
#define TURNS_PRIORITY (SD_EVENT_PRIORITY_NORMAL + 10)

struct turns;

/* Work that waits for its turn; embedded in its object. */
struct turn {
	struct turn *next;
	struct user *user; /* whose it is; borrowed while it waits */
	bool waits;
	/* Does one piece. Returns true when there is more: then it waits again, behind the others
	 * of its user. It may free the object that it is embedded in, and then returns false. */
	bool (*run)(struct turn *turn);
};

/* 0 or a negative errno. */
int turns_new(sd_event *loop, struct turns **ret_turns);
/* No turn may wait. Takes NULL. */
struct turns *turns_free(struct turns *turns);

/* Queues a turn, unless it waits already. The caller has set user and run. */
void turns_add(struct turns *turns, struct turn *turn);
/* Removes a turn, if it waits. */
void turns_remove(struct turns *turns, struct turn *turn);

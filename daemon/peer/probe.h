/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks at processes, by children (helper/probe-child.h): what /proc says of one can hang on a file
 * system of its owner's. Looks go to a child each; when one takes long others are made, up to a
 * limit, and a look that does not come back is given up, with its child. Those who wait have turns
 * by user, and a user whose looks hang is charged for them (USER_LOOKS) until their children are
 * gone.
 */
#pragma once

#include <systemd/sd-event.h>

#include "helper/helper.h"
#include "helper/probe-wire.h"
#include "user/user.h"

#define LOOK_CHILDREN_MAX 32
#define LOOK_USEC	  5000000 /* until a look is given up */

struct looks;
struct look;

/* result 0 and the answer, borrowed; -ESRCH when there is no such process; -ETIMEDOUT when it did
 * not come back, or would not; -ECANCELED at a stop; or another negative errno. By the loop. */
typedef void (*look_done)(void *userdata, int result, const struct look_answer *answer);

/* 0 or a negative errno. */
int looks_new(struct helper *helper, sd_event *loop, struct users *users, struct looks **ret_looks);
/* Whether the first children are there. */
bool looks_ready(const struct looks *looks);
/* None may be under way. Takes NULL, returns NULL. */
struct looks *looks_free(struct looks *looks);
/* All that are under way, and those that are asked for from now on, fail with -ECANCELED. */
void looks_stop(struct looks *looks);

/* Looks at a process, for a user (referenced). done is called once, later. 0 or a negative errno.
 */
int look_new(struct looks *looks, struct user *user, pid_t pid, unsigned int wanted, look_done done,
	void *userdata, struct look **ret_look);
/* Takes its answer if it is here already, and calls done. Else nothing happens. */
void look_hurry(struct look *look);
/* done is not called any more. Takes NULL, returns NULL. Not for a look that is done. */
struct look *look_cancel(struct look *look);

/* Whether an answer's parts are what they say; before it is used. */
bool look_answer_valid(const struct look_answer *untrusted_answer, size_t size);
/* One of its texts; NULL when it is not known. */
const char *look_answer_text(const struct look_answer *answer, enum look_text which);

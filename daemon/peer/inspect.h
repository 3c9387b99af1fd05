/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks at processes, by children (helper/inspect-child.h): what /proc says of one can hang on a
 * file system of its owner's. Looks go to a child each; when one takes long others are made, up to
 * a limit, and an inspection that does not come back is given up, with its child. Those who wait
 * have turns by user, and a user whose inspections hang is charged for them (USER_INSPECTIONS)
 * until their children are gone. Two of the children are never asked what might hang, so that many
 * users together cannot have them all.
 */
#pragma once

#include <systemd/sd-event.h>

#include "helper/helper.h"
#include "helper/inspect-wire.h"
#include "user/user.h"

#define INSPECT_CHILDREN_MAX 32
#define INSPECT_USEC	     5000000 /* until an inspection is given up */

struct inspections;
struct inspection;

/* result 0 and the answer, borrowed; -ESRCH when there is no such process; -ETIMEDOUT when it did
 * not come back, or would not; -ECANCELED at a stop; or another negative errno. By the loop. */
typedef void (*inspect_done)(void *userdata, int result, const struct inspect_answer *answer);

/* 0 or a negative errno. */
int inspections_new(
	struct helper *helper, sd_event *loop, struct users *users, struct inspections **ret_looks);
/* Whether the first children are there. */
bool inspections_ready(const struct inspections *inspections);
/* None may be under way. Takes NULL, returns NULL. */
struct inspections *inspections_free(struct inspections *inspections);
/* All that are under way, and those that are asked for from now on, fail with -ECANCELED. */
void inspections_stop(struct inspections *inspections);

/* Looks at a process, for a user (referenced). done is called once, later. 0 or a negative errno.
 */
int inspect_new(struct inspections *inspections, struct user *user, pid_t pid, unsigned int wanted,
	inspect_done done, void *userdata, struct inspection **ret_look);
/* Takes its answer if it is here already, and calls done. Else nothing happens. */
void inspect_hurry(struct inspection *inspection);
/* done is not called any more. Takes NULL, returns NULL. Not for an inspection that is done. */
struct inspection *inspect_cancel(struct inspection *inspection);

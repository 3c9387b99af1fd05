/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inspects processes by means of children (helper/inspect-child.h), because reading /proc can hang
 * on a file system of the process's owner. A child does one inspection at a time. When one takes
 * long, more children are made, up to a limit; an inspection that hangs is given up together with
 * its child. Waiting inspections take turns by user. A user whose inspections hang is charged for
 * them (USER_INSPECTIONS) until their children are gone. Two of the children are never asked what
 * might hang, so that many users together cannot have them all.
 */
#pragma once

#include <systemd/sd-event.h>

#include "helper/helper.h"
#include "helper/inspect-wire.h"
#include "user/user.h"

#define INSPECT_CHILDREN_MAX 32
#define INSPECT_USEC	     5000000 /* after this an inspection is given up */

struct inspections;
struct inspection;

/* Called by the loop. result is 0 with an answer, borrowed; -ESRCH when there is no such process;
 * -ETIMEDOUT when the inspection hung, or would hang; -ECANCELED at a stop; or another negative
 * errno. */
typedef void (*inspect_done)(void *userdata, int result, const struct inspect_answer *answer);

/* 0 or a negative errno. */
int inspections_new(
	struct helper *helper, sd_event *loop, struct users *users, struct inspections **ret_looks);
/* Whether the first children have started. */
bool inspections_ready(const struct inspections *inspections);
/* No inspection may be under way. Takes NULL, returns NULL. */
struct inspections *inspections_free(struct inspections *inspections);
/* All inspections under way, and all later ones, fail with -ECANCELED. */
void inspections_stop(struct inspections *inspections);

/* Inspects a process for a user (referenced). wanted is of enum inspect_wanted. done is called
 * once, later. Returns 0 or a negative errno. */
int inspect_new(struct inspections *inspections, struct user *user, pid_t pid, unsigned int wanted,
	inspect_done done, void *userdata, struct inspection **ret_look);
/* If the answer is here already, takes it and calls done. Else does nothing. */
void inspect_hurry(struct inspection *inspection);
/* Cancels an inspection: done is not called any more. Takes NULL, returns NULL. Not for one that is
 * done. */
struct inspection *inspect_cancel(struct inspection *inspection);

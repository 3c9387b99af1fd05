/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reloading the policy while requests are served: files are read and names looked up in a thread,
 * as a user database may take its time to answer; the event loop puts the result in force, and has
 * the grants that are out reviewed (review.h) afterwards.
 */
#pragma once

#include "broker.h"

/* result as of broker_load_policy(); called from the event loop. */
typedef void (*reload_done)(void *userdata, int result);

/*
 * Has the policy loaded as it is on the disk from now on: a reload that is under way already may
 * have read before, so another one follows it, one for all that wait. 0; 1 when the same done and
 * userdata wait for that one already, which is told once; or -ENOMEM, and then done is not called.
 */
int reload_policy(struct broker *broker, reload_done done, void *userdata);

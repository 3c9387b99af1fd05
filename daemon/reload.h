/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loading the policy, at the start and while requests are served: a process of its own reads the
 * files and looks the names up (load.h), a thread compiles, and the event loop puts the result in
 * force and has the grants that are out reviewed (review.h) afterwards.
 */
#pragma once

#include "broker.h"

/* result: 0, -EINVAL when the policy has mistakes, -ECANCELED at a stop, or another negative errno;
 * called from the event loop. */
typedef void (*reload_done)(void *userdata, int result);

/*
 * Has the policy loaded as it is on the disk from now on: a reload that is under way already may
 * have read before, so another one follows it, one for all that wait. 0; 1 when the same done and
 * userdata wait for that one already, which is told once; or -ENOMEM, and then done is not called.
 */
int reload_policy(struct broker *broker, reload_done done, void *userdata);

/* Gives up what is under way, whatever it waits for: those who wait hear -ECANCELED, now or when
 * the policy that is being compiled is. */
void reload_stop(struct broker *broker);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loads the policy, at the start and while requests are served. A process of its own reads the
 * files and looks up the names (load.h), a thread compiles, and the event loop puts the result in
 * force and then starts a review of the grants that are out (review.h).
 */
#pragma once

#include "broker.h"

/* Called from the event loop. result: 0, -EINVAL when the policy has mistakes, -ECANCELED at a
 * stop, or another negative errno. */
typedef void (*reload_done)(void *userdata, int result);

/*
 * Loads the policy as it is on the disk now. A reload under way may have read the files before, so
 * another one follows it, one for all callers that wait. Returns 0; 1 when the same done and
 * userdata already wait for that one, and then done is called once for both; or -ENOMEM, and then
 * done is not called.
 */
int reload_policy(struct broker *broker, reload_done done, void *userdata);

/* Gives up the reload under way, whatever it waits for. Callers get -ECANCELED, now or when the
 * thread has finished compiling. */
void reload_stop(struct broker *broker);

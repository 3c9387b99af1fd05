/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the service manager is told (sd_notify(3)): that the daemon is ready, reloads, stops, lives.
 *
 * A manager that does not read holds up nobody: what its socket has no room for is sent again a
 * moment later, in order. Of very many changes that it did not hear of it hears the first and the
 * last ones.
 */
#pragma once

#include <systemd/sd-event.h>

struct notify;

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; where there is no manager nothing is ever
 * sent. The sign of life comes from the loop, a third of the time allowed after the one before.
 * 0 or a negative errno. */
int notify_new(sd_event *loop, struct notify **ret_notify);
/* Gives what was not sent yet up to a second more. Takes NULL, returns NULL. */
struct notify *notify_free(struct notify *notify);

/* status, for people, must be static. These take NULL. */
void notify_ready(struct notify *notify, const char *status);
void notify_reloading(struct notify *notify);
void notify_stopping(struct notify *notify);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Notifications to the service manager (sd_notify(3)): ready, reloading, stopping, watchdog.
 *
 * A manager that does not read blocks nothing: notifications for which its socket has no room are
 * sent again a moment later, in order. Of very many that wait only the first and the last ones are
 * sent.
 */
#pragma once

#include <systemd/sd-event.h>

struct notify;

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; without a manager nothing is ever sent. The
 * loop sends the watchdog message every third of the time allowed. Returns 0 or a negative
 * errno. */
int notify_new(sd_event *loop, struct notify **ret_notify);
/* Tries up to a second to send what waits. Takes NULL, returns NULL. */
struct notify *notify_free(struct notify *notify);

/* status, for people, must be static. These take NULL. */
void notify_ready(struct notify *notify, const char *status);
void notify_reloading(struct notify *notify);
void notify_stopping(struct notify *notify);

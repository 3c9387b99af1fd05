/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The D-Bus front end: org.ccbuf.Broker1 on the system bus. It turns method calls into requests and
 * outcomes into replies; it has no policy.
 *
 * It asks the bus daemon once for each connection who calls (GetConnectionCredentials), and keeps
 * the answer until the connection is gone. A bus connection counts against connections-per-user
 * like a socket connection.
 */
#pragma once

#include "broker.h"

struct bus;

/*
 * Connects to the system bus (or DBUS_SYSTEM_BUS_ADDRESS), publishes the object and requests the
 * name, without waiting. on_ready is called once, from inside or later: when the name is ours, or
 * cannot be ours for now (the journal says why). A bus that cannot be reached, or goes away, is
 * tried again every few seconds. Returns 0, or the negative errno of a failure of our own.
 */
int bus_new(struct broker *broker, void (*on_ready)(void *userdata), void *userdata,
	struct bus **ret_bus);
/* Flushes and closes the connection. No request may be under way any more. Takes NULL. */
struct bus *bus_free(struct bus *bus);

/* Releases the name: no new calls come in, replies still go out. */
void bus_stop(struct bus *bus);

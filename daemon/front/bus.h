/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The D-Bus front end: org.ccbuf.Broker1 on the system bus. Method calls to requests, outcomes to
 * replies; no policy.
 *
 * Who calls is asked from the bus daemon once a connection (GetConnectionCredentials), and kept
 * until the connection is gone. A bus connection counts against connections-per-user as a socket
 * connection does.
 */
#pragma once

#include "broker.h"

struct bus;

/*
 * Connects to the system bus (or DBUS_SYSTEM_BUS_ADDRESS), publishes the object and asks for the
 * name, without waiting. on_ready is called once, from inside or later: when the name is ours, or
 * it is clear that it will not be for now (the journal says why). A bus that cannot be reached or
 * that goes away is tried again every few seconds. 0, or the negative errno of a failure of our
 * own.
 */
int bus_new(struct broker *broker, void (*on_ready)(void *userdata), void *userdata,
	struct bus **ret_bus);
/* Flushes and closes. Takes NULL. No request may be under way any more. */
struct bus *bus_free(struct bus *bus);

/* Gives the name back: no new calls come in, replies still go out. */
void bus_stop(struct bus *bus);

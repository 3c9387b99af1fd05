/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Connections of the socket: each turns packets of common/wire.h into requests and outcomes into
 * packets.
 *
 * A connection reads its next packet only while fewer than WIRE_IN_FLIGHT_MAX of its requests are
 * under way and all its replies are with the kernel. So a client that asks without reading stops
 * itself. A reply that waits for longer than CONNECTION_SLOW_USEC ends the connection.
 */
#pragma once

#include "broker.h"

#define CONNECTION_SLOW_USEC 30000000

struct connection;

/* All connections. */
struct connections {
	struct broker *broker;
	struct connection *first;
	struct connection *closed; /* until the clients have read all */
	bool stopped;
};

/* Serves *fd (taken over on success) for a peer (referenced) until the client hangs up or breaks
 * the protocol. Returns 0 or a negative errno. */
int connection_new(struct connections *connections, int *fd, struct peer *peer);

/* No connection reads packets any more; replies still go out. */
void connections_stop(struct connections *connections);
/* Ends all connections; replies not yet sent are reported undelivered. */
void connections_close(struct connections *connections);

/* Sends the reason in one packet, without queueing, and closes *fd: a client that is turned away
 * gets no resources. user may be NULL. */
void connection_turn_away(struct connections *connections, struct user *user, int *fd,
	enum ccbuf_verdict verdict, const char *reason);

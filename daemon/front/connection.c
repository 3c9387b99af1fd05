/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One client's connection: packets in, replies out. It must never block on a client, nor let a
 * queue grow with what its client does not read. It does not decide on requests.
 */
#include "front/connection.h"

#include <stddef.h>
#include <stdio.h>

#include "front/channel.h"
#include "front/packet.h"
#include "grant.h"
#include "user/turns.h"
#include "util.h"

#define IO_EVENTS (EPOLLIN | EPOLLOUT | EPOLLET)

/* The time to the next try, where no event reports that it would succeed. */
#define RETRY_USEC 10000

struct reply {
	struct reply *next;
	struct grant_op *op; /* NULL when there is nothing to commit */
	union socket_packet packet;
	size_t length;
	uint32_t n_fds;
	const int *fds; /* the op's */
};

struct connection {
	struct connection *next, *prev;
	struct connections *connections;
	struct peer *peer;
	struct channel channel;
	unsigned int refs; /* one of its list, one of each request under way */
	unsigned int in_flight;
	bool ending;   /* ends after the waiting replies */
	bool hung_up;  /* the client is gone */
	bool readable; /* there may be a packet or an end to receive */
	struct turn turn;
	bool closed; /* in the list of those with unread replies */
	sd_event_source *io, *slow, *retry;
	struct reply *first, *last;
};

/* A request of a connection, until its outcome. */
struct exchange {
	struct connection *connection;
	uint64_t id;
};

/* --- the end of a connection --- */

static void connection_put(struct connection *connection)
{
	if (--connection->refs > 0)
		return;
	peer_unref(connection->peer);
	free(connection);
}

static void reply_done(struct reply *reply, int result)
{
	if (reply->op)
		grant_delivered(reply->op, result);
	free(reply);
}

static void list_add(struct connection **list, struct connection *connection)
{
	connection->prev = NULL;
	connection->next = *list;
	if (connection->next)
		connection->next->prev = connection;
	*list = connection;
}

static void list_remove(struct connection **list, struct connection *connection)
{
	if (connection->prev)
		connection->prev->next = connection->next;
	else
		*list = connection->next;
	if (connection->next)
		connection->next->prev = connection->prev;
}

/* The client has read all that was sent. */
static void on_gone(void *userdata)
{
	struct connection *connection = userdata;

	list_remove(&connection->connections->closed, connection);
	connection_put(connection);
}

static void connection_close(struct connection *connection, int result)
{
	struct connections *connections = connection->connections;
	struct reply *reply, *next;

	if (connection->closed)
		return;
	connection->closed = true;
	turns_remove(connections->broker->turns, &connection->turn);
	connection->io = sd_event_source_disable_unref(connection->io);
	connection->slow = sd_event_source_disable_unref(connection->slow);
	connection->retry = sd_event_source_disable_unref(connection->retry);
	list_remove(&connections->first, connection);
	list_add(&connections->closed, connection);
	connection->refs++;
	channel_end(&connection->channel, connections->broker->loop, on_gone, connection);
	reply = connection->first;
	connection->first = connection->last = NULL;
	for (; reply; reply = next) {
		next = reply->next;
		reply_done(reply, result);
	}
	ledger_check_peer(connections->broker->ledger, connection->peer);
	connection_put(connection);
}

/* --- sending --- */

static bool may_receive(const struct connection *connection)
{
	return !connection->closed && !connection->retry && !connection->first &&
	       !connection->ending && !connection->connections->stopped &&
	       connection->in_flight < WIRE_IN_FLIGHT_MAX;
}

/* Queues a turn to receive, if there may be something. */
static void go_on(struct connection *connection)
{
	if (connection->readable && may_receive(connection))
		turns_add(connection->connections->broker->turns, &connection->turn);
}

static int on_slow(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	connection_close(userdata, -ETIMEDOUT);
	return 0;
}

static void flush(struct connection *connection);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct connection *connection = userdata;

	(void)source;
	(void)usec;
	connection->retry = sd_event_source_disable_unref(connection->retry);
	flush(connection);
	return 0;
}

/* The reply at the head of the queue has to wait. */
static void wait_to_send(struct connection *connection, int error)
{
	sd_event *loop = connection->connections->broker->loop;

	if (!connection->slow)
		sd_event_add_time_relative(loop, &connection->slow, CLOCK_MONOTONIC,
			CONNECTION_SLOW_USEC, 0, on_slow, connection);
	/* From now on an event reports room. No event reports that fewer fds are in flight: this
	 * client has room. */
	if (error == -EAGAIN)
		sd_event_source_set_io_events(connection->io, IO_EVENTS);
	else if (!connection->retry)
		sd_event_add_time_relative(loop, &connection->retry, CLOCK_MONOTONIC, RETRY_USEC, 0,
			on_retry, connection);
}

/* Uncharges what the user has received on other connections. */
static void update_others(struct connection *connection)
{
	struct user *user = connection->channel.user;
	uint64_t now;

	/* Of many waiting connections only the first checks. */
	sd_event_now(connection->connections->broker->loop, CLOCK_MONOTONIC, &now);
	if (now - user->updated_usec < RETRY_USEC)
		return;
	user->updated_usec = now;
	for (struct connection *c = connection->connections->first; c; c = c->next)
		if (c->channel.user == user)
			channel_update(&c->channel);
}

/* Sends the waiting replies, as far as the client has room. May close the connection. */
static void flush(struct connection *connection)
{
	while (connection->first) {
		struct reply *reply = connection->first;
		int r = channel_send(&connection->channel, &reply->packet, reply->length,
			reply->fds, reply->n_fds);

		if (r == -ENOBUFS)
			update_others(connection);
		if (r == -EAGAIN || r == -ENOBUFS) {
			wait_to_send(connection, r);
			return;
		}
		if (r < 0) {
			connection_close(connection, r);
			return;
		}
		connection->first = reply->next;
		if (!connection->first)
			connection->last = NULL;
		reply_done(reply, 0);
		connection->slow = sd_event_source_disable_unref(connection->slow);
	}
	if (connection->ending)
		connection_close(connection, 0);
	else
		go_on(connection);
}

static void enqueue(struct connection *connection, struct reply *reply)
{
	if (connection->last)
		connection->last->next = reply;
	else
		connection->first = reply;
	connection->last = reply;
	if (connection->first == reply)
		flush(connection);
}

static void refuse(
	struct connection *connection, uint64_t id, enum ccbuf_verdict verdict, const char *reason)
{
	struct reply *reply = calloc(1, sizeof(*reply));

	if (!reply) {
		connection_close(connection, -ENOMEM);
		return;
	}
	reply->length = socket_packet_refused(&reply->packet, id, verdict, NULL, reason);
	enqueue(connection, reply);
}

static void on_outcome(void *userdata, struct grant_op *op, const struct outcome *outcome)
{
	struct exchange *exchange = userdata;
	struct connection *connection = exchange->connection;
	struct reply *reply = NULL;

	connection->in_flight--;
	if (!connection->closed)
		reply = calloc(1, sizeof(*reply));
	if (!reply) {
		grant_delivered(op, connection->closed ? -ECONNRESET : -ENOMEM);
	} else {
		reply->op = op;
		if (outcome->verdict == CCBUF_GRANTED) {
			reply->fds = outcome->fds;
			reply->n_fds = outcome->count;
			reply->length = socket_packet_granted(
				&reply->packet, exchange->id, outcome->grants, outcome->count);
		} else {
			reply->length = socket_packet_refused(&reply->packet, exchange->id,
				outcome->verdict, outcome->rule, outcome->reason);
		}
		enqueue(connection, reply);
	}
	free(exchange);
	connection_put(connection);
}

/* --- receiving --- */

static void end_malformed(struct connection *connection, uint64_t id, const char *reason)
{
	broker_record_refusal(
		connection->connections->broker, connection->peer, NULL, CCBUF_MALFORMED, reason);
	connection->ending = true;
	refuse(connection, id, CCBUF_MALFORMED, reason);
}

static void handle_request(
	struct connection *connection, uint64_t id, const struct request *request)
{
	struct exchange *exchange = malloc(sizeof(*exchange));
	int r = -ENOMEM;

	if (exchange) {
		*exchange = (struct exchange){ connection, id };
		connection->refs++;
		connection->in_flight++;
		r = grant_request(connection->connections->broker, connection->peer, request,
			on_outcome, exchange);
		if (r < 0) {
			connection->in_flight--;
			connection->refs--;
			free(exchange);
		}
	}
	if (r < 0) {
		broker_record_refusal(connection->connections->broker, connection->peer, request,
			CCBUF_INTERNAL, "out of memory");
		refuse(connection, id, CCBUF_INTERNAL, "out of memory");
	}
}

static void handle_release(
	struct connection *connection, uint64_t id, const struct wire_release *release)
{
	struct reply *reply;
	int r = ledger_release(
		connection->connections->broker->ledger, connection->peer, release->grant);

	if (r < 0) {
		char reason[64];

		snprintf(reason, sizeof(reason), "this process has no live grant %ju",
			(uintmax_t)release->grant);
		broker_record_refusal(connection->connections->broker, connection->peer, NULL,
			CCBUF_UNKNOWN_GRANT, reason);
		refuse(connection, id, CCBUF_UNKNOWN_GRANT, reason);
		return;
	}
	reply = calloc(1, sizeof(*reply));
	if (!reply) {
		connection_close(connection, -ENOMEM);
		return;
	}
	reply->length = socket_packet_released(&reply->packet, id, release->grant, r > 0);
	enqueue(connection, reply);
}

static void receive(struct connection *connection)
{
	union socket_packet untrusted_packet = { 0 };
	struct request request;
	const char *reason;
	uint64_t id;
	ssize_t n;

	n = channel_receive(&connection->channel, &untrusted_packet, sizeof(untrusted_packet));
	if (n == -EAGAIN) {
		/* an event reports the next one */
		connection->readable = false;
		return;
	}
	if (n == -EBADMSG) {
		end_malformed(
			connection, untrusted_packet.header.id, "packet with file descriptors");
		return;
	}
	if (n < 0) {
		connection_close(connection, (int)n);
		return;
	}
	id = (size_t)n >= sizeof(struct wire_header) ? untrusted_packet.header.id : 0;
	if ((size_t)n > sizeof(untrusted_packet))
		end_malformed(connection, id, "packet longer than any valid one");
	else if (socket_packet_decode(&untrusted_packet, (size_t)n, &request, &reason) < 0)
		end_malformed(connection, id, reason);
	else if (untrusted_packet.header.type == WIRE_RELEASE)
		handle_release(connection, id, &untrusted_packet.release);
	else
		handle_request(connection, id, &request);
}

static bool on_turn(struct turn *turn)
{
	struct connection *connection =
		(struct connection *)((char *)turn - offsetof(struct connection, turn));
	bool more;

	connection->refs++;
	if (may_receive(connection))
		receive(connection);
	else if (connection->hung_up)
		/* The client has hung up and will not read the waiting replies. */
		connection_close(connection, -ECONNRESET);
	more = connection->readable && may_receive(connection);
	connection_put(connection);
	return more;
}

/* Edge-triggered: what is not received now waits for a turn. */
static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct connection *connection = userdata;

	(void)source;
	(void)fd;
	connection->refs++;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		connection->readable = true;
	if (events & EPOLLOUT && connection->first && !connection->retry)
		flush(connection);
	/* Ending a connection takes time, so each waits for its turn. */
	if (events & (EPOLLHUP | EPOLLERR) && !connection->closed) {
		connection->hung_up = true;
		turns_add(connection->connections->broker->turns, &connection->turn);
	}
	go_on(connection);
	connection_put(connection);
	return 0;
}

/* --- beginning --- */

void connection_turn_away(struct connections *connections, struct user *user, int *fd,
	enum ccbuf_verdict verdict, const char *reason)
{
	union socket_packet packet;
	size_t length = socket_packet_refused(&packet, 0, verdict, NULL, reason);

	channel_refuse(connections->broker->closer, user, fd, &packet, length);
}

int connection_new(struct connections *connections, int *fd, struct peer *peer)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int r;

	if (!connection)
		return -ENOMEM;
	r = sd_event_add_io(
		connections->broker->loop, &connection->io, *fd, IO_EVENTS, on_io, connection);
	if (r < 0) {
		free(connection);
		return r;
	}
	channel_init(&connection->channel, connections->broker->closer, peer->user, fd);
	connection->connections = connections;
	connection->peer = peer_ref(peer);
	connection->turn = (struct turn){ .user = peer->user, .run = on_turn };
	connection->refs = 1;
	list_add(&connections->first, connection);
	return 0;
}

void connections_stop(struct connections *connections)
{
	connections->stopped = true;
}

void connections_close(struct connections *connections)
{
	while (connections->first)
		connection_close(connections->first, -ESHUTDOWN);
	while (connections->closed) {
		struct connection *connection = connections->closed;

		channel_done(&connection->channel);
		on_gone(connection);
	}
}

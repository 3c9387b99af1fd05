/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Connections of libccbuf and the questions that go out on them. It must never wait except in
 * ccbuf_request() and ccbuf_release(), and never print.
 */
#include "ccbuf-internal.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "verdict.h"

#define same(a, b) static_assert((unsigned int)(a) == (unsigned int)(b), #a)
same(CCBUF_SHARED, EXPOSURE_SHARED);
same(CCBUF_PRIVATE, EXPOSURE_PRIVATE);
same(CCBUF_PROTECTED, EXPOSURE_PROTECTED);
same(CCBUF_EMULATED, EXPOSURE_EMULATED);
same(CCBUF_EMULATED + 1, EXPOSURE_MAX_);
same(CCBUF_ACCEPT_SHARED, WIRE_ACCEPT_SHARED);
same(CCBUF_READ_ONLY, WIRE_READ_ONLY);
same(CCBUF_USE_MAX, USE_NAME_MAX);
same(CCBUF_LABEL_MAX, LABEL_MAX);
same(CCBUF_COUNT_MAX, REQUEST_COUNT_MAX);
same(CCBUF_IN_FLIGHT_MAX, WIRE_IN_FLIGHT_MAX);
static_assert(sizeof(CCBUF_SOCKET_PATH) == sizeof(WIRE_SOCKET_PATH), "the same path");

int ccbuf_connect(const char *path, struct ccbuf **ret_connection)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct ccbuf *connection;
	cleanup(cleanup_fd) int fd = -1;
	int r;

	if (!path)
		path = secure_getenv("CCBUF_SOCKET");
	if (!path || !*path)
		path = CCBUF_SOCKET_PATH;
	if (!copy_string(address.sun_path, sizeof(address.sun_path), path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	do
		r = connect(fd, (const struct sockaddr *)&address, sizeof(address));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	connection = calloc(1, sizeof(*connection));
	if (!connection)
		return -ENOMEM;
	connection->fd = steal_fd(&fd);
	*ret_connection = connection;
	return 0;
}

struct ccbuf *ccbuf_free(struct ccbuf *connection)
{
	if (connection) {
		close_fd(&connection->fd);
		free(connection);
	}
	return NULL;
}

int ccbuf_fd(const struct ccbuf *connection)
{
	return connection->fd;
}

unsigned int ccbuf_verdict(const struct ccbuf *connection)
{
	return connection->verdict;
}

const char *ccbuf_rule(const struct ccbuf *connection)
{
	return connection->rule;
}

const char *ccbuf_reason(const struct ccbuf *connection)
{
	return connection->reason;
}

const char *ccbuf_verdict_name(unsigned int verdict)
{
	const char *name = verdict_name(verdict);

	return name ? name : "unknown";
}

const char *ccbuf_verdict_words(unsigned int verdict)
{
	const char *words = verdict_words(verdict);

	return words ? words : "The broker refused for a reason that this version does not know.";
}

const char *ccbuf_exposure_name(unsigned int exposure)
{
	return exposure_name(exposure < EXPOSURE_MAX_ ? (enum exposure)exposure : EXPOSURE_UNKNOWN);
}

static struct pending *pending_place(struct ccbuf *connection)
{
	for (size_t i = 0; i < WIRE_IN_FLIGHT_MAX; i++)
		if (!connection->pending[i].id)
			return &connection->pending[i];
	return NULL;
}

/* Sends a packet and remembers what its reply is held to. Fills in the header. */
static int question_send(struct ccbuf *connection, struct wire_header *packet, size_t size,
	struct pending question, uint64_t *ret_id)
{
	struct pending *place = pending_place(connection);
	ssize_t sent;

	if (connection->broken)
		return connection->broken;
	if (!place)
		return -EBUSY;
	question.id = connection->last_id + 1;
	*packet = (struct wire_header){
		.version = WIRE_VERSION,
		.type = question.type,
		.length = (uint32_t)size,
		.id = question.id,
	};
	do
		sent = send(connection->fd, packet, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EPIPE ? -ECONNRESET : -errno;
	connection->last_id = question.id;
	*place = question;
	*ret_id = question.id;
	return 0;
}

int ccbuf_request_send(
	struct ccbuf *connection, const struct ccbuf_request *request, uint64_t *ret_id)
{
	const char *label = request->label ? request->label : "";
	uint32_t count = request->count ? request->count : 1;
	struct wire_request packet = {
		.size = request->size,
		.count = count,
		.flags = request->flags,
	};
	struct pending question = {
		.type = WIRE_REQUEST,
		.size = request->size,
		.count = count,
		.flags = request->flags,
	};

	if (!request->use || !use_name_valid(request->use) || !label_valid(label) ||
		count > REQUEST_COUNT_MAX || (request->flags & ~(uint32_t)WIRE_FLAGS_ALL))
		return -EINVAL;
	copy_string(packet.use, sizeof(packet.use), request->use);
	copy_string(packet.label, sizeof(packet.label), label);
	return question_send(connection, &packet.header, sizeof(packet), question, ret_id);
}

int ccbuf_release_send(struct ccbuf *connection, uint64_t grant, uint64_t *ret_id)
{
	struct wire_release packet = { .grant = grant };
	struct pending question = { .type = WIRE_RELEASE, .grant = grant };

	return question_send(connection, &packet.header, sizeof(packet), question, ret_id);
}

static int wait_for(const struct ccbuf *connection, short events)
{
	struct pollfd fd = { .fd = connection->fd, .events = events };

	if (poll(&fd, 1, -1) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

/* Asks, with request or (if that is NULL) about grant, and waits for the reply to it. */
static int ask(struct ccbuf *connection, const struct ccbuf_request *request, uint64_t grant,
	struct ccbuf_reply *ret_reply)
{
	uint64_t id;
	int r;

	if (connection->broken)
		return connection->broken;
	for (size_t i = 0; i < WIRE_IN_FLIGHT_MAX; i++)
		if (connection->pending[i].id)
			return -EBUSY;
	for (;;) {
		r = request ? ccbuf_request_send(connection, request, &id)
			    : ccbuf_release_send(connection, grant, &id);
		if (r != -EAGAIN)
			break;
		r = wait_for(connection, POLLOUT);
		if (r < 0)
			return r;
	}
	/* A broker that wants no connection says why before it hangs up: go and read that. */
	if (r < 0 && r != -ECONNRESET)
		return r;
	for (;;) {
		r = receive_reply(connection, true, ret_reply);
		if (r != -EAGAIN)
			return r;
		r = wait_for(connection, POLLIN);
		if (r < 0)
			return r;
	}
}

int ccbuf_request(struct ccbuf *connection, const struct ccbuf_request *request,
	struct ccbuf_buffer *ret_buffers)
{
	struct ccbuf_reply reply;
	int r;

	r = ask(connection, request, 0, &reply);
	if (r < 0)
		return r;
	if (reply.verdict == CCBUF_GRANTED)
		memcpy(ret_buffers, reply.buffers, reply.n_buffers * sizeof(*ret_buffers));
	return (int)reply.verdict;
}

int ccbuf_release(struct ccbuf *connection, uint64_t grant, bool *ret_still_held)
{
	struct ccbuf_reply reply;
	int r;

	r = ask(connection, NULL, grant, &reply);
	if (r < 0)
		return r;
	if (reply.verdict == CCBUF_GRANTED && ret_still_held)
		*ret_still_held = reply.still_held;
	return (int)reply.verdict;
}

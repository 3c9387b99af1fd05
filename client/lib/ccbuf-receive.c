/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Replies: one packet with its fds, checked in every field before anything of it is used. It must
 * never leave an fd open that it does not return, nor believe a length, a count or a text.
 */
#include "ccbuf-internal.h"

#include <sys/socket.h>

#include "verdict.h"

/* Verdicts that later versions may add are taken; what cannot be one is not. */
#define VERDICT_LIMIT 65536u

union packet {
	struct wire_header header;
	struct wire_granted granted;
	struct wire_refused refused;
	struct wire_released released;
};

/* A packet as it came, and the fds with it. */
struct arrival {
	union packet untrusted;
	size_t size;
	size_t n_fds;
	bool truncated;	      /* the packet was longer than any reply */
	bool fds_lost;	      /* some fds did not get through */
	bool foreign_control; /* control data of another kind than fds */
	int fds[REQUEST_COUNT_MAX];
};

static void arrival_done(struct arrival *arrival)
{
	for (size_t i = 0; i < arrival->n_fds; i++)
		close_fd(&arrival->fds[i]);
	arrival->n_fds = 0;
}

static void take_fds(struct msghdr *message, struct arrival *arrival)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
			arrival->foreign_control = true;
			continue;
		}
		/* The control buffer has room for no more than fds has. */
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(arrival->fds + arrival->n_fds, CMSG_DATA(c), n * sizeof(int));
		arrival->n_fds += n;
	}
}

/* Receives one packet. 0; -EAGAIN; -ECONNRESET at the end of the connection. */
static int arrival_receive(int fd, bool wait, struct arrival *ret_arrival)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * REQUEST_COUNT_MAX)];
		struct cmsghdr align;
	} control;
	struct iovec data = { &ret_arrival->untrusted, sizeof(ret_arrival->untrusted) };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	bool reset = false;
	ssize_t n;

	for (;;) {
		n = recvmsg(fd, &message, (wait ? 0 : MSG_DONTWAIT) | MSG_CMSG_CLOEXEC);
		if (n >= 0)
			break;
		if (errno == EINTR)
			continue;
		/* A hang-up with our question unread is told once, and before what was sent to us
		 * ahead of it. */
		if (errno != ECONNRESET || reset)
			return -errno;
		reset = true;
	}
	take_fds(&message, ret_arrival);
	ret_arrival->size = (size_t)n;
	ret_arrival->truncated = message.msg_flags & MSG_TRUNC;
	ret_arrival->fds_lost = message.msg_flags & MSG_CTRUNC;
	if (n == 0) {
		arrival_done(ret_arrival);
		return -ECONNRESET;
	}
	return 0;
}

static struct pending *pending_find(struct ccbuf *connection, uint64_t id)
{
	for (size_t i = 0; id && i < WIRE_IN_FLIGHT_MAX; i++)
		if (connection->pending[i].id == id)
			return &connection->pending[i];
	return NULL;
}

static bool terminated(const char *untrusted_text, size_t size)
{
	return memchr(untrusted_text, 0, size);
}

static int check_granted(const struct wire_granted *untrusted_packet, const struct arrival *arrival,
	const struct pending *question)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (!question || question->type != WIRE_REQUEST)
		return -EBADMSG;
	if (untrusted_packet->count != question->count || !untrusted_packet->size ||
		untrusted_packet->size % page || untrusted_packet->size < question->size)
		return -EBADMSG;
	if (untrusted_packet->exposure == EXPOSURE_UNKNOWN ||
		untrusted_packet->exposure >= EXPOSURE_MAX_)
		return -EBADMSG;
	if (untrusted_packet->exposure == EXPOSURE_SHARED &&
		!(question->flags & WIRE_ACCEPT_SHARED))
		return -EBADMSG;
	for (size_t i = untrusted_packet->count; i < REQUEST_COUNT_MAX; i++)
		if (untrusted_packet->grants[i])
			return -EBADMSG;
	/* The kernel drops what does not fit the table of fds, and tells it no other way. */
	if (arrival->fds_lost && arrival->n_fds < question->count)
		return -EMFILE;
	if (arrival->fds_lost || arrival->n_fds != question->count)
		return -EBADMSG;
	return 0;
}

static int check_refused(const struct wire_refused *untrusted_packet)
{
	if (untrusted_packet->verdict == CCBUF_GRANTED ||
		untrusted_packet->verdict >= VERDICT_LIMIT || untrusted_packet->reserved ||
		!terminated(untrusted_packet->rule, sizeof(untrusted_packet->rule)) ||
		!terminated(untrusted_packet->reason, sizeof(untrusted_packet->reason)))
		return -EBADMSG;
	return 0;
}

static int check_released(
	const struct wire_released *untrusted_packet, const struct pending *question)
{
	if (!question || question->type != WIRE_RELEASE ||
		untrusted_packet->grant != question->grant || untrusted_packet->still_held > 1 ||
		untrusted_packet->reserved)
		return -EBADMSG;
	return 0;
}

/* What a packet must be before its fields are looked at, and that it comes with fds only where it
 * should. */
static int check_form(const struct arrival *arrival, size_t expected)
{
	const struct wire_header *untrusted_header = &arrival->untrusted.header;

	if (arrival->size != expected || untrusted_header->length != expected)
		return -EBADMSG;
	if (untrusted_header->type != WIRE_GRANTED && (arrival->n_fds || arrival->fds_lost))
		return -EBADMSG;
	return 0;
}

static int check(const struct arrival *arrival, const struct pending *question)
{
	const union packet *untrusted = &arrival->untrusted;
	int r;

	if (arrival->truncated || arrival->foreign_control ||
		arrival->size < sizeof(untrusted->header) ||
		untrusted->header.version != WIRE_VERSION)
		return -EBADMSG;
	switch (untrusted->header.type) {
	case WIRE_GRANTED:
		r = check_form(arrival, sizeof(untrusted->granted));
		return r < 0 ? r : check_granted(&untrusted->granted, arrival, question);
	case WIRE_REFUSED:
		if (!question && untrusted->header.id)
			return -EBADMSG;
		r = check_form(arrival, sizeof(untrusted->refused));
		return r < 0 ? r : check_refused(&untrusted->refused);
	case WIRE_RELEASED:
		r = check_form(arrival, sizeof(untrusted->released));
		return r < 0 ? r : check_released(&untrusted->released, question);
	default:
		return -EBADMSG;
	}
}

/* Turns a packet that passed the checks into a reply and notes its verdict. Takes the fds. */
static void deliver(
	struct ccbuf *connection, struct arrival *arrival, struct ccbuf_reply *ret_reply)
{
	const union packet *packet = &arrival->untrusted;

	connection->verdict = CCBUF_GRANTED;
	connection->rule[0] = connection->reason[0] = 0;
	ret_reply->id = packet->header.id;
	ret_reply->n_buffers = 0;
	ret_reply->still_held = false;
	if (packet->header.type == WIRE_REFUSED) {
		connection->verdict = packet->refused.verdict;
		copy_string(connection->rule, sizeof(connection->rule), packet->refused.rule);
		copy_string(connection->reason, sizeof(connection->reason), packet->refused.reason);
		/* Without an id it is the connection that was refused: nothing more will come. */
		if (!packet->header.id)
			connection->broken = -ECONNRESET;
	} else if (packet->header.type == WIRE_GRANTED) {
		ret_reply->n_buffers = packet->granted.count;
		for (size_t i = 0; i < packet->granted.count; i++)
			ret_reply->buffers[i] = (struct ccbuf_buffer){
				.grant = packet->granted.grants[i],
				.size = packet->granted.size,
				.fd = steal_fd(&arrival->fds[i]),
				.exposure = packet->granted.exposure,
			};
	} else {
		ret_reply->still_held = packet->released.still_held;
	}
	ret_reply->verdict = connection->verdict;
}

int receive_reply(struct ccbuf *connection, bool wait, struct ccbuf_reply *ret_reply)
{
	struct arrival arrival = { 0 };
	struct pending *question;
	int r;

	if (connection->broken)
		return connection->broken;
	r = arrival_receive(connection->fd, wait, &arrival);
	if (r == -EAGAIN)
		return r;
	if (r < 0) {
		connection->broken = r;
		return r;
	}
	question = pending_find(connection, arrival.untrusted.header.id);
	r = check(&arrival, question);
	if (r < 0 && r != -EMFILE)
		connection->broken = r;
	if (r == 0)
		deliver(connection, &arrival, ret_reply);
	if (question)
		question->id = 0;
	arrival_done(&arrival);
	return r;
}

int ccbuf_receive(struct ccbuf *connection, struct ccbuf_reply *ret_reply)
{
	return receive_reply(connection, false, ret_reply);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of libccbuf share: a connection, and the questions that wait for a reply.
 */
#pragma once

#pragma GCC visibility push(default)
#include "ccbuf.h"
#pragma GCC visibility pop

#include "util.h"
#include "wire.h"

/* A question under way: what its reply is held to. */
struct pending {
	uint64_t id;   /* 0 when this place is free */
	uint16_t type; /* WIRE_REQUEST or WIRE_RELEASE */
	uint32_t count;
	uint32_t flags;
	uint64_t size;
	uint64_t grant;
};

struct ccbuf {
	int fd;
	int broken; /* negative errno once the connection is of no more use */
	uint64_t last_id;
	struct pending pending[WIRE_IN_FLIGHT_MAX];
	uint32_t verdict;
	char rule[WIRE_RULE_MAX + 1];
	char reason[WIRE_REASON_MAX + 1];
};

/* ccbuf_receive(), which waits for a packet if so told (-EAGAIN only where somebody made the socket
 * non-blocking). */
int receive_reply(struct ccbuf *connection, bool wait, struct ccbuf_reply *ret_reply);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Turns packets of the socket protocol into requests, and outcomes into packets. No I/O.
 */
#pragma once

#include "grant.h"
#include "wire.h"

union socket_packet {
	struct wire_header header;
	struct wire_request request;
	struct wire_release release;
	struct wire_granted granted;
	struct wire_refused refused;
	struct wire_released released;
};

/*
 * Checks the whole form of a packet of length bytes. Returns 0, or -EBADMSG with a reason in words.
 * Fills ret_request for WIRE_REQUEST only.
 */
int socket_packet_decode(const union socket_packet *untrusted_packet, size_t length,
	struct request *ret_request, const char **ret_reason);

/* These fill a reply to the packet of that id, and return its length. */
size_t socket_packet_granted(
	union socket_packet *packet, uint64_t id, struct grant *const *grants, uint32_t count);
size_t socket_packet_refused(union socket_packet *packet, uint64_t id, enum ccbuf_verdict verdict,
	const char *rule, const char *reason);
size_t socket_packet_released(
	union socket_packet *packet, uint64_t id, uint64_t grant, bool still_held);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as a packet of the socket protocol. With FUZZ_REPLAY it is an ordinary program that
 * runs every packet one step away from a good one. It must never accept what breaks a promise of
 * wire.h: it aborts.
 */
#include <stdio.h>

#include "front/packet.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As assert(), in release builds too. */
static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "broken promise: %s\n", what);
	abort();
}

/* What is accepted is written in one way only: the request gives the packet's bytes again. */
static void check_request(const union socket_packet *packet, const struct request *request)
{
	union socket_packet again = { 0 };

	check(use_name_valid(request->use), "a use is a name");
	check(label_valid(request->label), "a label is printable");
	check(request->transport == TRANSPORT_SOCKET, "the transport is the socket");
	again.header = (struct wire_header){ .version = WIRE_VERSION,
		.type = WIRE_REQUEST,
		.length = sizeof(again.request),
		.id = packet->header.id };
	again.request.size = request->size;
	again.request.count = request->count;
	again.request.flags = (request->accept_shared ? WIRE_ACCEPT_SHARED : 0u) |
			      (request->read_only ? WIRE_READ_ONLY : 0u);
	check(copy_string(again.request.use, sizeof(again.request.use), request->use) &&
			copy_string(
				again.request.label, sizeof(again.request.label), request->label),
		"texts fit");
	check(!memcmp(&again, packet, sizeof(again.request)), "no byte is ignored");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union socket_packet *packet = malloc(size ? size : 1);
	struct request request = { .count = 4711 };
	const char *reason = NULL;
	int r;

	if (!packet)
		return 0;
	/* aligned, and of the exact size */
	memcpy(packet, data, size);
	r = socket_packet_decode(packet, size, &request, &reason);
	check(r == 0 || r == -EBADMSG, "a packet is good or malformed");
	check((r < 0) == (reason != NULL), "what is malformed has a reason");
	if (r == 0 && packet->header.type == WIRE_REQUEST) {
		check(size == sizeof(struct wire_request), "a request has its length");
		check_request(packet, &request);
	} else {
		check(request.count == 4711, "nothing else gives a request");
		check(r < 0 || (packet->header.type == WIRE_RELEASE &&
				       size == sizeof(struct wire_release) &&
				       packet->release.reserved == 0),
			"the rest is a release");
	}
	free(packet);
	return 0;
}

#ifdef FUZZ_REPLAY
static void replay(const union socket_packet *good, size_t length)
{
	union socket_packet packet = *good;
	uint8_t *bytes = (uint8_t *)&packet;

	for (size_t size = 0; size <= sizeof(packet); size++)
		LLVMFuzzerTestOneInput(bytes, size);
	for (size_t i = 0; i < length; i++) {
		for (unsigned int value = 0; value < 256; value++) {
			bytes[i] = (uint8_t)value;
			LLVMFuzzerTestOneInput(bytes, length);
		}
		bytes[i] = ((const uint8_t *)good)[i];
	}
}

int main(void)
{
	union socket_packet packet = { 0 };

	packet.request = (struct wire_request){
		.header = { WIRE_VERSION, WIRE_REQUEST, sizeof(packet.request), 7 },
		.size = 65536,
		.count = 64,
		.flags = WIRE_FLAGS_ALL,
		.use = "rdma",
		.label = "ring 1",
	};
	replay(&packet, sizeof(packet.request));
	memset(&packet, 0, sizeof(packet));
	packet.release = (struct wire_release){
		.header = { WIRE_VERSION, WIRE_RELEASE, sizeof(packet.release), 8 },
		.grant = 17,
	};
	replay(&packet, sizeof(packet.release));
	return 0;
}
#endif

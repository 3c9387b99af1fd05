/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The form of packets. It must never pass on an unchecked field.
 */
#include "front/packet.h"

#include "text.h"
#include "util.h"

static int malformed(const char **ret_reason, const char *reason)
{
	*ret_reason = reason;
	return -EBADMSG;
}

/* Whether a text field is terminated and has only zeros after its NUL. */
static bool text_clean(const char *untrusted_text, size_t size)
{
	size_t length = strnlen(untrusted_text, size);

	if (length == size)
		return false;
	while (length < size)
		if (untrusted_text[length++])
			return false;
	return true;
}

static int decode_request(const struct wire_request *untrusted_packet, struct request *ret_request,
	const char **ret_reason)
{
	struct request request = { .transport = TRANSPORT_SOCKET };

	if (untrusted_packet->flags & ~(uint32_t)WIRE_FLAGS_ALL)
		return malformed(ret_reason, "request with unknown flags");
	if (untrusted_packet->reserved[0] || untrusted_packet->reserved[1])
		return malformed(ret_reason, "request with reserved fields that are not zero");
	if (!text_clean(untrusted_packet->use, sizeof(untrusted_packet->use)))
		return malformed(ret_reason, "request whose use is not terminated");
	if (!text_clean(untrusted_packet->label, sizeof(untrusted_packet->label)))
		return malformed(ret_reason, "request whose label is not terminated");
	if (!use_name_valid(untrusted_packet->use))
		return malformed(ret_reason, "request whose use is not a name");
	if (!label_valid(untrusted_packet->label))
		return malformed(ret_reason, "request whose label is not printable ASCII");
	copy_string(request.use, sizeof(request.use), untrusted_packet->use);
	copy_string(request.label, sizeof(request.label), untrusted_packet->label);
	request.size = untrusted_packet->size;
	request.count = untrusted_packet->count;
	request.accept_shared = untrusted_packet->flags & WIRE_ACCEPT_SHARED;
	request.read_only = untrusted_packet->flags & WIRE_READ_ONLY;
	*ret_request = request;
	return 0;
}

int socket_packet_decode(const union socket_packet *untrusted_packet, size_t length,
	struct request *ret_request, const char **ret_reason)
{
	const struct wire_header *header = &untrusted_packet->header;

	if (length < sizeof(*header))
		return malformed(ret_reason, "packet shorter than its header");
	if (header->version != WIRE_VERSION)
		return malformed(ret_reason, "packet of another protocol version");
	if (header->length != length)
		return malformed(ret_reason, "packet whose length is not the one it says");
	switch (header->type) {
	case WIRE_REQUEST:
		if (length != sizeof(struct wire_request))
			return malformed(ret_reason, "request of the wrong length");
		return decode_request(&untrusted_packet->request, ret_request, ret_reason);
	case WIRE_RELEASE:
		if (length != sizeof(struct wire_release))
			return malformed(ret_reason, "release of the wrong length");
		if (untrusted_packet->release.reserved)
			return malformed(
				ret_reason, "release with reserved fields that are not zero");
		return 0;
	default:
		return malformed(ret_reason, "packet of unknown type");
	}
}

static size_t begin(union socket_packet *packet, enum wire_type type, size_t length, uint64_t id)
{
	memset(packet, 0, length);
	packet->header = (struct wire_header){
		.version = WIRE_VERSION,
		.type = (uint16_t)type,
		.length = (uint32_t)length,
		.id = id,
	};
	return length;
}

size_t socket_packet_granted(
	union socket_packet *packet, uint64_t id, struct grant *const *grants, uint32_t count)
{
	size_t length = begin(packet, WIRE_GRANTED, sizeof(packet->granted), id);

	packet->granted.size = grants[0]->size;
	packet->granted.count = count;
	packet->granted.exposure = (uint32_t)grants[0]->exposure;
	for (uint32_t i = 0; i < count; i++)
		packet->granted.grants[i] = grants[i]->id;
	return length;
}

size_t socket_packet_refused(union socket_packet *packet, uint64_t id, enum ccbuf_verdict verdict,
	const char *rule, const char *reason)
{
	size_t length = begin(packet, WIRE_REFUSED, sizeof(packet->refused), id);
	char words[WIRE_REASON_MAX + 1];

	text_fit(reason ? reason : "", TEXT_VISIBLE, words, sizeof(words));
	packet->refused.verdict = (uint32_t)verdict;
	copy_string(packet->refused.rule, sizeof(packet->refused.rule), rule ? rule : "");
	copy_string(packet->refused.reason, sizeof(packet->refused.reason), words);
	return length;
}

size_t socket_packet_released(
	union socket_packet *packet, uint64_t id, uint64_t grant, bool still_held)
{
	size_t length = begin(packet, WIRE_RELEASED, sizeof(packet->released), id);

	packet->released.grant = grant;
	packet->released.still_held = still_held;
	return length;
}

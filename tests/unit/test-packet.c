/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the socket protocol's packets: each way to be malformed with its reason, and what is
 * well-formed there and back.
 */
#include <stddef.h>

#include "fixture.h"
#include "front/packet.h"
#include "hostile-checks.h"

static union socket_packet packet;
static struct request request;
static const char *reason;

static void begin(enum wire_type type, size_t length)
{
	memset(&packet, 0, sizeof(packet));
	memset(&request, 0xee, sizeof(request));
	reason = NULL;
	packet.header = (struct wire_header){ .version = WIRE_VERSION,
		.type = (uint16_t)type,
		.length = (uint32_t)length,
		.id = 77 };
}

static void good_request(void)
{
	begin(WIRE_REQUEST, sizeof(packet.request));
	packet.request.size = 65536;
	packet.request.count = 3;
	packet.request.flags = WIRE_ACCEPT_SHARED;
	strcpy(packet.request.use, "rdma");
	strcpy(packet.request.label, "ring 1");
}

static void good_release(void)
{
	begin(WIRE_RELEASE, sizeof(packet.release));
	packet.release.grant = 17;
}

/* A copy of the exact size, so that reading beyond it shows. */
static int decode(size_t length)
{
	void *copy = malloc(length ? length : 1);
	int r;

	memcpy(copy, &packet, length);
	r = socket_packet_decode(copy, length, &request, &reason);
	free(copy);
	return r;
}

static void check_malformed(size_t length, const char *why)
{
	struct request untouched;

	memset(&untouched, 0xee, sizeof(untouched));
	ck_assert_int_eq(decode(length), -EBADMSG);
	ck_assert_ptr_nonnull(reason);
	ck_assert_str_eq(reason, why);
	ck_assert_mem_eq(&request, &untouched, sizeof(request));
}

START_TEST(request_there_and_back)
{
	good_request();
	ck_assert_int_eq(decode(sizeof(packet.request)), 0);
	ck_assert_str_eq(request.use, "rdma");
	ck_assert_str_eq(request.label, "ring 1");
	ck_assert_uint_eq(request.size, 65536);
	ck_assert_uint_eq(request.count, 3);
	ck_assert(request.accept_shared);
	ck_assert(!request.read_only);
	ck_assert_int_eq(request.transport, TRANSPORT_SOCKET);
	good_request();
	packet.request.flags = WIRE_READ_ONLY;
	/* what a number means is for the policy to say */
	packet.request.size = UINT64_MAX;
	packet.request.count = UINT32_MAX;
	memset(packet.request.label, 0, sizeof(packet.request.label));
	memset(packet.request.use, 'u', USE_NAME_MAX);
	packet.header.id = UINT64_MAX;
	ck_assert_int_eq(decode(sizeof(packet.request)), 0);
	ck_assert_uint_eq(strlen(request.use), USE_NAME_MAX);
	ck_assert_str_eq(request.label, "");
	ck_assert_uint_eq(request.size, UINT64_MAX);
	ck_assert_uint_eq(request.count, UINT32_MAX);
	ck_assert(!request.accept_shared);
	ck_assert(request.read_only);
}
END_TEST

START_TEST(release_there)
{
	good_release();
	ck_assert_int_eq(decode(sizeof(packet.release)), 0);
	packet.release.grant = UINT64_MAX;
	ck_assert_int_eq(decode(sizeof(packet.release)), 0);
}
END_TEST

START_TEST(lengths)
{
	good_request();
	for (size_t length = 0; length < sizeof(packet.header); length++)
		check_malformed(length, "packet shorter than its header");
	for (size_t length = sizeof(packet.header); length <= sizeof(packet); length++)
		if (length != sizeof(packet.request))
			check_malformed(length, "packet whose length is not the one it says");
	/* nor is a length right because it says so */
	for (size_t length = sizeof(packet.header); length <= sizeof(packet); length++) {
		good_request();
		packet.header.length = (uint32_t)length;
		if (length != sizeof(packet.request))
			check_malformed(length, "request of the wrong length");
		good_release();
		packet.header.length = (uint32_t)length;
		if (length != sizeof(packet.release))
			check_malformed(length, "release of the wrong length");
	}
	good_request();
	packet.header.length = UINT32_MAX;
	check_malformed(sizeof(packet.request), "packet whose length is not the one it says");
}
END_TEST

START_TEST(versions_and_types)
{
	for (unsigned int i = 0; i <= UINT16_MAX; i++) {
		good_request();
		packet.header.version = (uint16_t)i;
		if (i != WIRE_VERSION)
			check_malformed(
				sizeof(packet.request), "packet of another protocol version");
		good_request();
		packet.header.type = (uint16_t)i;
		if (i == WIRE_RELEASE)
			check_malformed(sizeof(packet.request), "release of the wrong length");
		else if (i != WIRE_REQUEST)
			check_malformed(sizeof(packet.request), "packet of unknown type");
	}
}
END_TEST

START_TEST(reserved_bits)
{
	for (int i = 2; i < 32; i++) {
		good_request();
		packet.request.flags |= UINT32_C(1) << i;
		check_malformed(sizeof(packet.request), "request with unknown flags");
	}
	for (int i = 0; i < 64; i++) {
		good_request();
		packet.request.reserved[i % 2] = UINT64_C(1) << i;
		check_malformed(
			sizeof(packet.request), "request with reserved fields that are not zero");
		good_release();
		packet.release.reserved = UINT64_C(1) << i;
		check_malformed(
			sizeof(packet.release), "release with reserved fields that are not zero");
	}
}
END_TEST

START_TEST(texts)
{
	good_request();
	memset(packet.request.use, 'a', sizeof(packet.request.use));
	check_malformed(sizeof(packet.request), "request whose use is not terminated");
	good_request();
	packet.request.use[USE_NAME_MAX] = 'x';
	check_malformed(sizeof(packet.request), "request whose use is not terminated");
	good_request();
	memset(packet.request.label, 'a', sizeof(packet.request.label));
	check_malformed(sizeof(packet.request), "request whose label is not terminated");
	good_request();
	packet.request.label[LABEL_MAX] = 'x';
	check_malformed(sizeof(packet.request), "request whose label is not terminated");
	good_request();
	memset(packet.request.use, 0, sizeof(packet.request.use));
	check_malformed(sizeof(packet.request), "request whose use is not a name");
	for (int c = 1; c < 256; c++) {
		bool name = strchr("._-", c) || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			    (c >= 'a' && c <= 'z');

		good_request();
		packet.request.use[1] = (char)c;
		if (!name)
			check_malformed(sizeof(packet.request), "request whose use is not a name");
		else
			ck_assert_int_eq(decode(sizeof(packet.request)), 0);
		good_request();
		packet.request.use[0] = (char)c;
		ck_assert_int_eq(decode(sizeof(packet.request)),
			name && c != '.' && c != '-' ? 0 : -EBADMSG);
		good_request();
		packet.request.label[0] = (char)c;
		if (c < 0x20 || c > 0x7e)
			check_malformed(sizeof(packet.request),
				"request whose label is not printable ASCII");
		else
			ck_assert_int_eq(decode(sizeof(packet.request)), 0);
	}
}
END_TEST

static void check_header(enum wire_type type, size_t length, uint64_t id)
{
	ck_assert_uint_eq(packet.header.version, WIRE_VERSION);
	ck_assert_uint_eq(packet.header.type, type);
	ck_assert_uint_eq(packet.header.length, length);
	ck_assert_uint_eq(packet.header.id, id);
	/* a client's packet is never a reply */
	ck_assert_int_eq(decode(length), -EBADMSG);
}

START_TEST(granted)
{
	struct grant grants[REQUEST_COUNT_MAX] = { 0 }, *list[REQUEST_COUNT_MAX];

	for (uint64_t i = 0; i < REQUEST_COUNT_MAX; i++) {
		grants[i] =
			(struct grant){ .id = 1000 + i, .size = 8192, .exposure = EXPOSURE_SHARED };
		list[i] = &grants[i];
	}
	for (uint32_t count = 1; count <= REQUEST_COUNT_MAX; count++) {
		memset(&packet, 0xff, sizeof(packet));
		ck_assert_uint_eq(
			socket_packet_granted(&packet, 5, list, count), sizeof(packet.granted));
		check_header(WIRE_GRANTED, sizeof(packet.granted), 5);
		ck_assert_uint_eq(packet.granted.size, 8192);
		ck_assert_uint_eq(packet.granted.count, count);
		ck_assert_uint_eq(packet.granted.exposure, EXPOSURE_SHARED);
		for (uint32_t i = 0; i < REQUEST_COUNT_MAX; i++)
			ck_assert_uint_eq(packet.granted.grants[i], i < count ? 1000 + i : 0);
	}
}
END_TEST

START_TEST(refused)
{
	char text[1000];

	memset(&packet, 0xff, sizeof(packet));
	ck_assert_uint_eq(socket_packet_refused(&packet, UINT64_MAX, CCBUF_DENIED, "mpi", "why"),
		sizeof(packet.refused));
	check_header(WIRE_REFUSED, sizeof(packet.refused), UINT64_MAX);
	ck_assert_verdict(packet.refused.verdict, CCBUF_DENIED);
	ck_assert_uint_eq(packet.refused.reserved, 0);
	ck_assert_str_eq(packet.refused.rule, "mpi");
	ck_assert_str_eq(packet.refused.reason, "why");
	/* nothing of what was there before goes out */
	for (size_t i = strlen("why"); i < sizeof(packet.refused.reason); i++)
		ck_assert_int_eq(packet.refused.reason[i], 0);
	socket_packet_refused(&packet, 1, CCBUF_BUSY, NULL, NULL);
	ck_assert_str_eq(packet.refused.rule, "");
	ck_assert_str_eq(packet.refused.reason, "");
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	socket_packet_refused(&packet, 1, CCBUF_BUSY, text, text);
	ck_assert_uint_eq(strlen(packet.refused.rule), WIRE_RULE_MAX);
	ck_assert_uint_eq(strlen(packet.refused.reason), WIRE_REASON_MAX);
}
END_TEST

/* The reason is UTF-8 that can be shown, wherever it is cut, and zero behind. */
START_TEST(reasons)
{
	static const char *const letters[] = { "x", "\xe2\x82\xac", "\xf0\x9f\x90\xa7", "\xff",
		"\n", "\xe2\x80\x8b" };
	char text[1024];

	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		memset(&packet, 0xff, sizeof(packet));
		socket_packet_refused(&packet, 1, CCBUF_DENIED, "r", hostile[i].text);
		ck_assert_msg(is_safe(packet.refused.reason), "%s", packet.refused.reason);
	}
	for (size_t i = 0; i < ARRAY_SIZE(letters); i++)
		for (size_t shift = 0; shift < 12; shift++) {
			size_t length = shift;

			memset(text, 'a', shift);
			for (; length < 500; length += strlen(letters[i]))
				memcpy(text + length, letters[i], strlen(letters[i]));
			text[length] = 0;
			memset(&packet, 0xff, sizeof(packet));
			socket_packet_refused(&packet, 1, CCBUF_DENIED, "r", text);
			length = strlen(packet.refused.reason);
			ck_assert_msg(is_safe(packet.refused.reason), "%s", packet.refused.reason);
			ck_assert_uint_ge(length, WIRE_REASON_MAX - 12);
			ck_assert_str_eq(packet.refused.reason + length - 3, "...");
			for (size_t k = length; k < sizeof(packet.refused.reason); k++)
				ck_assert_int_eq(packet.refused.reason[k], 0);
		}
}
END_TEST

START_TEST(released)
{
	memset(&packet, 0xff, sizeof(packet));
	ck_assert_uint_eq(socket_packet_released(&packet, 9, 17, true), sizeof(packet.released));
	check_header(WIRE_RELEASED, sizeof(packet.released), 9);
	ck_assert_uint_eq(packet.released.grant, 17);
	ck_assert_uint_eq(packet.released.still_held, 1);
	ck_assert_uint_eq(packet.released.reserved, 0);
	socket_packet_released(&packet, 9, 17, false);
	ck_assert_uint_eq(packet.released.still_held, 0);
}
END_TEST

int main(int argc, char *argv[])
{
	const struct test tests[] = {
		{ request_there_and_back },
		{ release_there },
		{ lengths },
		{ versions_and_types },
		{ reserved_bits },
		{ texts },
		{ granted },
		{ refused },
		{ reasons },
		{ released },
		{ NULL },
	};

	return run_tests(argc, argv, "packet", NULL, tests);
}

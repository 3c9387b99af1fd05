/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of libccbuf against a broker that answers as it is told: replies in order and out of it.
 * Replies are queued before the question where the call waits, so that one process plays both.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ccbuf.h"
#include "runner.h"
#include "util.h"
#include "verdict.h"
#include "wire.h"

#define PAGE 4096u

static struct ccbuf *client;
static int server = -1;
static size_t fds_before;

static size_t fds_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void setup(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char folder[] = "/tmp/test-libccbuf-XXXXXX";
	int listener;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/sock", folder);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(listener, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listener, 4), 0);
	setenv("CCBUF_SOCKET", address.sun_path, 1);
	ck_assert_int_eq(ccbuf_connect(NULL, &client), 0);
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(server, 0);
	close(listener);
	unlink(address.sun_path);
	rmdir(folder);
	fds_before = fds_open();
}

static void teardown(void)
{
	client = ccbuf_free(client);
	close_fd(&server);
}

static struct wire_header header(uint16_t type, size_t length, uint64_t id)
{
	return (struct wire_header){ WIRE_VERSION, type, (uint32_t)length, id };
}

static struct wire_granted granted(uint64_t id, uint32_t count)
{
	struct wire_granted packet = {
		.header = header(WIRE_GRANTED, sizeof(packet), id),
		.size = PAGE,
		.count = count,
		.exposure = EXPOSURE_EMULATED,
	};

	for (uint32_t i = 0; i < count && i < REQUEST_COUNT_MAX; i++)
		packet.grants[i] = 100 + i;
	return packet;
}

static struct wire_refused refused(uint64_t id, uint32_t verdict)
{
	struct wire_refused packet = {
		.header = header(WIRE_REFUSED, sizeof(packet), id),
		.verdict = verdict,
	};

	copy_string(packet.rule, sizeof(packet.rule), "guests");
	copy_string(packet.reason, sizeof(packet.reason), "guests get no shared memory");
	return packet;
}

static struct wire_released released(uint64_t id, uint64_t grant, uint32_t still_held)
{
	return (struct wire_released){
		.header = header(WIRE_RELEASED, sizeof(struct wire_released), id),
		.grant = grant,
		.still_held = still_held,
	};
}

/* Sends a packet with n fresh memfds. */
static void answer(const void *packet, size_t size, size_t n)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * 128)];
		struct cmsghdr header;
	} control = { 0 };
	struct iovec data = { (void *)(uintptr_t)packet, size };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };
	int fds[128];

	for (size_t i = 0; i < n; i++) {
		fds[i] = memfd_create("buffer", MFD_CLOEXEC);
		ck_assert_int_ge(fds[i], 0);
		ck_assert_int_eq(ftruncate(fds[i], PAGE), 0);
	}
	if (n) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(n * sizeof(int));
	}
	ck_assert_int_eq((int)sendmsg(server, &message, MSG_NOSIGNAL), (int)size);
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static int ask(uint32_t count, uint32_t flags, struct ccbuf_buffer *buffers)
{
	struct ccbuf_request request = {
		.use = "scratch",
		.label = "ring",
		.size = 100,
		.count = count,
		.flags = flags,
	};

	return ccbuf_request(client, &request, buffers);
}

/* A reply that must be taken for broken, and leave nothing open. */
static void expect_bad(const void *packet, size_t size, size_t n_fds, uint32_t count)
{
	struct ccbuf_buffer buffers[REQUEST_COUNT_MAX];

	memset(buffers, 0x55, sizeof(buffers));
	answer(packet, size, n_fds);
	ck_assert_int_eq(ask(count, 0, buffers), -EBADMSG);
	ck_assert_uint_eq(fds_open(), fds_before);
	ck_assert_uint_eq(buffers[0].grant, UINT64_C(0x5555555555555555));
	ck_assert_int_eq(ask(count, 0, buffers), -EBADMSG);
}

START_TEST(grants)
{
	struct wire_granted packet = granted(1, 3);
	struct wire_request seen;
	struct ccbuf_buffer buffers[3];

	answer(&packet, sizeof(packet), 3);
	ck_assert_int_eq(ask(3, CCBUF_READ_ONLY, buffers), 0);
	ck_assert_int_eq((int)recv(server, &seen, sizeof(seen), 0), (int)sizeof(seen));
	ck_assert_uint_eq(seen.header.version, WIRE_VERSION);
	ck_assert_uint_eq(seen.header.type, WIRE_REQUEST);
	ck_assert_uint_eq(seen.header.length, sizeof(seen));
	ck_assert_uint_eq(seen.header.id, 1);
	ck_assert_uint_eq(seen.size, 100);
	ck_assert_uint_eq(seen.count, 3);
	ck_assert_uint_eq(seen.flags, WIRE_READ_ONLY);
	ck_assert_str_eq(seen.use, "scratch");
	ck_assert_str_eq(seen.label, "ring");
	ck_assert_uint_eq(fds_open(), fds_before + 3);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(buffers[i].grant, 100 + i);
		ck_assert_uint_eq(buffers[i].size, PAGE);
		ck_assert_uint_eq(buffers[i].exposure, CCBUF_EMULATED);
		ck_assert_int_eq(fcntl(buffers[i].fd, F_GETFD), FD_CLOEXEC);
		close(buffers[i].fd);
	}
	ck_assert_verdict(ccbuf_verdict(client), CCBUF_GRANTED);
	ck_assert_str_eq(ccbuf_reason(client), "");
}
END_TEST

START_TEST(batch)
{
	struct wire_granted packet = granted(1, REQUEST_COUNT_MAX);
	struct ccbuf_buffer buffers[REQUEST_COUNT_MAX];

	answer(&packet, sizeof(packet), REQUEST_COUNT_MAX);
	ck_assert_int_eq(ask(REQUEST_COUNT_MAX, 0, buffers), 0);
	ck_assert_uint_eq(fds_open(), fds_before + REQUEST_COUNT_MAX);
	for (size_t i = 0; i < REQUEST_COUNT_MAX; i++)
		close(buffers[i].fd);
}
END_TEST

START_TEST(refusals)
{
	struct wire_refused packet = refused(1, CCBUF_DENIED);
	struct wire_granted good = granted(2, 1);
	struct ccbuf_buffer buffer = { .fd = -1 };

	answer(&packet, sizeof(packet), 0);
	ck_assert_verdict(ask(1, 0, &buffer), CCBUF_DENIED);
	ck_assert_int_eq(buffer.fd, -1);
	ck_assert_verdict(ccbuf_verdict(client), CCBUF_DENIED);
	ck_assert_str_eq(ccbuf_rule(client), "guests");
	ck_assert_str_eq(ccbuf_reason(client), "guests get no shared memory");
	/* A refusal leaves the connection as it was. */
	answer(&good, sizeof(good), 1);
	ck_assert_int_eq(ask(0, 0, &buffer), 0);
	ck_assert_str_eq(ccbuf_rule(client), "");
	close(buffer.fd);
	/* A verdict of a later version is a refusal like any other. */
	packet = refused(3, 999);
	answer(&packet, sizeof(packet), 0);
	ck_assert_int_eq(ask(1, 0, &buffer), 999);
	ck_assert_str_eq(ccbuf_verdict_name(999), "unknown");
	ck_assert_ptr_nonnull(ccbuf_verdict_words(999));
	ck_assert_str_eq(ccbuf_verdict_name(CCBUF_NO_RULE), "no-rule");
	ck_assert_str_eq(ccbuf_exposure_name(CCBUF_SHARED), "shared");
	ck_assert_str_eq(ccbuf_exposure_name(77), "unknown");
}
END_TEST

START_TEST(releases)
{
	struct wire_released packet = released(1, 100, 1);
	struct wire_refused refusal = refused(3, CCBUF_UNKNOWN_GRANT);
	struct wire_release seen;
	bool held = false;

	answer(&packet, sizeof(packet), 0);
	ck_assert_int_eq(ccbuf_release(client, 100, &held), 0);
	ck_assert(held);
	ck_assert_int_eq((int)recv(server, &seen, sizeof(seen), 0), (int)sizeof(seen));
	ck_assert_uint_eq(seen.header.type, WIRE_RELEASE);
	ck_assert_uint_eq(seen.grant, 100);
	packet = released(2, 101, 0);
	answer(&packet, sizeof(packet), 0);
	ck_assert_int_eq(ccbuf_release(client, 101, NULL), 0);
	answer(&refusal, sizeof(refusal), 0);
	ck_assert_verdict(ccbuf_release(client, 7, &held), CCBUF_UNKNOWN_GRANT);
	ck_assert(held);
	packet = released(4, 103, 0);
	answer(&packet, sizeof(packet), 0);
	ck_assert_int_eq(ccbuf_release(client, 102, &held), -EBADMSG);
}
END_TEST

enum damage {
	BAD_VERSION,
	BAD_TYPE,
	BAD_LENGTH_FIELD,
	BAD_ID,
	BAD_ID_ZERO,
	BAD_COUNT_LESS,
	BAD_COUNT_MORE,
	BAD_COUNT_HUGE,
	BAD_SIZE_ZERO,
	BAD_SIZE_SMALL,
	BAD_SIZE_UNALIGNED,
	BAD_EXPOSURE_UNKNOWN,
	BAD_EXPOSURE_NUMBER,
	BAD_EXPOSURE_WITHOUT_CONSENT,
	BAD_TAIL,
	DAMAGES
};

START_TEST(damaged_grants)
{
	struct wire_granted packet = granted(1, 2);
	struct ccbuf_request request = { .use = "scratch", .size = PAGE + 1, .count = 2 };
	struct ccbuf_buffer buffers[2];

	switch ((enum damage)_i) {
	case BAD_VERSION:
		packet.header.version = 2;
		break;
	case BAD_TYPE:
		packet.header.type = 7;
		break;
	case BAD_LENGTH_FIELD:
		packet.header.length--;
		break;
	case BAD_ID:
		packet.header.id = 2;
		break;
	case BAD_ID_ZERO:
		packet.header.id = 0;
		break;
	case BAD_COUNT_LESS:
		packet.count = 1;
		break;
	case BAD_COUNT_MORE:
		packet.count = 3;
		break;
	case BAD_COUNT_HUGE:
		packet.count = UINT32_MAX;
		break;
	case BAD_SIZE_ZERO:
		packet.size = 0;
		break;
	case BAD_SIZE_SMALL:
		answer(&packet, sizeof(packet), 2);
		ck_assert_int_eq(ccbuf_request(client, &request, buffers), -EBADMSG);
		ck_assert_uint_eq(fds_open(), fds_before);
		return;
	case BAD_SIZE_UNALIGNED:
		packet.size = PAGE + 1;
		break;
	case BAD_EXPOSURE_UNKNOWN:
		packet.exposure = EXPOSURE_UNKNOWN;
		break;
	case BAD_EXPOSURE_NUMBER:
		packet.exposure = EXPOSURE_MAX_;
		break;
	case BAD_EXPOSURE_WITHOUT_CONSENT:
		packet.exposure = EXPOSURE_SHARED;
		break;
	case BAD_TAIL:
		packet.grants[2] = 1;
		break;
	case DAMAGES:
		break;
	}
	expect_bad(&packet, sizeof(packet), 2, 2);
}
END_TEST

START_TEST(wrong_length)
{
	static const size_t sizes[] = { 1, 15, 16, 32, 536, 543, 545, 2000 };
	struct wire_granted packets[4] = { granted(1, 1) };

	packets[0].header.length = (uint32_t)sizes[_i];
	expect_bad(packets, sizes[_i], 1, 1);
}
END_TEST

START_TEST(wrong_number_of_fds)
{
	struct wire_granted packet = granted(1, 2);
	static const size_t numbers[] = { 0, 1, 3, 64, 65, 128 };

	expect_bad(&packet, sizeof(packet), numbers[_i], 2);
}
END_TEST

START_TEST(too_many_fds_for_a_full_batch)
{
	struct wire_granted packet = granted(1, REQUEST_COUNT_MAX);

	expect_bad(&packet, sizeof(packet), REQUEST_COUNT_MAX + 1, REQUEST_COUNT_MAX);
}
END_TEST

START_TEST(damaged_refusals)
{
	struct wire_refused packet = refused(1, CCBUF_DENIED);
	struct wire_released other = released(1, 0, 0);

	switch (_i) {
	case 0:
		packet.verdict = CCBUF_GRANTED;
		break;
	case 1:
		packet.verdict = UINT32_MAX;
		break;
	case 2:
		packet.reserved = 1;
		break;
	case 3:
		memset(packet.rule, 'r', sizeof(packet.rule));
		break;
	case 4:
		memset(packet.reason, 'r', sizeof(packet.reason));
		break;
	case 5: /* fds with a refusal */
		expect_bad(&packet, sizeof(packet), 1, 1);
		return;
	case 6: /* the answer to another kind of question */
		expect_bad(&other, sizeof(other), 0, 1);
		return;
	default:
		packet.header.id = 9;
	}
	expect_bad(&packet, sizeof(packet), 0, 1);
}
END_TEST

START_TEST(hang_up)
{
	struct ccbuf_buffer buffer;

	close_fd(&server);
	fds_before = fds_open();
	ck_assert_int_eq(ask(1, 0, &buffer), -ECONNRESET);
	ck_assert_int_eq(ccbuf_release(client, 1, NULL), -ECONNRESET);
	ck_assert_uint_eq(fds_open(), fds_before);
}
END_TEST

START_TEST(hang_up_with_the_question_unread)
{
	struct wire_refused packet = refused(1, CCBUF_MALFORMED);
	struct ccbuf_request request = { .use = "scratch", .size = 1 };
	struct ccbuf_reply reply;
	uint64_t id;

	ck_assert_int_eq(ccbuf_request_send(client, &request, &id), 0);
	answer(&packet, sizeof(packet), 0);
	close_fd(&server);
	ck_assert_int_eq(ccbuf_receive(client, &reply), 0);
	ck_assert_verdict(reply.verdict, CCBUF_MALFORMED);
	ck_assert_int_eq(ccbuf_receive(client, &reply), -ECONNRESET);
}
END_TEST

START_TEST(connection_refused_with_a_reason)
{
	struct wire_refused packet = refused(0, CCBUF_BUSY);
	struct ccbuf_buffer buffer;

	answer(&packet, sizeof(packet), 0);
	close_fd(&server);
	ck_assert_verdict(ask(1, 0, &buffer), CCBUF_BUSY);
	ck_assert_str_eq(ccbuf_reason(client), "guests get no shared memory");
	ck_assert_int_eq(ask(1, 0, &buffer), -ECONNRESET);
}
END_TEST

START_TEST(table_of_fds_full)
{
	struct wire_granted packet = granted(1, 8);
	struct ccbuf_buffer buffers[8];
	struct rlimit limit, few;

	answer(&packet, sizeof(packet), 8);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = (struct rlimit){ (rlim_t)server + 4, limit.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(ask(8, 0, buffers), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_uint_eq(fds_open(), fds_before);
	/* The connection goes on. */
	packet = granted(2, 1);
	answer(&packet, sizeof(packet), 1);
	ck_assert_int_eq(ask(1, 0, buffers), 0);
	close(buffers[0].fd);
}
END_TEST

START_TEST(several_in_flight)
{
	struct ccbuf_request request = { .use = "scratch", .size = 1 };
	uint64_t ids[WIRE_IN_FLIGHT_MAX], id = 77;
	struct ccbuf_buffer buffer;
	struct ccbuf_reply reply;

	ck_assert_int_ge(ccbuf_fd(client), 0);
	ck_assert_int_eq(ccbuf_receive(client, &reply), -EAGAIN);
	for (size_t i = 0; i < WIRE_IN_FLIGHT_MAX; i++)
		ck_assert_int_eq(i % 2 ? ccbuf_release_send(client, i, &ids[i])
				       : ccbuf_request_send(client, &request, &ids[i]),
			0);
	ck_assert_int_eq(ccbuf_request_send(client, &request, &id), -EBUSY);
	ck_assert_uint_eq(id, 77);
	ck_assert_int_eq(ask(1, 0, &buffer), -EBUSY);
	for (size_t i = WIRE_IN_FLIGHT_MAX; i-- > 0;) {
		struct wire_granted grant = granted(ids[i], 1);
		struct wire_released gone = released(ids[i], i, 0);

		if (i % 2)
			answer(&gone, sizeof(gone), 0);
		else
			answer(&grant, sizeof(grant), 1);
		ck_assert_int_eq(ccbuf_receive(client, &reply), 0);
		ck_assert_uint_eq(reply.id, ids[i]);
		ck_assert_verdict(reply.verdict, CCBUF_GRANTED);
		ck_assert_uint_eq(reply.n_buffers, i % 2 ? 0 : 1);
		if (reply.n_buffers)
			close(reply.buffers[0].fd);
	}
	ck_assert_int_eq(ccbuf_receive(client, &reply), -EAGAIN);
	/* The same reply once more answers nothing. */
	{
		struct wire_granted grant = granted(ids[0], 1);

		answer(&grant, sizeof(grant), 1);
		ck_assert_int_eq(ccbuf_receive(client, &reply), -EBADMSG);
		ck_assert_uint_eq(fds_open(), fds_before);
	}
}
END_TEST

START_TEST(bad_arguments)
{
	char longest[CCBUF_USE_MAX + 2];
	struct ccbuf_buffer buffer;
	struct ccbuf_request request = { .use = longest, .size = 1 };
	struct ccbuf *other;

	memset(longest, 'u', sizeof(longest));
	longest[CCBUF_USE_MAX + 1] = 0;
	ck_assert_int_eq(ccbuf_request(client, &request, &buffer), -EINVAL);
	request.use = NULL;
	ck_assert_int_eq(ccbuf_request(client, &request, &buffer), -EINVAL);
	request.use = "";
	ck_assert_int_eq(ccbuf_request(client, &request, &buffer), -EINVAL);
	request.use = "scratch";
	request.label = "a\nb";
	ck_assert_int_eq(ccbuf_request(client, &request, &buffer), -EINVAL);
	request.label = NULL;
	request.count = CCBUF_COUNT_MAX + 1;
	ck_assert_int_eq(ccbuf_request(client, &request, &buffer), -EINVAL);
	request.count = 0;
	request.flags = 4;
	ck_assert_int_eq(ccbuf_request(client, &request, &buffer), -EINVAL);
	ck_assert_int_eq(ccbuf_connect("/nonexistent/socket", &other), -ENOENT);
	ck_assert_int_eq(
		ccbuf_connect("/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/"
			      "0123456789/0123456789/0123456789/0123456789",
			&other),
		-ENAMETOOLONG);
	ck_assert_ptr_null(ccbuf_free(NULL));
}
END_TEST

START_TEST(buffers)
{
	cleanup(cleanup_fd) int fd = memfd_create("buffer", MFD_CLOEXEC);
	int ends[2];
	void *memory = NULL;

	ck_assert_int_eq(ftruncate(fd, 2 * PAGE), 0);
	ck_assert_int_eq(ccbuf_map(fd, 0, CCBUF_READ, &memory), -EINVAL);
	ck_assert_int_eq(ccbuf_map(fd, PAGE, 0, &memory), -EINVAL);
	ck_assert_int_eq(ccbuf_map(fd, PAGE, 8, &memory), -EINVAL);
	ck_assert_int_eq(ccbuf_map(fd, 3 * PAGE, CCBUF_READ, &memory), -EINVAL);
	ck_assert_int_eq(ccbuf_map(-1, PAGE, CCBUF_READ, &memory), -EBADF);
	ck_assert_ptr_null(memory);
	ck_assert_int_eq(ccbuf_map(fd, 2 * PAGE, CCBUF_READ_WRITE, &memory), 0);
	ck_assert_int_eq(ccbuf_begin(fd, CCBUF_WRITE), 0);
	memset(memory, 1, 2 * PAGE);
	ck_assert_int_eq(ccbuf_end(fd, CCBUF_WRITE), 0);
	ck_assert_int_eq(ccbuf_unmap(memory, 2 * PAGE), 0);
	ck_assert_int_eq(ccbuf_begin(fd, 0), -EINVAL);
	ck_assert_int_eq(ccbuf_begin(-1, CCBUF_READ), -EBADF);
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(ccbuf_end(ends[0], CCBUF_READ), -ENOTTY);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { setup, teardown };
	const struct test tests[] = {
		{ grants },
		{ batch },
		{ refusals },
		{ releases },
		{ damaged_grants, .times = DAMAGES },
		{ wrong_length, .times = 8 },
		{ wrong_number_of_fds, .times = 6 },
		{ too_many_fds_for_a_full_batch },
		{ damaged_refusals, .times = 8 },
		{ hang_up },
		{ hang_up_with_the_question_unread },
		{ connection_refused_with_a_reason },
		{ table_of_fds_full },
		{ several_in_flight },
		{ bad_arguments },
		{ buffers },
		{ NULL },
	};

	return run_tests(argc, argv, "libccbuf", &hooks, tests);
}

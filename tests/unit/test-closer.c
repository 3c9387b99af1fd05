/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the process that closes: that it does, that it says so, and that nobody waits for one
 * that cannot be closed; that it takes one message off a stream, and no more. What sleeps is a TCP
 * socket that lingers with something unsent.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "fixture.h"
#include "front/closer.h"

static struct closer *closer;
static unsigned int n_done;

static void set_up(void)
{
	fixture_set_up();
	n_done = 0;
	ck_assert_int_eq(closer_new(&closer), 0);
	ck_assert_int_ge(closer_attach(closer, fixture.loop), 0);
}

static void tear_down(void)
{
	closer = closer_free(closer);
	fixture_tear_down();
}

static void on_done(void *userdata)
{
	(*(unsigned int *)userdata)++;
}

/* *ret_peer reads nothing; closing it resets the connection. */
static int lingering(int *ret_peer)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct linger linger = { .l_onoff = 1, .l_linger = 60 };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static char data[65536];
	socklen_t size = sizeof(address);

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	*ret_peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(*ret_peer, 0);
	while (send(fd, data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	close(listener);
	return fd;
}

static void close_some(unsigned int n, uint64_t owner)
{
	for (unsigned int i = 0; i < n; i++) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		closer_close(closer, owner, &fd, on_done, &n_done);
		ck_assert_int_eq(fd, -1);
	}
}

START_TEST(closes_and_says_so)
{
	int ends[2];
	char byte;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	closer_close(closer, 1, &ends[1], on_done, &n_done);
	ck_assert_uint_eq(n_done, 0);
	fixture_run_until(n_done == 1);
	ck_assert_int_eq(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	/* more than its socket holds */
	close_some(2000, 1);
	fixture_run_until(n_done == 2001);
}
END_TEST

/* However many sleep of one owner, others' are closed; and its own when they wake up. */
START_TEST(what_sleeps_costs_its_owner)
{
	enum { N = 8 };
	int peers[N], fd;

	for (int i = 0; i < N; i++) {
		fd = lingering(&peers[i]);
		closer_close(closer, 1, &fd, on_done, &n_done);
	}
	close_some(10, 2);
	fixture_run_until(n_done == 10);
	fixture_settle();
	ck_assert_uint_eq(n_done, 10);
	for (int i = 0; i < N; i++)
		close(peers[i]);
	fixture_run_until(n_done == 10 + N);
}
END_TEST

START_TEST(end_waits_for_nobody)
{
	int peer, fd = lingering(&peer);

	closer_close(closer, 1, &fd, on_done, &n_done);
	fixture_settle();
	closer = closer_free(closer);
	ck_assert_uint_eq(n_done, 1);
	close(peer);
}
END_TEST

START_TEST(forgotten)
{
	unsigned int other = 0;
	int peer, fd = lingering(&peer);

	closer_close(closer, 1, &fd, on_done, &other);
	closer_forget(closer, &other);
	close(peer);
	close_some(1, 1);
	fixture_run_until(n_done == 1);
	fixture_settle();
	ck_assert_uint_eq(other, 0);
}
END_TEST

/* --- messages of the bus --- */

enum { HEADER = 16 };

static void put_u32(uint8_t *at, uint32_t value, bool big)
{
	value = big ? htobe32(value) : htole32(value);
	memcpy(at, &value, sizeof(value));
}

/* A message with so many bytes of fields (at least 8) and of body, and n_fds times an fd. */
static void send_message(
	int socket, bool big, uint32_t fields, uint32_t body, int fd, unsigned int n_fds)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * 16)];
	} control = { 0 };
	static uint8_t data[4096];
	struct iovec iov = { data, HEADER + ((fields + 7u) & ~7u) + body };
	struct msghdr message = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds) };

	ck_assert_uint_le(iov.iov_len, sizeof(data));
	data[0] = big ? 'B' : 'l';
	put_u32(data + 4, body, big);
	put_u32(data + 12, fields, big);
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
	for (unsigned int i = 0; i < n_fds; i++)
		memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &fd, sizeof(int));
	ck_assert_int_eq(sendmsg(socket, &message, MSG_NOSIGNAL), (ssize_t)iov.iov_len);
}

static void stream(int ret_ends[2])
{
	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_ends), 0);
}

/* That one and not a byte more, whatever its order of bytes; its fds are closed. */
START_TEST(takes_one_message)
{
	struct pollfd hung_up;
	int ends[2], pipes[2];
	char byte;

	stream(ends);
	for (unsigned int i = 0; i < 24; i++) {
		ck_assert_int_eq(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
		send_message(ends[0], i % 2, 8 + i, 100 * i, pipes[1], 1 + i % 16);
		ck_assert_int_eq(send(ends[0], "x", 1, 0), 1);
		close(pipes[1]);
		ck_assert_int_eq(closer_take(closer, ends[1], on_done, &n_done), 0);
		fixture_run_until(n_done == i + 1);
		ck_assert_int_eq(recv(ends[1], &byte, 1, 0), 1);
		ck_assert_int_eq(byte, 'x');
		hung_up = (struct pollfd){ .fd = pipes[0], .events = POLLIN };
		ck_assert_int_eq(poll(&hung_up, 1, 30000), 1);
		ck_assert_int_eq(read(pipes[0], &byte, 1), 0);
		close(pipes[0]);
	}
	close(ends[0]);
	close(ends[1]);
}
END_TEST

/* Whose rest comes later, in parts, or not at all. */
START_TEST(takes_a_message_in_parts)
{
	int ends[2];
	uint8_t part[HEADER + 8] = { 'l' };
	char byte;

	stream(ends);
	put_u32(part + 4, 3, false);
	put_u32(part + 12, 5, false);
	ck_assert_int_eq(send(ends[0], part, 7, 0), 7);
	ck_assert_int_eq(closer_take(closer, ends[1], on_done, &n_done), 0);
	fixture_settle();
	ck_assert_uint_eq(n_done, 0);
	ck_assert_int_eq(send(ends[0], part + 7, sizeof(part) - 7, 0), sizeof(part) - 7);
	fixture_settle();
	ck_assert_uint_eq(n_done, 0);
	ck_assert_int_eq(send(ends[0], "abcd", 4, 0), 4);
	fixture_run_until(n_done == 1);
	ck_assert_int_eq(recv(ends[1], &byte, 1, 0), 1);
	ck_assert_int_eq(byte, 'd');
	ck_assert_int_eq(send(ends[0], part, 7, 0), 7);
	ck_assert_int_eq(closer_take(closer, ends[1], on_done, &n_done), 0);
	close(ends[0]);
	fixture_run_until(n_done == 2);
	ck_assert_int_eq(recv(ends[1], &byte, 1, 0), 0);
	close(ends[1]);
}
END_TEST

START_TEST(hostile_sizes_end_a_connection)
{
	static const struct {
		uint32_t fields, body;
	} sizes[] = { { 8, UINT32_MAX }, { UINT32_MAX, 8 }, { UINT32_MAX, UINT32_MAX },
		{ 64u << 20, 65u << 20 } };
	uint8_t header[HEADER] = { 'l' };
	int ends[2];
	char byte;

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		stream(ends);
		put_u32(header + 4, sizes[i].body, false);
		put_u32(header + 12, sizes[i].fields, false);
		ck_assert_int_eq(send(ends[0], header, sizeof(header), 0), sizeof(header));
		ck_assert_int_eq(closer_take(closer, ends[1], on_done, &n_done), 0);
		fixture_run_until(n_done == i + 1);
		ck_assert_int_eq(recv(ends[0], &byte, 1, 0), 0);
		close(ends[0]);
		close(ends[1]);
	}
}
END_TEST

/* What sleeps of the bus leaves room for what others have to have closed. */
START_TEST(room_for_others_than_the_bus)
{
	enum { LIMIT = 256, N = 16 };
	struct rlimit before, few;
	int ends[2], peers[LIMIT];
	unsigned int taken = 0;
	char byte;

	closer = closer_free(closer);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){ LIMIT, before.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(closer_new(&closer), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_int_ge(closer_attach(closer, fixture.loop), 0);
	stream(ends);
	for (; taken < LIMIT && recv(ends[0], &byte, 1, MSG_DONTWAIT) < 0; taken++) {
		int sleeps = lingering(&peers[taken]);

		send_message(ends[0], false, 8, 0, sleeps, 1);
		close(sleeps);
		ck_assert_int_eq(closer_take(closer, ends[1], on_done, &n_done), 0);
		fixture_run_until(n_done == taken + 1);
	}
	ck_assert_uint_ge(taken, LIMIT / 4);
	ck_assert_uint_lt(taken, LIMIT);
	n_done = 0;
	close_some(N, 1);
	fixture_run_until(n_done == N);
	while (taken > 0)
		close(peers[--taken]);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(without_a_process)
{
	closer = closer_free(closer);
	close_some(1, 1);
	ck_assert_uint_eq(n_done, 1);
	ck_assert_int_eq(closer_take(closer, STDIN_FILENO, on_done, &n_done), -EPIPE);
	ck_assert_uint_eq(n_done, 1);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, tear_down };
	const struct test tests[] = {
		{ closes_and_says_so },
		{ what_sleeps_costs_its_owner },
		{ end_waits_for_nobody },
		{ forgotten },
		{ takes_one_message },
		{ takes_a_message_in_parts },
		{ hostile_sizes_end_a_connection },
		{ room_for_others_than_the_bus },
		{ without_a_process },
		{ NULL },
	};

	return run_tests(argc, argv, "closer", &hooks, tests);
}

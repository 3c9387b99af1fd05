/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the process that closes: that it does, that it says so, and that nobody waits for one
 * that cannot be closed. What sleeps is a TCP socket that lingers with something unsent.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "closer.h"
#include "fixture.h"

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

START_TEST(without_a_process)
{
	closer = closer_free(closer);
	close_some(1, 1);
	ck_assert_uint_eq(n_done, 1);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("closer");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, closes_and_says_so);
	tcase_add_test(tcase, what_sleeps_costs_its_owner);
	tcase_add_test(tcase, end_waits_for_nobody);
	tcase_add_test(tcase, forgotten);
	tcase_add_test(tcase, without_a_process);
	return fixture_run("closer", tcase);
}

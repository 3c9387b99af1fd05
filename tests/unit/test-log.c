/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of messages: who reads them may be slow.
 */
#include <fcntl.h>
#include <sys/socket.h>

#include "fixture.h"
#include "log.h"

/* Messages into a pipe or a socket that nobody reads are lost, and counted. */
START_TEST(nobody_reads)
{
	char text[4096], filler[4096] = { 0 };
	int fds[2], was = dup(STDERR_FILENO);
	ssize_t n = 0;

	if (_i)
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	else
		ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	while (write(fds[1], filler, sizeof(filler)) > 0)
		;
	ck_assert_int_eq(fcntl(fds[1], F_SETFL, 0), 0); /* to others it blocks */
	ck_assert_int_eq(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	alarm(20);
	for (int i = 0; i < 1000; i++)
		log_error("one");
	while (read(fds[0], text, sizeof(text)) > 0)
		;
	log_error("two");
	n = read(fds[0], text, sizeof(text) - 1);
	dup2(was, STDERR_FILENO);
	alarm(0);
	ck_assert_int_gt(n, 0);
	text[n] = 0;
	ck_assert_msg(strstr(text, "(1000 messages before this one are lost) two\n"), "%s", text);
	close(fds[0]);
	close(fds[1]);
	close(was);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("log");

	tcase_add_checked_fixture(tcase, fixture_set_up, fixture_tear_down);
	tcase_add_loop_test(tcase, nobody_reads, 0, 2);
	return fixture_run("log", tcase);
}

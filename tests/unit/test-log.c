/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of messages: who reads them may be slow, and what they are about any bytes.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/log.h"
#include "fixture.h"
#include "hostile-checks.h"

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

static char said[8192];

/* What is written to standard error meanwhile. */
static const char *say(void (*log)(const char *format, ...), const char *name)
{
	int file = memfd_create("said", MFD_CLOEXEC), saved = dup(2);
	ssize_t n;

	fflush(NULL);
	dup2(file, 2);
	log("policy: %s: cannot be read", name);
	fflush(NULL);
	dup2(saved, 2);
	close(saved);
	n = pread(file, said, sizeof(said) - 1, 0);
	ck_assert_int_gt(n, 0);
	close(file);
	said[n] = 0;
	return said;
}

/* The line, without what stands before and after the message. */
static char *message_of(const char *prefix, const char *line)
{
	size_t length = strlen(line);

	ck_assert_msg(length > 0 && strchr(line, '\n') == line + length - 1, "%s", line);
	ck_assert_msg(!strncmp(line, prefix, strlen(prefix)), "%s", line);
	return strndup(line + strlen(prefix), length - 1 - strlen(prefix));
}

START_TEST(each)
{
	static const struct {
		void (*log)(const char *format, ...);
		const char *prefix;
	} kinds[] = { { log_error, "<3>" }, { log_warning, "<4>" }, { log_info, "<6>" } };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		for (int journal = 0; journal < 2; journal++) {
			cleanup(cleanup_free) char *message = NULL;

			if (journal)
				setenv("JOURNAL_STREAM", "1:2", 1);
			else
				unsetenv("JOURNAL_STREAM");
			message = message_of(journal ? kinds[i].prefix : "ccbufd: ",
				say(kinds[i].log, hostile[_i].text));
			ck_assert_msg(is_safe(message), "%s", message);
			ck_assert_ptr_nonnull(strstr(message, ": cannot be read"));
		}
}
END_TEST

/* Longer than a pipe that can be written to has room for: cut, and still a line. */
START_TEST(long_path)
{
	static char name[4096];
	cleanup(cleanup_free) char *message = NULL;

	unsetenv("JOURNAL_STREAM");
	memset(name, 0xff, sizeof(name) - 1);
	message = message_of("ccbufd: ", say(log_error, name));
	ck_assert_msg(is_safe(message), "%s", message);
	ck_assert_uint_lt(strlen(message), 4000);
	ck_assert_ptr_nonnull(strstr(message, "\\xff..."));
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { fixture_set_up, fixture_tear_down };
	const struct test tests[] = {
		{ nobody_reads, .times = 2 },
		{ each, .times = ARRAY_SIZE(hostile) },
		{ long_path },
		{ NULL },
	};

	return run_tests(argc, argv, "log", &hooks, tests);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of what the service manager hears: everything, in order, whether it reads or not.
 */
#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "fixture.h"
#include "ledger/state.h"
#include "notify.h"

#define ROOM 1000 /* messages that no queue takes */

static int manager = -1;
static struct notify *notify;

/* A manager at NOTIFY_SOCKET; abstract or a file. */
static void make_manager(bool abstract)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[100];
	socklen_t size;

	snprintf(path, sizeof(path), "%s%s/notify", abstract ? "@" : "", fixture.folder);
	copy_string(address.sun_path, sizeof(address.sun_path), path);
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + !abstract);
	if (abstract)
		address.sun_path[0] = 0;
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(manager, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&address, size), 0);
	setenv("NOTIFY_SOCKET", path, 1);
}

static void set_up(void)
{
	fixture_set_up();
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	make_manager(false);
}

static void tear_down(void)
{
	notify = notify_free(notify);
	close_fd(&manager);
	unsetenv("NOTIFY_SOCKET");
	fixture_tear_down();
}

/* The next message, without what does not count; "" when there is none. */
static const char *hear(void)
{
	static char text[512];
	ssize_t n;

	do {
		n = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT);
		text[n < 0 ? 0 : n] = 0;
	} while (streq(text, "filler"));
	return text;
}

static void fill_queue(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), n = 0;

	copy_string(address.sun_path, sizeof(address.sun_path), path);
	while (n < ROOM &&
		sendto(fd, "filler", 6, 0, (struct sockaddr *)&address, sizeof(address)) == 6)
		n++;
	ck_assert_int_lt(n, ROOM);
	close(fd);
}

static void run_for(uint64_t usec)
{
	uint64_t end = clock_usec(CLOCK_MONOTONIC) + usec, now;

	while ((now = clock_usec(CLOCK_MONOTONIC)) < end)
		ck_assert_int_ge(sd_event_run(fixture.loop, end - now), 0);
}

START_TEST(tells)
{
	if (_i) {
		close_fd(&manager);
		make_manager(true);
	}
	ck_assert_int_eq(notify_new(fixture.loop, &notify), 0);
	notify_ready(notify, "Serving");
	ck_assert_str_eq(hear(), "READY=1\nSTATUS=Serving");
	notify_reloading(notify);
	ck_assert_str_eq(hear(), "RELOADING=1");
	notify_stopping(notify);
	ck_assert_str_eq(hear(), "STOPPING=1");
	fixture_settle();
	ck_assert_str_eq(hear(), "");
}
END_TEST

/* Nobody to tell, in all the ways there are. */
START_TEST(no_manager)
{
	static const char *const paths[] = { NULL, "", "/", "@", "relative", "vsock:2:1",
		"/no/such/socket" };

	if (paths[_i])
		setenv("NOTIFY_SOCKET", paths[_i], 1);
	else
		unsetenv("NOTIFY_SOCKET");
	ck_assert_int_eq(notify_new(fixture.loop, &notify), 0);
	notify_ready(notify, "Serving");
	notify_stopping(notify);
	fixture_settle();
	notify_ready(NULL, "Serving");
	notify_reloading(NULL);
	notify_stopping(NULL);
	ck_assert_ptr_null(notify_free(NULL));
}
END_TEST

START_TEST(too_long_a_path)
{
	char path[200];

	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = 0;
	setenv("NOTIFY_SOCKET", path, 1);
	ck_assert_int_eq(notify_new(fixture.loop, &notify), 0);
	notify_ready(notify, NULL);
}
END_TEST

START_TEST(waits_for_room)
{
	uint64_t before = clock_usec(CLOCK_MONOTONIC);

	ck_assert_int_eq(notify_new(fixture.loop, &notify), 0);
	fill_queue();
	notify_ready(notify, "one");
	notify_reloading(notify);
	notify_ready(notify, "two");
	ck_assert_uint_lt(clock_usec(CLOCK_MONOTONIC) - before, 1000000);
	run_for(250000);
	ck_assert_str_eq(hear(), "");
	while (!hear()[0])
		ck_assert_int_ge(sd_event_run(fixture.loop, 1000000), 0);
	notify_stopping(notify);
	/* hear() took the first */
	ck_assert_str_eq(hear(), "RELOADING=1");
	ck_assert_str_eq(hear(), "READY=1\nSTATUS=two");
	ck_assert_str_eq(hear(), "STOPPING=1");
	ck_assert_str_eq(hear(), "");
}
END_TEST

/* A manager that has not read for long hears the first and the last. */
START_TEST(many_unsent)
{
	ck_assert_int_eq(notify_new(fixture.loop, &notify), 0);
	fill_queue();
	notify_ready(notify, "first");
	for (int i = 0; i < 100; i++) {
		notify_reloading(notify);
		notify_ready(notify, "next");
	}
	notify_stopping(notify);
	ck_assert_str_eq(hear(), "");
	while (hear()[0] == 0)
		ck_assert_int_ge(sd_event_run(fixture.loop, 1000000), 0);
	for (const char *text = hear(); text[0]; text = hear())
		if (streq(text, "STOPPING=1"))
			return;
	ck_abort_msg("no STOPPING=1");
}
END_TEST

START_TEST(signs_of_life)
{
	setenv("WATCHDOG_USEC", "150000", 1);
	ck_assert_int_eq(notify_new(fixture.loop, &notify), 0);
	for (int i = 0; i < 3; i++) {
		const char *text;

		while (!(text = hear())[0])
			ck_assert_int_ge(sd_event_run(fixture.loop, 1000000), 0);
		ck_assert_str_eq(text, "WATCHDOG=1");
	}
	/* one that had no room is not sent many times afterwards */
	fill_queue();
	run_for(300000);
	ck_assert_str_eq(hear(), "");
	while (!hear()[0])
		ck_assert_int_ge(sd_event_run(fixture.loop, 1000000), 0);
	ck_assert_str_eq(hear(), "");
}
END_TEST

START_TEST(life_of_another_process)
{
	setenv("WATCHDOG_USEC", "30000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	ck_assert_int_eq(notify_new(fixture.loop, &notify), 0);
	run_for(100000);
	ck_assert_str_eq(hear(), "");
}
END_TEST

/* The last message gets a second, and no more. */
START_TEST(end_is_bounded)
{
	uint64_t before, took;

	ck_assert_int_eq(notify_new(fixture.loop, &notify), 0);
	fill_queue();
	notify_stopping(notify);
	before = clock_usec(CLOCK_MONOTONIC);
	notify = notify_free(notify);
	took = clock_usec(CLOCK_MONOTONIC) - before;
	ck_assert_uint_ge(took, 900000);
	ck_assert_uint_lt(took, 10000000);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, tear_down };
	const struct test tests[] = {
		{ tells, .times = 2 },
		{ no_manager, .times = 7 },
		{ too_long_a_path },
		{ waits_for_room },
		{ many_unsent },
		{ signs_of_life },
		{ life_of_another_process },
		{ end_is_bounded },
		{ NULL },
	};

	return run_tests(argc, argv, "notify", &hooks, tests);
}

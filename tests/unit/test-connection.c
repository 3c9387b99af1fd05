/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of a connection where sending fails: slow readers, too many fds in flight, ends in the
 * middle. What clients and daemon say to each other otherwise is tested with the daemon as a whole.
 */
#include <fcntl.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "fixture.h"
#include "front/channel.h"
#include "front/connection.h"
#include "front/packet.h"
#include "front/socket.h"
#include "grant.h"
#include "user/turns.h"

#define PAGE 4096u

static const char policy_text[] =
	"{ \"version\": 1, \"uses\": { \"u\": { \"heap\": \"emulated\" } },"
	" \"rules\": [ { \"name\": \"r\", \"match\": {},"
	" \"allow\": { \"use\": [\"u\"] } } ] }";

static struct broker broker;
static struct connections connections;
static struct peer *self;
static int client; /* its end; the other is the connection's */
static uint64_t next_id;

static int send_error;	      /* what sending fails with, while there are failures */
static unsigned int failures; /* left */
static unsigned int good;     /* that succeed before the first failure */
static unsigned int attempts;
static unsigned int n_slow; /* timers for slow readers */
static uint64_t slow_usec;  /* their time; 0 for the real one */

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	attempts++;
	if (good > 0) {
		good--;
	} else if (failures > 0) {
		failures--;
		errno = send_error;
		return -1;
	}
	return __real_sendmsg(fd, message, flags);
}

int __real_sd_event_add_time_relative(sd_event *loop, sd_event_source **source, clockid_t clock,
	uint64_t usec, uint64_t accuracy, sd_event_time_handler_t handler, void *userdata);
int __wrap_sd_event_add_time_relative(sd_event *loop, sd_event_source **source, clockid_t clock,
	uint64_t usec, uint64_t accuracy, sd_event_time_handler_t handler, void *userdata);
int __wrap_sd_event_add_time_relative(sd_event *loop, sd_event_source **source, clockid_t clock,
	uint64_t usec, uint64_t accuracy, sd_event_time_handler_t handler, void *userdata)
{
	if (usec == CONNECTION_SLOW_USEC) {
		n_slow++;
		if (slow_usec)
			usec = slow_usec;
	}
	return __real_sd_event_add_time_relative(
		loop, source, clock, usec, accuracy, handler, userdata);
}

/* A kernel that knows of SO_PASSRIGHTS (83; Linux 6.16) keeps fds from coming; here are others. */
static bool passrights;

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	if (level == SOL_SOCKET && name == 83 && !passrights) {
		errno = ENOPROTOOPT;
		return -1;
	}
	return __real_getsockopt(fd, level, name, value, size);
}

static void set_up(void)
{
	int fds[2];

	fixture_set_up();
	passrights = false;
	failures = good = n_slow = attempts = 0;
	slow_usec = next_id = 0;
	broker = (struct broker){
		.loop = fixture.loop,
		.inspections = fixture.inspections,
		.users = fixture.users,
		.audit = fixture.audit,
		.heaps = heaps_new("/dev"),
		.policy = fixture_policy(policy_text),
	};
	ck_assert_int_eq(turns_new(fixture.loop, &broker.turns), 0);
	ck_assert_int_eq(workers_new(fixture.loop, &broker.workers), 0);
	ck_assert_int_eq(ledger_new(fixture.loop, fixture.audit, &broker.ledger), 0);
	self = fixture_self();
	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	client = fds[0];
	connections = (struct connections){ .broker = &broker };
	ck_assert_int_eq(connection_new(&connections, &fds[1], self), 0);
	ck_assert_int_eq(fds[1], -1);
}

static void tear_down(void)
{
	connections_close(&connections);
	close_fd(&client);
	broker.turns = turns_free(broker.turns);
	broker.workers = workers_free(broker.workers);
	fixture_end_audit();
	ck_assert_uint_eq(broker.n_requests, 0);
	broker.ledger = ledger_free(broker.ledger);
	broker.heaps = heaps_free(broker.heaps);
	broker.policy = policy_unref(broker.policy);
	ck_assert_uint_eq(self->refs, 1);
	self = peer_unref(self);
	fixture_tear_down();
}

static void ask_for(uint64_t size, uint32_t count)
{
	struct wire_request request = {
		.header = { WIRE_VERSION, WIRE_REQUEST, sizeof(request), ++next_id },
		.size = size,
		.count = count,
		.use = "u",
	};

	ck_assert_int_eq(send(client, &request, sizeof(request), 0), sizeof(request));
}

static void ask(uint32_t count)
{
	ask_for(PAGE, count);
}

/* The type of the next packet, its fds closed; 0 when there is none yet, -1 at the end. */
static int hear(unsigned int *ret_fds)
{
	char control[CMSG_SPACE(sizeof(int) * REQUEST_COUNT_MAX)];
	union socket_packet packet;
	struct iovec iov = { &packet, sizeof(packet) };
	struct msghdr message = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(client, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *header;

	*ret_fds = 0;
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? 0 : -1;
	header = CMSG_FIRSTHDR(&message);
	if (header) {
		*ret_fds = (unsigned int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (unsigned int i = 0; i < *ret_fds; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
			close(fd);
		}
	}
	return packet.header.type;
}

static int wait_for_packet(unsigned int *ret_fds)
{
	int type;

	fixture_run_until((type = hear(ret_fds)) != 0);
	return type;
}

static size_t n_events(const char *name)
{
	char part[64];

	fixture_audit_wait();
	snprintf(part, sizeof(part), "\"event\":\"%s\"", name);
	return fixture_trail_count(part);
}

START_TEST(there_and_back)
{
	unsigned int fds;

	ask(64);
	ck_assert_int_eq(wait_for_packet(&fds), WIRE_GRANTED);
	ck_assert_uint_eq(fds, 64);
	ask(65);
	ck_assert_int_eq(wait_for_packet(&fds), WIRE_REFUSED);
	ck_assert_uint_eq(ledger_count(broker.ledger), 64);
	ck_assert_uint_eq(n_slow, 0);
}
END_TEST

/* Without waiting for anything. */
static size_t n_grant_records(void)
{
	return fixture_trail_count("\"event\":\"grant\"");
}

static const int passing[] = { EAGAIN, ETOOMANYREFS, ENOBUFS };

/* What passes is tried again, without end but not without pause. */
START_TEST(sending_fails_for_a_while)
{
	struct timespec before, after;
	unsigned int fds;
	uint64_t msec;

	send_error = passing[_i];
	failures = send_error == EAGAIN ? 1 : 5;
	clock_gettime(CLOCK_MONOTONIC, &before);
	ask(1);
	ck_assert_int_eq(wait_for_packet(&fds), WIRE_GRANTED);
	clock_gettime(CLOCK_MONOTONIC, &after);
	ck_assert_uint_eq(fds, 1);
	ck_assert_uint_eq(ledger_count(broker.ledger), 1);
	ck_assert_uint_eq(n_slow, 1);
	msec = (uint64_t)(after.tv_sec - before.tv_sec) * 1000 +
	       (uint64_t)(after.tv_nsec / 1000000) - (uint64_t)(before.tv_nsec / 1000000);
	if (send_error != EAGAIN)
		ck_assert_uint_ge(msec, 20);
	/* and the connection is as before */
	ask(2);
	ck_assert_int_eq(wait_for_packet(&fds), WIRE_GRANTED);
	ck_assert_uint_eq(n_slow, 1);
}
END_TEST

static sem_t gate;

static void wait_at_gate(struct job *job)
{
	(void)job;
	while (sem_wait(&gate) < 0)
		;
}

static void on_gate_passed(struct job *job)
{
	(void)job;
}

/* The time runs for each reply anew: one who reads, if slowly, is not thrown out. */
START_TEST(slow_is_of_one_reply)
{
	/* of an owner one large job runs at a time */
	struct job blocker = {
		.owner = self->user, .large = true, .run = wait_at_gate, .done = on_gate_passed
	};
	unsigned int fds;

	/* both are under way before either is answered */
	sem_init(&gate, 0, 0);
	workers_submit(broker.workers, &blocker);
	ask_for(2 << 20, 1);
	ask_for(2 << 20, 1);
	fixture_run_until(broker.n_requests == 2);
	/* neither goes out; then only the first does */
	send_error = EAGAIN;
	failures = 1000000;
	sem_post(&gate);
	fixture_run_until(n_slow == 1);
	fixture_run_until(ledger_count(broker.ledger) == 2 && n_grant_records() == 2);
	good = 1;
	failures = 1;
	ck_assert_int_eq(wait_for_packet(&fds), WIRE_GRANTED);
	ck_assert_int_eq(wait_for_packet(&fds), WIRE_GRANTED);
	ck_assert_uint_eq(n_slow, 2);
}
END_TEST

START_TEST(too_slow)
{
	unsigned int fds;

	slow_usec = 20000;
	send_error = EAGAIN;
	failures = 1000000;
	ask(3);
	ck_assert_int_eq(wait_for_packet(&fds), -1);
	ck_assert_ptr_null(connections.first);
	ck_assert_uint_eq(ledger_bytes(broker.ledger), 0);
	ck_assert_uint_eq(n_events("grant"), 1);
	ck_assert_uint_eq(n_events("undelivered"), 1);
}
END_TEST

START_TEST(sending_fails_for_good)
{
	unsigned int fds;

	send_error = EPIPE;
	failures = 1;
	ask(3);
	ck_assert_int_eq(wait_for_packet(&fds), -1);
	ck_assert_ptr_null(connections.first);
	ck_assert_uint_eq(ledger_bytes(broker.ledger), 0);
	ck_assert_uint_eq(n_events("undelivered"), 1);
}
END_TEST

START_TEST(client_hangs_up_meanwhile)
{
	for (int i = 0; i < 5; i++)
		ask(1);
	close_fd(&client);
	fixture_run_until(!connections.first && broker.n_requests == 0);
	fixture_settle();
	ck_assert_uint_eq(n_events("grant"),
		n_events("undelivered") + n_events("release") + ledger_count(broker.ledger));
}
END_TEST

/* Until its replies are read no more of its packets are. */
START_TEST(asks_without_reading)
{
	unsigned int fds, n = 0;

	send_error = EAGAIN;
	failures = 1000000;
	for (int i = 0; i < 100; i++)
		ask(1);
	fixture_run_until(n_slow == 1 && broker.n_requests > 0);
	fixture_audit_wait();
	ck_assert_uint_le(broker.n_requests, WIRE_IN_FLIGHT_MAX);
	failures = 0;
	while (n < 100) {
		ck_assert_int_eq(wait_for_packet(&fds), WIRE_GRANTED);
		n += fds;
	}
	ck_assert_uint_eq(ledger_count(broker.ledger), 100);
}
END_TEST

START_TEST(stopped_reads_no_more)
{
	unsigned int fds;

	ask(1);
	ck_assert_int_eq(wait_for_packet(&fds), WIRE_GRANTED);
	connections_stop(&connections);
	ask(1);
	fixture_settle();
	ck_assert_uint_eq(broker.n_requests, 0);
	ck_assert_uint_eq(self->user->used[USER_CONNECTIONS], 1);
}
END_TEST

static ssize_t send_fd(int fd, int sent)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct wire_request request = { .header = { WIRE_VERSION, WIRE_REQUEST, sizeof(request),
						9 },
		.size = PAGE,
		.count = 1,
		.use = "u" };
	struct iovec iov = { &request, sizeof(request) };
	struct msghdr message = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &sent, sizeof(int));
	return sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* A pipe whose last end is with the connection: its other end says when it is closed. */
static int send_pipe(void)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	ck_assert_int_gt(send_fd(client, ends[1]), 0);
	close(ends[1]);
	return ends[0];
}

static bool closed(int fd)
{
	char byte;

	return read(fd, &byte, 1) == 0;
}

/* The end of a connection whose client sent fds: it may hear first that some were unread. */
static void hear_refusal(void)
{
	unsigned int fds;
	int type = wait_for_packet(&fds);

	ck_assert_int_eq(type == -1 ? wait_for_packet(&fds) : type, WIRE_REFUSED);
	ck_assert_int_eq(wait_for_packet(&fds), -1);
}

/* What a client sends is closed, and not here: with the connection, by the closer. */
START_TEST(fds_from_a_client)
{
	size_t open = fixture_fds();
	int end = send_pipe();

	fixture_run_until(n_events("deny") == 1);
	/* it takes no more */
	ck_assert_int_eq(send_fd(client, client), -1);
	hear_refusal();
	fixture_run_until(closed(end));
	close(end);
	/* the connection's own is closed, nothing came in its place */
	ck_assert_uint_eq(fixture_fds(), open - 1);
	ck_assert_uint_eq(n_events("deny"), 1);
	ck_assert_uint_eq(self->user->used[USER_CONNECTIONS] + self->user->used[USER_FDS], 0);
}
END_TEST

/* In a packet that nobody looks at any more. */
START_TEST(fds_behind_a_packet)
{
	int end;

	ck_assert_int_eq(send(client, "x", 1, 0), 1);
	end = send_pipe();
	ask(1);
	hear_refusal();
	fixture_run_until(closed(end));
	close(end);
	ck_assert_uint_eq(n_events("deny"), 1);
}
END_TEST

/* Behind a packet that is answered, and packets without any that are not. */
START_TEST(packets_behind_the_last)
{
	unsigned int fds;

	ck_assert_int_eq(send(client, "x", 1, 0), 1);
	for (int i = 0; i < 10; i++)
		ask(1);
	ck_assert_int_eq(wait_for_packet(&fds), WIRE_REFUSED);
	ck_assert_int_eq(wait_for_packet(&fds), -1);
}
END_TEST

/* An empty packet looks like the end of all. */
START_TEST(fds_behind_empty_packets)
{
	int end;

	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(send(client, "", 0, 0), 0);
	end = send_pipe();
	fixture_run_until(closed(end));
	close(end);
}
END_TEST

/* Until the connection has sent all it can, or the requests are answered. */
static void ask_and_hoard(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		ask(64);
	fixture_settle();
	fixture_run_until(n_events("grant") == n);
	fixture_settle();
}

/* Nobody could ever read what was sent to it. */
START_TEST(connection_in_itself)
{
	const uint64_t *used = self->user->used;

	ask_and_hoard(1);
	ck_assert_int_gt(send_fd(client, client), 0);
	close_fd(&client);
	fixture_run_until(used[USER_CONNECTIONS] == 0);
	ck_assert_uint_eq(used[USER_FDS_SENT], 0);
}
END_TEST

START_TEST(fds_with_a_hang_up)
{
	int end = send_pipe();

	shutdown(client, SHUT_RDWR);
	fixture_run_until(closed(end));
	close(end);
}
END_TEST

START_TEST(fds_cannot_be_sent)
{
	int ends[2];

	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	passrights = true;
	errno = 0;
	if (channel_deny_fds(ends[0]) || errno == ENOPROTOOPT) {
		close(ends[0]);
		close(ends[1]);
		fixture_skip("Linux has no SO_PASSRIGHTS before 6.16");
	}
	ck_assert(channel_deny_fds(ends[0]));
	ck_assert_int_eq(send_fd(ends[1], ends[1]), -1);
	ck_assert_int_eq(errno, EPERM);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

/* --- what is sent and not read --- */

/* What has been received is counted again when the share is used up, not before. */
START_TEST(unread_fds_are_charged)
{
	const uint64_t *used = self->user->used;
	unsigned int fds;

	users_set_max(fixture.users, USER_FDS_SENT, 300);
	ask_and_hoard(2);
	ck_assert_uint_eq(used[USER_FDS_SENT], 128);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(wait_for_packet(&fds), WIRE_GRANTED);
	ask(64);
	ck_assert_int_eq(wait_for_packet(&fds), WIRE_GRANTED);
	ck_assert_uint_eq(used[USER_FDS_SENT], 64);
}
END_TEST

/* Who closed first does not matter. */
START_TEST(unread_fds_outlive_the_connection)
{
	const uint64_t *used = self->user->used;
	unsigned int fds;

	ask_and_hoard(2);
	ck_assert_int_eq(send(client, "x", 1, 0), 1);
	fixture_run_until(n_events("deny") == 1);
	fixture_settle();
	ck_assert_ptr_null(connections.first);
	ck_assert_uint_eq(used[USER_FDS_SENT], 128);
	ck_assert_uint_eq(used[USER_CONNECTIONS], 1);
	if (_i == 0) {
		for (int i = 0; i < 2; i++)
			ck_assert_int_eq(wait_for_packet(&fds), WIRE_GRANTED);
		ck_assert_int_eq(wait_for_packet(&fds), WIRE_REFUSED);
		ck_assert_int_eq(wait_for_packet(&fds), -1);
	} else {
		close_fd(&client);
	}
	fixture_run_until(used[USER_CONNECTIONS] == 0);
	ck_assert_uint_eq(used[USER_FDS_SENT], 0);
	ck_assert_uint_le(used[USER_FDS], ledger_count(broker.ledger));
}
END_TEST

/* One user's hoard ends at its share, and what is refused for it is undone. */
START_TEST(share_of_fds_in_flight)
{
	unsigned int fds;

	users_set_max(fixture.users, USER_FDS_SENT, 200);
	slow_usec = 200000;
	ask(64);
	ask(64);
	fixture_run_until(n_events("undelivered") == 1);
	ck_assert_uint_eq(ledger_count(broker.ledger), 64);
	ck_assert_int_eq(wait_for_packet(&fds), WIRE_GRANTED);
	ck_assert_uint_eq(fds, 64);
	ck_assert_int_eq(wait_for_packet(&fds), -1);
}
END_TEST

/* What is received over one connection makes room on another. */
START_TEST(room_by_another_connection)
{
	unsigned int fds;
	int ends[2], first = client;

	users_set_max(fixture.users, USER_FDS_SENT, 200);
	ask(64);
	fixture_run_until(n_events("grant") == 1);
	fixture_settle();
	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	ck_assert_int_eq(connection_new(&connections, &ends[1], self), 0);
	client = ends[0];
	ask(64);
	fixture_run_until(n_events("grant") == 2);
	fixture_settle();
	ck_assert_int_eq(hear(&fds), 0);
	client = first;
	ck_assert_int_eq(wait_for_packet(&fds), WIRE_GRANTED);
	client = ends[0];
	ck_assert_int_eq(wait_for_packet(&fds), WIRE_GRANTED);
	ck_assert_uint_eq(fds, 64);
	close(first);
}
END_TEST

static void connect_and_wait(int fd, void *userdata)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char word = 'y';

	copy_string(address.sun_path, sizeof(address.sun_path), userdata);
	if (connect(s, (struct sockaddr *)&address, sizeof(address)) < 0)
		word = 'n';
	(void)!write(fd, &word, 1);
	(void)!read(fd, &word, 1);
}

/* Nobody is turned away without a record. */
START_TEST(client_is_dead_before_it_is_let_in)
{
	struct socket_server *server;
	struct child child;
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/socket", fixture.folder);
	ck_assert_int_eq(socket_listen(path, &fd), 0);
	ck_assert_int_eq(socket_server_new(&broker, &fd, &server), 0);
	child_start(&child, connect_and_wait, path);
	ck_assert_int_eq(child_hear(&child), 'y');
	child_kill(&child);
	fixture_run_until(fixture_trail_count("\"event\":\"deny\"") == 1);
	ck_assert_uint_eq(fixture_trail_count("\"verdict\":\"identity-changed\""), 1);
	ck_assert_uint_eq(fixture_trail_count("cannot be identified"), 1);
	socket_server_free(server);
}
END_TEST

START_TEST(listening)
{
	size_t open = fixture_fds();
	char path[200];
	int fd = -1, other = -1;

	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = 0;
	ck_assert_int_eq(socket_listen(path, &fd), -ENAMETOOLONG);
	ck_assert_int_eq(socket_listen("/no/such/folder/socket", &fd), -ENOENT);
	/* a file that is no socket stays */
	ck_assert_int_lt(socket_listen(fixture.trail, &fd), 0);
	ck_assert_int_eq(access(fixture.trail, F_OK), 0);
	ck_assert_int_eq(fd, -1);
	ck_assert_uint_eq(fixture_fds(), open);
	snprintf(path, sizeof(path), "%s/socket", fixture.folder);
	ck_assert_int_eq(socket_listen(path, &fd), 0);
	ck_assert_int_eq(socket_listen(path, &other), -EADDRINUSE);
	close(fd);
	/* a dead one is replaced */
	ck_assert_int_eq(socket_listen(path, &fd), 0);
	close(fd);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, tear_down };
	const struct test tests[] = {
		{ there_and_back },
		{ sending_fails_for_a_while, .times = ARRAY_SIZE(passing) },
		{ slow_is_of_one_reply },
		{ too_slow },
		{ sending_fails_for_good },
		{ client_hangs_up_meanwhile },
		{ asks_without_reading },
		{ stopped_reads_no_more },
		{ fds_from_a_client },
		{ fds_behind_a_packet },
		{ packets_behind_the_last },
		{ fds_behind_empty_packets },
		{ connection_in_itself },
		{ fds_with_a_hang_up },
		{ fds_cannot_be_sent },
		{ unread_fds_are_charged },
		{ unread_fds_outlive_the_connection, .times = 2 },
		{ share_of_fds_in_flight },
		{ room_by_another_connection },
		{ client_is_dead_before_it_is_let_in },
		{ listening },
		{ NULL },
	};

	return run_tests(argc, argv, "connection", &hooks, tests);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The helper: forks, reaps, kills. It must never read what its children and the daemon say to each
 * other, nor outlive the daemon.
 */
#include "helper/child.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "helper/load-child.h"
#include "helper/inspect-child.h"
#include "util.h"

#define CHILDREN_MAX 256
#define SOCKET	     3 /* the fd of a process's only socket */

/* Tries, and the time between them, to send an fd that the kernel refuses for now (too many are
 * under way to the daemon's clients). */
#define OFFERS	   50
#define OFFER_MSEC 20

/* How often, and how long apart, the helper checks whether the children have ended. */
#define END_TRIES 100
#define END_MSEC  5

struct role {
	const char *name;
	void (*run)(int fd, const struct helper_settings *settings);
	bool quiet; /* closes stdin, stdout and stderr, too */
};

static const struct role roles[HELPER_ROLES] = {
	[HELPER_LOAD] = { "ccbufd-load", load_child, false },
	[HELPER_INSPECT] = { "ccbufd-look", inspect_child, true },
};

struct server {
	const struct helper_settings *settings;
	struct {
		uint32_t number;
		pid_t pid;
	} children[CHILDREN_MAX];
	size_t count;
	pid_t pid;
	int signals;
};

/* Closes all fds but the standard ones and this one, which becomes SOCKET. */
static void keep_one(int fd)
{
	if (fd != SOCKET)
		dup2(fd, SOCKET);
	fcntl(SOCKET, F_SETFD, FD_CLOEXEC);
	syscall(SYS_close_range, SOCKET + 1, ~0u, 0);
}

static void end_with_parent(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
}

static void answer(const struct helper_message *message, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)message, sizeof(*message) };
	struct msghdr packet = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		packet.msg_control = &control;
		packet.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
	}
	for (int i = 0; sendmsg(SOCKET, &packet, MSG_NOSIGNAL) < 0; i++) {
		if (errno == EINTR)
			continue;
		if (errno != ETOOMANYREFS || i == OFFERS)
			_exit(EXIT_FAILURE);
		poll(NULL, 0, OFFER_MSEC);
	}
}

static void run_child(const struct server *server, const struct role *role, int fd)
{
	sigset_t none;

	end_with_parent(server->pid);
	setsid(); /* so that its own children are ended with it */
	prctl(PR_SET_NAME, role->name);
	keep_one(fd);
	if (role->quiet)
		syscall(SYS_close_range, 0, SOCKET - 1, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	role->run(SOCKET, server->settings);
	_exit(EXIT_SUCCESS);
}

static void spawn(struct server *server, const struct helper_message *message)
{
	struct helper_message told = { HELPER_STARTED, message->number, 0 };
	int ends[2] = { -1, -1 };
	pid_t pid = -1;

	if (message->value < 0 || message->value >= HELPER_ROLES)
		told.value = -EINVAL;
	else if (server->count == CHILDREN_MAX)
		told.value = -EAGAIN;
	else if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		told.value = -errno;
	else if ((pid = fork()) < 0)
		told.value = -errno;
	if (pid == 0)
		run_child(server, &roles[message->value], ends[1]);
	if (pid > 0) {
		server->children[server->count].number = message->number;
		server->children[server->count].pid = pid;
		server->count++;
	}
	close_fd(&ends[1]);
	answer(&told, told.value < 0 ? -1 : ends[0]);
	close_fd(&ends[0]);
}

static void kill_child(const struct server *server, size_t i)
{
	/* Not reaped yet, so the pid is still the child's. */
	kill(-server->children[i].pid, SIGKILL);
	kill(server->children[i].pid, SIGKILL);
}

static void reap(struct server *server)
{
	struct helper_message told = { .op = HELPER_ENDED };
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		size_t i = 0;

		while (i < server->count && server->children[i].pid != pid)
			i++;
		if (i == server->count)
			continue;
		/* processes that the child left */
		kill(-pid, SIGKILL);
		told.number = server->children[i].number;
		told.value = status;
		server->children[i] = server->children[--server->count];
		answer(&told, -1);
	}
}

/* The daemon is gone, or has closed its end of the socket. */
static void end(const struct server *server) __attribute__((noreturn));

static void end(const struct server *server)
{
	for (size_t i = 0; i < server->count; i++)
		kill_child(server, i);
	for (int i = 0; i < END_TRIES; i++) {
		pid_t pid;

		do
			pid = waitpid(-1, NULL, WNOHANG);
		while (pid > 0);
		if (pid < 0)
			break;
		poll(NULL, 0, END_MSEC);
	}
	_exit(EXIT_SUCCESS);
}

static void serve_one(struct server *server)
{
	struct helper_message message;
	ssize_t n = recv(SOCKET, &message, sizeof(message), 0);

	if (n < 0 && errno == EINTR)
		return;
	if (n != sizeof(message))
		end(server);
	if (message.op == HELPER_SPAWN) {
		spawn(server, &message);
		return;
	}
	for (size_t i = 0; message.op == HELPER_KILL && i < server->count; i++)
		if (server->children[i].number == message.number)
			kill_child(server, i);
}

/* The daemon handles a stop of the service and a hang-up of the terminal. */
static void leave_signals_alone(struct server *server)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE };
	sigset_t child;

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_SETMASK, &child, NULL);
	server->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (server->signals < 0)
		_exit(EXIT_FAILURE);
}

/* Keeps only the capability that an inspection needs, if we have it. */
static void keep_one_right(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		_exit(EXIT_FAILURE);
	data[0].permitted &= 1u << CAP_SYS_PTRACE;
	data[0].effective = data[0].permitted;
	data[0].inheritable = 0;
	data[1] = (struct __user_cap_data_struct){ 0 };
	if (syscall(SYS_capset, &header, data) < 0)
		_exit(EXIT_FAILURE);
}

/* Variables meant for the daemon must not reach a library that a child loads. */
static void clean_environment(void)
{
	static const char *const names[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
		"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unsetenv(names[i]);
}

void helper_serve(int fd, const struct helper_settings *settings)
{
	struct server server = { .settings = settings, .pid = getpid() };

	prctl(PR_SET_NAME, "ccbufd-helper");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(EXIT_FAILURE);
	keep_one_right();
	keep_one(fd);
	clean_environment();
	leave_signals_alone(&server);
	for (;;) {
		struct pollfd fds[] = { { .fd = SOCKET, .events = POLLIN },
			{ .fd = server.signals, .events = POLLIN } };
		struct signalfd_siginfo info;

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			end(&server);
		if (fds[1].revents) {
			while (read(server.signals, &info, sizeof(info)) > 0)
				;
			reap(&server);
		}
		if (fds[0].revents)
			serve_one(&server);
	}
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process that closes, and the daemon's side of it. The daemon never waits for it.
 */
#include "front/closer.h"

#include <endian.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "util.h"

#define THREADS_MAX 64
#define OWNER_MAX   4 /* working threads for one owner */
#define STACK	    (64u << 10)
#define FULL_MSEC   100 /* between two checks for room for an fd */

/* The owner of connections to the bus of which a message is taken. */
#define OWNER_BUS 0

struct question {
	uint64_t id, owner;
	uint64_t take; /* read a message from it instead of closing it */
};

/* --- the process --- */

struct item {
	struct item *next;
	struct question question;
	int fd;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct item *first, **last;
	uint64_t at_work[THREADS_MAX]; /* owners */
	unsigned int n_at_work, n_waiting, n_threads;
	unsigned int bus_max; /* with this number of files no more of the bus's are taken */
	int socket;
} child = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

static unsigned int at_work_for(uint64_t owner)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < child.n_at_work; i++)
		n += child.at_work[i] == owner;
	return n;
}

/* Takes out the first item whose owner may have another thread. */
static struct item *take(void)
{
	for (struct item **at = &child.first; *at; at = &(*at)->next) {
		struct item *item = *at;

		if (at_work_for(item->question.owner) >= OWNER_MAX)
			continue;
		*at = item->next;
		if (!*at)
			child.last = at;
		child.at_work[child.n_at_work++] = item->question.owner;
		child.n_waiting--;
		return item;
	}
	return NULL;
}

static void leave(uint64_t owner)
{
	unsigned int i = 0;

	while (child.at_work[i] != owner)
		i++;
	child.at_work[i] = child.at_work[--child.n_at_work];
}

static void answer(const struct item *item)
{
	if (item->question.id)
		(void)send(
			child.socket, &item->question.id, sizeof(item->question.id), MSG_NOSIGNAL);
}

static void *work(void *userdata)
{
	(void)userdata;
	pthread_mutex_lock(&child.lock);
	for (;;) {
		struct item *item = take();

		if (!item) {
			pthread_cond_wait(&child.wake, &child.lock);
			continue;
		}
		pthread_mutex_unlock(&child.lock);
		close(item->fd);
		answer(item);
		pthread_mutex_lock(&child.lock);
		leave(item->question.owner);
		/* for another one of the same owner */
		pthread_cond_signal(&child.wake);
		free(item);
	}
	return NULL;
}

static void add(struct item *item)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_mutex_lock(&child.lock);
	*child.last = item;
	child.last = &item->next;
	child.n_waiting++;
	/* Each working thread may sleep without limit. */
	if (child.n_threads < THREADS_MAX && child.n_threads < child.n_at_work + child.n_waiting) {
		pthread_attr_init(&attributes);
		pthread_attr_setstacksize(&attributes, STACK);
		pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
		child.n_threads += pthread_create(&thread, &attributes, work, NULL) == 0;
		pthread_attr_destroy(&attributes);
	}
	pthread_cond_signal(&child.wake);
	pthread_mutex_unlock(&child.lock);
}

/* Without room for one more fd the kernel would drop the next one at once. */
static void wait_for_room(void)
{
	int fd;

	while ((fd = fcntl(child.socket, F_DUPFD_CLOEXEC, 0)) < 0)
		(void)poll(NULL, 0, FULL_MSEC);
	close(fd);
}

/* An fd comes in one message and may be closed after the next one, which has none: by then the
 * daemon has closed its own, and is not the last to have it. */
static int receive_item(struct item *item)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { &item->question, sizeof(item->question) };
	struct msghdr message = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t n;

	struct question go;

	wait_for_room();
	n = recvmsg(child.socket, &message, MSG_CMSG_CLOEXEC);
	if (n != (ssize_t)sizeof(item->question) || message.msg_controllen < CMSG_LEN(sizeof(int)))
		return -EPIPE;
	memcpy(&item->fd, CMSG_DATA(&control.header), sizeof(int));
	return recv(child.socket, &go, sizeof(go), 0) == (ssize_t)sizeof(go) ? 0 : -EPIPE;
}

/* --- messages of the bus --- */

#define FDS_MAX	     253 /* in one message of a socket: the kernel's SCM_MAX_FD */
#define READ_MSEC    5000
#define BUS_HEADER   16
#define BUS_SIZE_MAX (128u << 20)

/* Has a thread close it, however long that takes. */
static void close_later(int fd)
{
	struct item *item = calloc(1, sizeof(*item));

	if (!item)
		return; /* better leaked than waited for */
	item->question.owner = OWNER_BUS;
	item->fd = fd;
	add(item);
}

static void take_fds(struct msghdr *message)
{
	int fd;

	for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
		size_t n = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(at) + i * sizeof(int), sizeof(int));
			close_later(fd);
		}
	}
}

/* Reads exactly size bytes. */
static int read_all(int fd, void *buffer, size_t size)
{
	static union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	} control;
	size_t done = 0;

	while (done < size) {
		struct iovec iov = { (char *)buffer + done, size - done };
		struct msghdr message = { .msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control) };
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN && poll(&ready, 1, READ_MSEC) > 0)
			continue;
		if (n <= 0)
			return -EPIPE;
		take_fds(&message);
		done += (size_t)n;
	}
	return 0;
}

static uint32_t number_at(const uint8_t *header, size_t at)
{
	uint32_t value;

	memcpy(&value, header + at, sizeof(value));
	return header[0] == 'l' ? le32toh(value) : be32toh(value);
}

static int take_message(int fd)
{
	static uint8_t buffer[65536];
	uint64_t left;
	int r;

	r = read_all(fd, buffer, BUS_HEADER);
	if (r < 0)
		return r;
	left = (((uint64_t)number_at(buffer, 12) + 7) & ~(uint64_t)7) + number_at(buffer, 4);
	if (left > BUS_SIZE_MAX)
		return -EBADMSG;
	for (size_t part; r >= 0 && left > 0; left -= part) {
		part = left < sizeof(buffer) ? left : sizeof(buffer);
		r = read_all(fd, buffer, part);
	}
	return r;
}

/* Without room the kernel would close some at once, and nothing else would be taken or closed. */
static bool has_room_for_bus(void)
{
	bool room;

	pthread_mutex_lock(&child.lock);
	room = child.n_at_work + child.n_waiting < child.bus_max;
	pthread_mutex_unlock(&child.lock);
	return room;
}

/* The daemon waits for this one, so nothing here may sleep. */
static void take_item(struct item *item)
{
	if (!has_room_for_bus() || take_message(item->fd) < 0)
		(void)shutdown(item->fd, SHUT_RDWR);
	answer(item);
	item->question = (struct question){ .owner = OWNER_BUS + 1 };
	add(item);
}

static _Noreturn void run(int socket, pid_t parent)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };
	struct rlimit fds;
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	(void)prctl(PR_SET_NAME, "ccbufd-close");
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	(void)syscall(SYS_capset, &header, none);
	if (getppid() != parent)
		_exit(0);
	child.socket = dup2(socket, STDERR_FILENO + 1);
	(void)syscall(SYS_close_range, STDERR_FILENO + 2, ~0u, 0);
	child.last = &child.first;
	if (getrlimit(RLIMIT_NOFILE, &fds) == 0)
		child.bus_max =
			fds.rlim_cur / 2 < UINT_MAX ? (unsigned int)(fds.rlim_cur / 2) : UINT_MAX;
	for (;;) {
		struct item *item = calloc(1, sizeof(*item));

		if (!item || receive_item(item) < 0)
			_exit(0);
		if (item->question.take)
			take_item(item);
		else
			add(item);
	}
}

/* --- the daemon's side --- */

struct wanted {
	struct wanted *next;
	struct question question;
	int fd; /* -1 once it is with the process */
	void (*done)(void *userdata);
	void *userdata;
};

struct closer {
	int socket; /* -1 when the process is gone */
	sd_event_source *source;
	struct wanted *passed; /* with the process */
	struct wanted *waiting, **waiting_last;
	uint64_t last_id;
};

int closer_new(struct closer **ret_closer)
{
	struct closer *closer = calloc(1, sizeof(*closer));
	pid_t parent = getpid(), pid;
	int fds[2];

	if (!closer)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
		free(closer);
		return -errno;
	}
	pid = fork();
	if (pid == 0)
		run(fds[1], parent);
	close_fd(&fds[1]);
	closer->socket = fds[0];
	closer->waiting_last = &closer->waiting;
	*ret_closer = closer;
	if (pid >= 0)
		return 0;
	closer_free(closer);
	return -EAGAIN;
}

/* Removes it from its list. */
static void end(struct wanted **at)
{
	struct wanted *wanted = *at;

	*at = wanted->next;
	close_fd(&wanted->fd);
	if (wanted->done)
		wanted->done(wanted->userdata);
	free(wanted);
}

/* The process or the kernel has closed all that it had. */
static void process_gone(struct closer *closer)
{
	closer->source = sd_event_source_disable_unref(closer->source);
	close_fd(&closer->socket);
	while (closer->passed)
		end(&closer->passed);
	while (closer->waiting)
		end(&closer->waiting);
}

/* See receive_item(). */
static int send_one(const struct closer *closer, struct wanted *wanted)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { &wanted->question, sizeof(wanted->question) };
	struct msghdr message = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };

	if (wanted->fd >= 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &wanted->fd, sizeof(int));
		if (sendmsg(closer->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			return -errno;
		close_fd(&wanted->fd);
	}
	return send(closer->socket, &wanted->question, sizeof(wanted->question),
		       MSG_DONTWAIT | MSG_NOSIGNAL) < 0
		       ? -errno
		       : 0;
}

/* Passes items on in order, as far as the process has room. */
static void pass_on(struct closer *closer)
{
	int r = 0;

	while (closer->waiting && (r = send_one(closer, closer->waiting)) >= 0) {
		struct wanted *wanted = closer->waiting;

		closer->waiting = wanted->next;
		if (!closer->waiting)
			closer->waiting_last = &closer->waiting;
		wanted->next = closer->passed;
		closer->passed = wanted;
	}
	if (r == -EPIPE || r == -ECONNRESET)
		process_gone(closer);
	else if (closer->source)
		sd_event_source_set_io_events(
			closer->source, closer->waiting ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static int on_answer(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct closer *closer = userdata;
	struct wanted **at = &closer->passed;
	uint64_t id;
	ssize_t n;

	(void)source, (void)events;
	n = recv(fd, &id, sizeof(id), MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		log_error("the process that closes files of clients is gone; restart ccbufd, or a "
			  "client can block it");
		process_gone(closer);
		return 0;
	}
	while (n == (ssize_t)sizeof(id) && *at && (*at)->question.id != id)
		at = &(*at)->next;
	if (n == (ssize_t)sizeof(id) && *at)
		end(at);
	pass_on(closer);
	return 0;
}

int closer_attach(struct closer *closer, sd_event *loop)
{
	return sd_event_add_io(loop, &closer->source, closer->socket, EPOLLIN, on_answer, closer);
}

static void want(struct closer *closer, struct wanted *wanted)
{
	*closer->waiting_last = wanted;
	closer->waiting_last = &wanted->next;
	pass_on(closer);
}

int closer_take(struct closer *closer, int fd, void (*done)(void *userdata), void *userdata)
{
	struct wanted *wanted;

	if (!closer || closer->socket < 0)
		return -EPIPE;
	wanted = calloc(1, sizeof(*wanted));
	if (!wanted)
		return -ENOMEM;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0) {
		free(wanted);
		return -EMFILE;
	}
	*wanted = (struct wanted){
		.question = { .id = ++closer->last_id, .owner = OWNER_BUS, .take = true },
		.fd = fd,
		.done = done,
		.userdata = userdata,
	};
	want(closer, wanted);
	return 0;
}

void closer_close(struct closer *closer, uint64_t owner, int *fd, void (*done)(void *userdata),
	void *userdata)
{
	struct wanted *wanted = closer && closer->socket >= 0 ? calloc(1, sizeof(*wanted)) : NULL;

	if (!wanted) {
		close_fd(fd);
		if (done)
			done(userdata);
		return;
	}
	*wanted = (struct wanted){
		.question = { .id = ++closer->last_id, .owner = owner },
		.fd = steal_fd(fd),
		.done = done,
		.userdata = userdata,
	};
	want(closer, wanted);
}

static void forget(struct wanted *wanted, const void *userdata)
{
	for (; wanted; wanted = wanted->next)
		if (wanted->userdata == userdata)
			wanted->done = NULL;
}

void closer_forget(struct closer *closer, const void *userdata)
{
	if (!closer)
		return;
	forget(closer->passed, userdata);
	forget(closer->waiting, userdata);
}

struct closer *closer_free(struct closer *closer)
{
	if (!closer)
		return NULL;
	/* The kernel closes the remaining files after the daemon has ended, so the daemon does not
	 * wait for them. */
	for (struct wanted *wanted = closer->waiting; wanted; wanted = wanted->next)
		wanted->fd = -1;
	process_gone(closer);
	free(closer);
	return NULL;
}

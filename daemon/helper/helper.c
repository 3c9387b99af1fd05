/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's side of the helper. The event loop never waits for the helper.
 */
#include "helper/helper.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "helper/child.h"
#include "util.h"

#define END_TRIES 100 /* at the end of the daemon, */
#define END_MSEC  10  /* each this long */

struct helper_child {
	struct helper_child *next;
	struct helper *helper;
	uint32_t number;
	enum helper_role role;
	const struct helper_events *events; /* NULL once it is disowned */
	void *userdata;
	bool killed;
};

struct helper {
	int fd;
	pid_t pid;
	uint32_t last_number;
	struct helper_child *children;
	sd_event_source *io;
	void (*on_lost)(void *userdata);
	void *userdata;
};

int helper_new(const struct helper_settings *settings, struct helper **ret_helper)
{
	struct helper *helper = calloc(1, sizeof(*helper));
	pid_t parent = getpid(), pid;
	int ends[2], r;

	if (!helper)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		r = -errno;
		free(helper);
		return r;
	}
	pid = fork();
	r = pid < 0 ? -errno : 0;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(EXIT_FAILURE);
		helper_serve(ends[1], settings);
	}
	close_fd(&ends[1]);
	helper->fd = ends[0];
	helper->pid = pid;
	if (r < 0)
		helper_free(helper);
	else
		*ret_helper = helper;
	return r;
}

struct helper *helper_free(struct helper *helper)
{
	if (!helper)
		return NULL;
	sd_event_source_disable_unref(helper->io);
	close_fd(&helper->fd);
	for (int i = 0; i < END_TRIES && helper->pid > 0; i++)
		if (waitpid(helper->pid, NULL, WNOHANG) != 0)
			helper->pid = -1;
		else
			poll(NULL, 0, END_MSEC);
	while (helper->children) {
		struct helper_child *child = helper->children;

		helper->children = child->next;
		free(child);
	}
	free(helper);
	return NULL;
}

static struct helper_child **find(struct helper *helper, uint32_t number)
{
	struct helper_child **at = &helper->children;

	while (*at && (*at)->number != number)
		at = &(*at)->next;
	return at;
}

static void drop(struct helper *helper, uint32_t number)
{
	struct helper_child **at = find(helper, number), *child = *at;

	if (child)
		*at = child->next;
	free(child);
}

static void on_started(struct helper *helper, uint32_t number, int error, int *fd)
{
	struct helper_child *child = *find(helper, number);

	if (!child)
		return;
	if (child->events)
		child->events->started(child->userdata, error, fd);
	if (error < 0)
		drop(helper, number);
}

static void on_ended(struct helper *helper, uint32_t number, int status)
{
	struct helper_child *child = *find(helper, number);

	if (!child)
		return;
	if (child->events)
		child->events->ended(child->userdata, status);
	drop(helper, number);
}

/* Returns 0 at the end of the stream; a negative errno when nothing waits. */
static ssize_t receive(int fd, struct helper_message *message, int *ret_fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { message, sizeof(*message) };
	struct msghdr packet = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *header;
	ssize_t n = recvmsg(fd, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -errno : 0;
	header = CMSG_FIRSTHDR(&packet);
	if (header && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(header), sizeof(int));
	return n;
}

static int on_message(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct helper *helper = userdata;
	cleanup(cleanup_fd) int passed = -1;
	struct helper_message message;
	ssize_t n = receive(fd, &message, &passed);

	(void)events;
	if (n < 0)
		return 0;
	if (n != sizeof(message)) {
		sd_event_source_set_enabled(source, SD_EVENT_OFF);
		helper->on_lost(helper->userdata);
	} else if (message.op == HELPER_STARTED) {
		on_started(helper, message.number, message.value, &passed);
	} else if (message.op == HELPER_ENDED) {
		on_ended(helper, message.number, message.value);
	}
	return 0;
}

int helper_attach(
	struct helper *helper, sd_event *loop, void (*on_lost)(void *userdata), void *userdata)
{
	helper->on_lost = on_lost;
	helper->userdata = userdata;
	return sd_event_add_io(loop, &helper->io, helper->fd, EPOLLIN, on_message, helper);
}

static int say(struct helper *helper, enum helper_op op, uint32_t number, int32_t value)
{
	struct helper_message message = { op, number, value };

	return send(helper->fd, &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno
											    : 0;
}

int helper_spawn(struct helper *helper, enum helper_role role, const struct helper_events *events,
	void *userdata, struct helper_child **ret_child)
{
	struct helper_child *child = calloc(1, sizeof(*child));
	int r;

	if (!child)
		return -ENOMEM;
	r = say(helper, HELPER_SPAWN, ++helper->last_number, role);
	if (r < 0) {
		free(child);
		return r;
	}
	*child = (struct helper_child){
		.next = helper->children,
		.helper = helper,
		.number = helper->last_number,
		.role = role,
		.events = events,
		.userdata = userdata,
	};
	helper->children = child;
	*ret_child = child;
	return 0;
}

void helper_kill(struct helper_child *child)
{
	/* The queue has room for some hundred messages, and the helper does little but read it. */
	if (!child->killed)
		child->killed = say(child->helper, HELPER_KILL, child->number, 0) >= 0;
}

struct helper_child *helper_disown(struct helper_child *child)
{
	if (!child)
		return NULL;
	child->events = NULL;
	helper_kill(child);
	return NULL;
}

unsigned int helper_stuck(const struct helper *helper, enum helper_role role)
{
	unsigned int n = 0;

	for (const struct helper_child *child = helper->children; child; child = child->next)
		n += child->role == role && child->killed;
	return n;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packets and what they cost. It must never receive or drop a file descriptor that a client sent,
 * nor lose count of one that it sent itself.
 */
#include "front/channel.h"

#include <assert.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "util.h"
#include "wire.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16, include/uapi/asm-generic/socket.h */
#endif

/* Room for few replies, so that few fds are in flight to a client that does not read. */
#define SEND_BUFFER 4608
/* The minimum of memory that a packet with fds takes of it in the kernel. */
#define PACKET_MEMORY 1024
/* Less than this counts as nothing: the kernel frees the last bytes a moment later. */
#define NO_MEMORY 64
/* Packets that are dropped at the end: a client that follows the protocol has no more under way. */
#define DRAIN_MAX (2 * WIRE_IN_FLIGHT_MAX)

bool channel_deny_fds(int fd)
{
	int allowed = 1, no = 0;
	socklen_t size = sizeof(allowed);

	if (getsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &allowed, &size) < 0)
		return false;
	if (allowed)
		(void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no));
	/* Otherwise some may have been sent before. */
	return !allowed;
}

void channel_init(struct channel *channel, struct closer *closer, struct user *user, int *fd)
{
	int size = SEND_BUFFER / 2;

	*channel = (struct channel){
		.user = user_ref(user),
		.closer = closer,
		.fd = steal_fd(fd),
	};
	(void)setsockopt(channel->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	channel->fds_possible = !channel_deny_fds(channel->fd);
	user_connect(user, CHANNEL_FDS);
}

/* --- sending --- */

static void forget_sent(struct channel *channel, unsigned int n)
{
	uint64_t fds = 0;

	for (unsigned int i = 0; i < n; i++)
		fds += channel->sent[i];
	channel->n_sent -= n;
	memmove(channel->sent, channel->sent + n, channel->n_sent);
	if (fds)
		user_uncharge(channel->user, USER_FDS_SENT, fds);
}

/* The kernel's memory of unread packets, in bytes. */
static unsigned int unread_memory(int fd)
{
	int memory = 0;

	return ioctl(fd, SIOCOUTQ, &memory) < 0 || memory < NO_MEMORY ? 0 : (unsigned int)memory;
}

void channel_update(struct channel *channel)
{
	unsigned int unread;

	if (channel->n_sent == 0)
		return;
	unread = (unread_memory(channel->fd) + PACKET_MEMORY - 1) / PACKET_MEMORY;
	if (unread < channel->n_sent)
		forget_sent(channel, channel->n_sent - unread);
}

static int charge_sent(struct channel *channel, unsigned int n_fds)
{
	if (channel->n_sent < CHANNEL_SENT_MAX &&
		user_charge(channel->user, USER_FDS_SENT, n_fds) >= 0)
		return 0;
	channel_update(channel);
	if (channel->n_sent == CHANNEL_SENT_MAX)
		return -EAGAIN;
	return user_charge(channel->user, USER_FDS_SENT, n_fds) < 0 ? -ENOBUFS : 0;
}

static int send_packet(
	int fd, const void *packet, size_t length, const int *fds, unsigned int n_fds)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * REQUEST_COUNT_MAX)];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)packet, length };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (n_fds) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n_fds);
	}
	do
		n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	return errno == ETOOMANYREFS ? -ENOBUFS : -errno;
}

int channel_send(struct channel *channel, const void *packet, size_t length, const int *fds,
	unsigned int n_fds)
{
	int r;

	assert(n_fds <= REQUEST_COUNT_MAX);
	if (n_fds) {
		r = charge_sent(channel, n_fds);
		if (r < 0)
			return r;
	}
	r = send_packet(channel->fd, packet, length, fds, n_fds);
	if (!n_fds)
		return r;
	if (r < 0)
		user_uncharge(channel->user, USER_FDS_SENT, n_fds);
	else
		channel->sent[channel->n_sent++] = (unsigned char)n_fds;
	return r;
}

/* --- receiving --- */

/* Only peeks: a receive without room for control messages would make the kernel drop the fds at
 * once. */
static bool has_fds(int fd, void *buffer, size_t size)
{
	struct iovec iov = { buffer, size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	return recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT) >= 0 &&
	       message.msg_flags & MSG_CTRUNC;
}

static ssize_t receive(int fd, bool fds_possible, void *buffer, size_t size)
{
	struct iovec iov = { buffer, size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (fds_possible && has_fds(fd, buffer, size))
		return -EBADMSG;
	n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return n == 0 ? -ECONNRESET : n;
}

ssize_t channel_receive(struct channel *channel, void *buffer, size_t size)
{
	return receive(channel->fd, channel->fds_possible, buffer, size);
}

/* --- the end --- */

enum rest { REST_NONE, REST_FDS, REST_MORE };

/* What is next in a socket that is shut down. Each packet now has its sender's credentials, which
 * distinguish an empty packet from the end. */
static enum rest next_is(int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct msghdr message = { .msg_control = &control, .msg_controllen = sizeof(control) };

	if (recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT) < 0)
		return errno == EINTR ? REST_MORE : REST_NONE;
	if (message.msg_flags & MSG_CTRUNC)
		return REST_FDS;
	return message.msg_controllen ? REST_MORE : REST_NONE;
}

/* Shuts the socket down and drops the packets in it: if it were closed with unread packets, the
 * client would lose our last ones. False when a packet has fds; it stays. */
static bool shut(int fd, bool fds_possible)
{
	enum rest rest = REST_MORE;
	int yes = 1;
	char byte;
	ssize_t n = 0;

	(void)shutdown(fd, SHUT_RDWR);
	if (!fds_possible) {
		/* Our packets are all read. */
		if (unread_memory(fd) == 0)
			return true;
		for (int i = 0; n >= 0 && i < DRAIN_MAX; i++)
			n = receive(fd, false, &byte, sizeof(byte));
		return true;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0)
		return false;
	for (int i = 0; rest == REST_MORE && i < DRAIN_MAX; i++) {
		rest = next_is(fd);
		if (rest == REST_MORE)
			(void)recv(fd, &byte, sizeof(byte), MSG_DONTWAIT);
	}
	return rest == REST_NONE;
}

static void finish(void *userdata)
{
	struct channel *channel = userdata;

	user_disconnect(channel->user, CHANNEL_FDS);
	channel->user = user_unref(channel->user);
	if (channel->gone)
		channel->gone(channel->userdata);
}

/* No fd of ours is in flight any more, or those are given up. */
static void close_up(struct channel *channel)
{
	bool clean = shut(channel->fd, channel->fds_possible);

	channel->unread = sd_event_source_disable_unref(channel->unread);
	forget_sent(channel, channel->n_sent);
	if (clean) {
		close_fd(&channel->fd);
		finish(channel);
	} else {
		closer_close(
			channel->closer, (uintptr_t)channel->user, &channel->fd, finish, channel);
	}
}

static int on_read(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct channel *channel = userdata;

	(void)source, (void)fd, (void)events;
	channel_update(channel);
	if (channel->n_sent == 0)
		close_up(channel);
	return 0;
}

void channel_end(
	struct channel *channel, sd_event *loop, void (*gone)(void *userdata), void *userdata)
{
	bool clean;

	channel->gone = gone;
	channel->userdata = userdata;
	clean = shut(channel->fd, channel->fds_possible);
	channel_update(channel);
	/* An edge reports each read by the client, and its end; not its end if it sent its own end
	 * of the connection. */
	if (!clean || channel->n_sent == 0 ||
		sd_event_add_io(loop, &channel->unread, channel->fd, EPOLLOUT | EPOLLET, on_read,
			channel) < 0)
		close_up(channel);
}

void channel_done(struct channel *channel)
{
	channel->gone = NULL;
	if (!channel->user)
		return;
	if (channel->fd >= 0)
		close_up(channel);
	if (!channel->user)
		return;
	/* The closer may take very long. */
	closer_forget(channel->closer, channel);
	finish(channel);
}

static void on_refused_gone(void *userdata)
{
	struct user *user = userdata;

	user_disconnect(user, CHANNEL_FDS);
	user_unref(user);
}

void channel_refuse(
	struct closer *closer, struct user *user, int *fd, const void *packet, size_t length)
{
	bool fds_possible = !channel_deny_fds(*fd);

	(void)send_packet(*fd, packet, length, NULL, 0);
	if (shut(*fd, fds_possible)) {
		close_fd(fd);
		return;
	}
	/* What the client sent may stay for long; it costs as much as a connection. */
	if (user)
		user_connect(user_ref(user), CHANNEL_FDS);
	closer_close(closer, (uintptr_t)user, fd, user ? on_refused_gone : NULL, user);
}

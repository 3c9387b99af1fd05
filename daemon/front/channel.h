/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client's end of the socket: packets in and out, and what they cost. What a client sends or does
 * not read must cost nobody but its user:
 *
 * - File descriptors that a client sends are files of its choice: the last reference to one, or the
 *   close of any, may sleep for as long as it likes (a TCP socket that lingers, a file system in
 *   userspace). None is ever received or dropped here. Where the kernel can (Linux 6.16) none can
 *   be sent. Before, each packet is looked at before it is received; one that has some stays where
 *   it is, and in the end the socket is closed by the process of front/closer.h.
 *
 * - File descriptors that are sent count against our RLIMIT_NOFILE until they are received
 * (unix(7), ETOOMANYREFS), also when we have closed our end. So a channel that ends is kept, and
 * charged, until everything has been read or the client is gone.
 */
#pragma once

#include <systemd/sd-event.h>

#include "front/closer.h"
#include "user/user.h"

#define CHANNEL_FDS 2 /* its own, and that of its peer */

/* Replies with fds that may be unread: no more fit in the buffer. */
#define CHANNEL_SENT_MAX 16

struct channel {
	struct user *user; /* referenced */
	struct closer *closer;
	int fd;
	bool fds_possible; /* in what the client sends */
	unsigned int n_sent;
	unsigned char sent[CHANNEL_SENT_MAX]; /* fds of each that may be unread, oldest first */
	sd_event_source *unread;	      /* once it has ended */
	void (*gone)(void *userdata);
	void *userdata;
};

/* Where the kernel can, no fds can be sent to a socket, nor to those that it accepts, from now on.
 * Whether there can be none, from before either. */
bool channel_deny_fds(int fd);

/* Takes over *fd, a connected SOCK_SEQPACKET socket that does not block, and charges a connection
 * to user, which the caller has asked user_may_connect() for. closer is borrowed. */
void channel_init(struct channel *channel, struct closer *closer, struct user *user, int *fd);

/* 0; -EAGAIN: the client has to read first; -ENOBUFS: its user has to, or somebody has to read who
 * has fds of ours in flight, so this one's socket may say that it can be written to; or another
 * negative errno: it is of no use any more. fds are borrowed. */
int channel_send(struct channel *channel, const void *packet, size_t length, const int *fds,
	unsigned int n_fds);

/* The length of the next packet, of which at most size bytes are in buffer. -EAGAIN; -EBADMSG: it
 * has file descriptors, and stays where it is; -ECONNRESET at the end; or another negative errno.
 */
ssize_t channel_receive(struct channel *channel, void *buffer, size_t size);

/* Counts what the client has read in the meantime. */
void channel_update(struct channel *channel);

/* Ends it: no packet goes in or out, what was sent can still be read. gone is called when no fd of
 * ours is in flight any more, and what the client sent is closed; from inside or later. After it
 * the channel is done. */
void channel_end(
	struct channel *channel, sd_event *loop, void (*gone)(void *userdata), void *userdata);

/* The same without waiting: what is unread is given up, at the end of the daemon. Also for one that
 * is done. */
void channel_done(struct channel *channel);

/* Sends one packet to a client that is turned away, and closes *fd: nothing is charged, unless the
 * closer has to. */
void channel_refuse(
	struct closer *closer, struct user *user, int *fd, const void *packet, size_t length);

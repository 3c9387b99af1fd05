/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client's socket: packets in and out, and what they cost. What a client sends, or does not read,
 * must cost nobody but its user:
 *
 * - A client sends file descriptors of any file. Closing one, or dropping its last reference, may
 *   sleep for as long as the client likes (a TCP socket that lingers, a file system in userspace).
 *   So none is ever received or dropped here. Where the kernel supports it (Linux 6.16), none can
 *   be sent. On older kernels each packet is checked before it is received; a packet with fds stays
 *   in the socket, and in the end the process of front/closer.h closes the socket.
 *
 * - File descriptors that are sent count against our RLIMIT_NOFILE until they are received
 * (unix(7), ETOOMANYREFS), also when we have closed our end. So a channel that ends is kept, and
 * charged, until everything has been read or the client is gone.
 */
#pragma once

#include <systemd/sd-event.h>

#include "front/closer.h"
#include "user/user.h"

#define CHANNEL_FDS 2 /* its own and its peer's */

/* Maximum of unread replies with fds: no more fit in the buffer. */
#define CHANNEL_SENT_MAX 16

struct channel {
	struct user *user; /* referenced */
	struct closer *closer;
	int fd;
	bool fds_possible; /* in packets of the client */
	unsigned int n_sent;
	unsigned char sent[CHANNEL_SENT_MAX]; /* number of fds in each unread reply, oldest first */
	sd_event_source *unread;	      /* for unread replies of an ended channel */
	void (*gone)(void *userdata);
	void *userdata;
};

/* Where the kernel supports it, no fds can be sent to a socket, nor to those that it accepts, from
 * now on. Returns whether there can be none, also from before. */
bool channel_deny_fds(int fd);

/* Takes over *fd, a connected non-blocking SOCK_SEQPACKET socket, and charges a connection to user.
 * The caller has checked user_may_connect(). closer is borrowed. */
void channel_init(struct channel *channel, struct closer *closer, struct user *user, int *fd);

/* Sends a packet; fds are borrowed. Returns 0; -EAGAIN: the client has to read first; -ENOBUFS: its
 * user has to read on other connections, or another client has to whose fds are in flight, so the
 * socket may be writable now; or another negative errno: the channel cannot be used any more. */
int channel_send(struct channel *channel, const void *packet, size_t length, const int *fds,
	unsigned int n_fds);

/* Returns the length of the next packet; at most size bytes are in buffer. -EAGAIN when there is
 * none; -EBADMSG: it has file descriptors, and stays in the socket; -ECONNRESET at the end; or
 * another negative errno. */
ssize_t channel_receive(struct channel *channel, void *buffer, size_t size);

/* Uncharges what the client has read meanwhile. */
void channel_update(struct channel *channel);

/* Ends a channel: no packet goes in or out, but the client can still read what was sent. gone is
 * called, from inside or later, when no fd of ours is in flight any more and the client's fds are
 * closed. Then the channel is done. */
void channel_end(
	struct channel *channel, sd_event *loop, void (*gone)(void *userdata), void *userdata);

/* The same without waiting, at the end of the daemon: gives up what is unread. May be called for a
 * channel that is done. */
void channel_done(struct channel *channel);

/* Sends one packet to a client that is turned away, and closes *fd. Charges user (may be NULL) only
 * if the closer has to close it. */
void channel_refuse(
	struct closer *closer, struct user *user, int *fd, const void *packet, size_t length);

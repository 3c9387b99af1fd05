/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process that closes files whose close may sleep: sockets with packets that have a client's file
 * descriptors, and the file descriptors in messages of the bus, which it takes off. It has threads
 * for that, of which one user gets a few, and no capabilities. Files whose close hangs stay there.
 * It ends with the daemon, which never waits for it.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

struct closer;

/* Starts the process, from a single thread and before the sandbox. 0 or a negative errno. */
int closer_new(struct closer **ret_closer);
/* Ends it. Takes NULL. */
struct closer *closer_free(struct closer *closer);

/* Makes the loop call the done functions. Returns 0 or a negative errno. */
int closer_attach(struct closer *closer, sd_event *loop);

/*
 * Has *fd closed, and sets it to -1. owner is any number, the same for the same user. The loop
 * calls done (may be NULL) when it is closed. If the process is gone, or cannot take more, *fd is
 * closed at once, as nothing else can close it.
 */
void closer_close(struct closer *closer, uint64_t owner, int *fd, void (*done)(void *userdata),
	void *userdata);

/*
 * Reads one unread D-Bus message from fd (borrowed, non-blocking), and drops it with its file
 * descriptors. The loop calls done once it has been read. Shuts the connection down if the message
 * is incomplete, or if half of the files that the process can have already wait to be closed.
 * Nobody else may read from fd meanwhile. Returns 0; -EPIPE when the process is gone; or another
 * negative errno. On failure done is not called.
 */
int closer_take(struct closer *closer, int fd, void (*done)(void *userdata), void *userdata);

/* Before userdata is freed: done is not called for it any more. */
void closer_forget(struct closer *closer, const void *userdata);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process that closes what may sleep when it is closed: sockets with packets in them whose file
 * descriptors are a stranger's, and those of messages of the bus, which it takes off. It has
 * threads for it, of which one user gets a few, and no rights; what it is asked to close and
 * cannot, waits there. It ends with the daemon, which never waits for it.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

struct closer;

/* Starts the process, from a single thread and before the sandbox. 0 or a negative errno. */
int closer_new(struct closer **ret_closer);
/* Ends it. Takes NULL. */
struct closer *closer_free(struct closer *closer);

/* Has done(userdata) called from the loop when something is closed. */
int closer_attach(struct closer *closer, sd_event *loop);

/*
 * Has *fd closed, which is -1 then. owner says whose it is: any number, the same for the same user.
 * done (may be NULL) is called once it is, from the loop. Where the process is gone, or cannot take
 * any more, it is closed here and now, as there is nobody left to do it.
 */
void closer_close(struct closer *closer, uint64_t owner, int *fd, void (*done)(void *userdata),
	void *userdata);

/*
 * Has one message of D-Bus, of which nothing has been read, read from fd (borrowed, not blocking)
 * and dropped, with the file descriptors that it brings. done is called once it has been read, from
 * the loop. The connection is shut down where the message does not come to its end, or half of the
 * files that the process can have wait to be closed already. Whoever else reads has to wait. 0;
 * -EPIPE where the process is gone, or another negative errno, and then done is not called.
 */
int closer_take(struct closer *closer, int fd, void (*done)(void *userdata), void *userdata);

/* Before userdata goes away: its done is not called any more. */
void closer_forget(struct closer *closer, const void *userdata);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads for work that blocks: allocating and zeroing buffers. Jobs wait in two lanes, so that
 * small ones never wait for large ones. In each lane owners take turns, so that no user waits for
 * another one's whole queue. An owner gets one thread of the large lane at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "user/user.h"

/* Bytes; a job with more belongs in the large lane. */
#define WORKERS_LARGE (UINT64_C(1) << 20)

struct job {
	struct job *next; /* in its queue; this and round are for the workers */
	unsigned long round;
	const struct user *owner; /* NULL for the daemon itself; lives as long as the job */
	bool large;
	void (*run)(struct job *job);  /* in a thread; must touch only the job and the heap */
	void (*done)(struct job *job); /* in the event loop, afterwards; may free the job */
};

struct workers;

/* Starts the threads, with all signals blocked. 0 or a negative errno. */
int workers_new(sd_event *loop, struct workers **ret_workers);
/* Finishes all submitted jobs, calling done, then ends the threads. Takes NULL. */
struct workers *workers_free(struct workers *workers);

/*
 * Closes *fd, a buffer of size bytes, and sets it to -1. A large buffer is closed in a thread,
 * because freeing it takes as long as making it. discard: also frees the memory of an emulated
 * buffer to which somebody may have a path. If workers is NULL, closes it at once.
 */
void workers_close(
	struct workers *workers, struct user *user, uint64_t size, bool discard, int *fd);

/* Queues a job, which the caller owns. Never fails. */
void workers_submit(struct workers *workers, struct job *job);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads for what blocks: allocating and zeroing buffers. Jobs wait in two lanes, so that small
 * ones never stand behind large ones, and in a lane owners take turns, so that one user's queue
 * never stands before another's. Of the large lane's threads one owner gets one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "user/user.h"

/* Bytes; a job with more belongs in the lane of large ones. */
#define WORKERS_LARGE (UINT64_C(1) << 20)

struct job {
	struct job *next; /* of the queue it is in; this and round are the workers' */
	unsigned long round;
	const struct user *owner; /* NULL for the daemon itself; lives as long as the job */
	bool large;
	void (*run)(struct job *job);  /* in a thread; touches nothing but the job and the heap */
	void (*done)(struct job *job); /* in the event loop, afterwards; may free the job */
};

struct workers;

/* Starts the threads, with all signals blocked. 0 or a negative errno. */
int workers_new(sd_event *loop, struct workers **ret_workers);
/* Finishes every job that was submitted (calling done), then ends the threads. Takes NULL. */
struct workers *workers_free(struct workers *workers);

/*
 * Closes *fd, a buffer of size bytes, and sets it to -1: a large one in a thread, as freeing what
 * only we held takes as long as making it did. discard: its memory goes, whoever may find a way to
 * it (an emulated buffer). workers may be NULL: here and now.
 */
void workers_close(
	struct workers *workers, struct user *user, uint64_t size, bool discard, int *fd);

/* Queues a job; the caller keeps owning its memory until done is called. Never fails. */
void workers_submit(struct workers *workers, struct job *job);

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ccbuf_heap: memory of a confidential guest that its host can read and write, as dma-bufs.
 *
 * pages.c has the memory, heap.c the node and the buffers. heap.c calls pages.c, never the other
 * way around.
 *
 * The memory is in regions: contiguous pages, 2 MiB if they can be had, that are shared and made
 * private as one, because a conversion costs by the call and splits the kernel's direct map. A
 * buffer is a list of runs, each in one region. What is free in the regions is the pool.
 */
#ifndef CCBUF_HEAP_H
#define CCBUF_HEAP_H

#include <linux/atomic.h>
#include <linux/mm.h>
#include <linux/types.h>

#define REGION_ORDER	(21 - PAGE_SHIFT) /* 2 MiB */
#define REGION_PAGES	(1U << REGION_ORDER)

struct region;

/* @count pages of @region from page @first on, which are from page @at on of the buffer. */
struct run {
	struct region *region;
	unsigned int first;
	unsigned int count;
	unsigned long at;
};

/* The memory of a buffer, in its order. All zero is none. */
struct runs {
	struct run *run;
	unsigned int nr;
	unsigned int room;
	unsigned long pages;
};

struct page *run_page(const struct run *run);

/**
 * pages_get() - take memory that is shared with the host
 * @pages: how many pages, at least 1
 * @ret_runs: the memory, every byte of it zeroed after it was shared
 *
 * Context: process; sleeps, may reclaim.
 * Return: 0; -ENOMEM; -EINTR when the task is being killed; -EIO when more than the limit has
 * leaked; or what set_memory_decrypted() failed with. On failure all that was taken is given back.
 */
int pages_get(unsigned long pages, struct runs *ret_runs);

/**
 * pages_put() - give memory back
 * @runs: what pages_get() gave, empty after the call
 * @at_once: make private what can be, instead of keeping it for the next buffer
 *
 * Scrubs the memory. What can not be made private again is lost for good, and counted.
 * Context: process; sleeps.
 */
void pages_put(struct runs *runs, bool at_once);

/* The run that has page @at of the buffer, which must be inside. */
const struct run *pages_find(const struct runs *runs, unsigned long at);

int pages_init(void);

/* Makes all memory private again. No buffer may be left. */
void pages_exit(void);

/* What the heap has and has done; under no lock, each figure by itself is right. */
struct counters {
	atomic64_t live_bytes;
	atomic64_t live_buffers;
	atomic64_t peak_bytes;
	atomic64_t pool_bytes;
	atomic64_t leaked_bytes;
	atomic64_t to_shared;
	atomic64_t to_private;
	atomic64_t failed;
	atomic64_t revoked_buffers;
};

extern struct counters counters;

/* True when so much has leaked that the heap gives out no memory any more. */
bool pages_stopped(void);

/* Who waits for a buffer's release or a leak. */
extern struct wait_queue_head heap_events;

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the node of module ccbuf_heap can do beyond allocation (kmod/uapi/ccbuf_heap.h): statistics,
 * the end of a buffer as an event, and taking a buffer back. Each function is one system call on
 * the node's open file; all may be called from any thread. They return 0, or the negative errno of
 * the call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccbuf_heap.h"

/* Also how a node is found to be the module's: -EINVAL and -ENOTTY say that it is not. */
int ccbuf_heap_stats(int node, struct ccbuf_heap_stats *ret_stats);

/* Has the node tell when nothing holds the buffer of a dma-buf fd any more; by the number returned.
 */
int ccbuf_heap_watch(int node, int fd, uint64_t *ret_id);

/* What still holds a buffer that was taken back. All zero: nothing does. */
struct ccbuf_heap_hold {
	unsigned int mappings; /* by devices */
	unsigned int vmaps;    /* by the kernel */
	bool busy;	       /* a device is at work in it; to be asked again, or it stays so */
	char device[64];       /* one of the devices, as the kernel names it; always terminated */
};

/* Takes the memory of a buffer back; again is no error. -ENOENT: it is released already. Blocks:
 * the memory is cleared and converted, a large buffer for long, and a device may be waited for. */
int ccbuf_heap_revoke(int node, uint64_t id, struct ccbuf_heap_hold *ret_hold);

/* Takes up to n events that wait, without waiting for any. Returns their number, 0 for none; or the
 * negative errno. */
int ccbuf_heap_events(int node, struct ccbuf_heap_event *ret_events, size_t n);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The calls of a node of module ccbuf_heap besides allocation (kmod/uapi/ccbuf_heap.h): statistics,
 * events at the end of buffers, and taking a buffer back. Each function is one system call on the
 * node's open file, and may be called from any thread. Returns 0, or the negative errno of the
 * call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccbuf_heap.h"

/* Also shows whether a node is the module's: -EINVAL and -ENOTTY say that it is not. */
int ccbuf_heap_stats(int node, struct ccbuf_heap_stats *ret_stats);

/* Has the node report when nothing holds the buffer of a dma-buf fd any more. The event carries the
 * number *ret_id. */
int ccbuf_heap_watch(int node, int fd, uint64_t *ret_id);

/* What still holds a buffer that was taken back; all zero for nothing. */
struct ccbuf_heap_hold {
	unsigned int mappings; /* by devices */
	unsigned int vmaps;    /* by the kernel */
	bool busy;	       /* a device is working in it; call again, or it stays so */
	char device[64];       /* one of the devices, as the kernel names it; always terminated */
};

/* Takes the memory of a buffer back; may be called again for the same buffer. -ENOENT: it is
 * released already. Blocks while the memory is cleared and converted, long for a large buffer, and
 * may wait for a device. */
int ccbuf_heap_revoke(int node, uint64_t id, struct ccbuf_heap_hold *ret_hold);

/* Takes up to n waiting events, without blocking. Returns their number, 0 for none, or the negative
 * errno. */
int ccbuf_heap_events(int node, struct ccbuf_heap_event *ret_events, size_t n);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Heaps: the dma-buf heap nodes of a folder (/dev/dma_heap) and the built-in `emulated` heap, whose
 * buffers are sealed memfds. The policy engine knows the exposure of a heap; here it only decides
 * whether the daemon must zero a new buffer. A node of module ccbuf_heap can do more than others;
 * whether a node is the module's is found out when it is opened.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "heap/ccbuf-heap.h"
#include "request.h"

#define HEAP_EMULATED "emulated"

struct heap {
	struct heap *next;
	char *name;
	int fd;	      /* of the node, O_RDONLY (enough to allocate); -1 for emulated */
	bool module;  /* the node is module ccbuf_heap's, see heap/ccbuf-heap.h */
	bool leases;  /* emulated: the kernel says whether somebody has a buffer open */
	dev_t device; /* of the node */
};

/* How the daemon learns that nobody holds a buffer any more. */
enum heap_end {
	HEAP_END_PEER,	/* its peer is gone or has released it, and nobody has it open */
	HEAP_END_COUNT, /* an fd of ours shows it */
	HEAP_END_EVENT, /* the heap reports it; we keep no fd */
};

struct heaps;

/* Whether a folder lies on a file system that may not answer (FUSE, a network). The event loop
 * opens nodes, so they must not lie there. */
bool heaps_may_hang(const char *folder);

/* folder is borrowed and must outlive it. NULL when out of memory. */
struct heaps *heaps_new(const char *folder);
struct heaps *heaps_free(struct heaps *heaps);

/* opened is called for each node of the module when it is opened. It returns 0, or a negative
 * errno, and then opening the node fails with it. */
void heaps_set_observer(struct heaps *heaps, int (*opened)(void *userdata, const struct heap *heap),
	void *userdata);

/* The heap of a name, opened at its first use and kept open. Borrowed. Returns 0 or the negative
 * errno of opening the node (-ENOENT: there is none; -EACCES; -EINVAL: not a name of a node;
 * -ELOOP, -ENODEV: not a node; -EREMOTE: on a file system that may not answer). */
int heaps_get(struct heaps *heaps, const char *name, const struct heap **ret_heap);

/* Writes why heaps_get() failed, for people: not a confidential guest, kernel option, module,
 * permission. */
void heaps_explain(const struct heaps *heaps, const char *name, enum exposure exposure, int error,
	char *text, size_t size);

/* Calls visit for the emulated heap and every node that exists now. Returns 0 or a negative
 * errno. */
int heaps_each(
	struct heaps *heaps, void (*visit)(void *userdata, const char *name), void *userdata);

enum heap_end heap_end(const struct heap *heap);
bool heap_is_emulated(const struct heap *heap);

/* Whether an allocation costs less than handing it to a thread: emulated, up to 1 MiB. Kernel heaps
 * reclaim and convert memory, at any size. */
bool heap_is_quick(const struct heap *heap, uint64_t size);

/* Whether a buffer can be made read-only for its holder. Not where the daemon must zero it, as a
 * dma-buf's access mode is fixed when it is made. */
bool heap_can_read_only(const struct heap *heap, enum exposure exposure);

/* Whether the memory of its buffers can be taken back from whoever has it. */
bool heap_can_revoke(const struct heap *heap);

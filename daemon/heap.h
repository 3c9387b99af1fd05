/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Heaps: the dma-buf heap nodes of a folder (/dev/dma_heap) and the built-in `emulated` heap, whose
 * buffers are sealed memfds. What a heap's exposure is comes from the policy engine; here it only
 * decides whether a new buffer must be zeroed by us.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "request.h"

#define HEAP_EMULATED "emulated"

struct heap {
	struct heap *next;
	char *name;
	int fd; /* of the node, O_RDONLY (enough to allocate); -1 for emulated */
};

struct heaps;

/* folder is borrowed and must outlive it. NULL when out of memory. */
struct heaps *heaps_new(const char *folder);
struct heaps *heaps_free(struct heaps *heaps);

/* The heap of a name, opened at its first use and kept open. Borrowed. 0 or the negative errno of
 * opening the node (-ENOENT: there is none; -EACCES; -EINVAL: no name of a node). */
int heaps_get(struct heaps *heaps, const char *name, const struct heap **ret_heap);

/* Why heaps_get() failed, for people: not a confidential guest, kernel option, module, permission.
 */
void heaps_explain(const struct heaps *heaps, const char *name, enum exposure exposure, int error,
	char *text, size_t size);

/* Calls visit for the emulated heap and every node that is there now. 0 or a negative errno. */
int heaps_each(
	struct heaps *heaps, void (*visit)(void *userdata, const char *name), void *userdata);

/* Whether fdinfo tells how many hold a buffer of it: all but emulated. */
bool heap_counts(const struct heap *heap);

/* Whether an allocation is so cheap that a thread's hand-off would cost more: emulated, up to 1
 * MiB. Kernel heaps reclaim and convert memory, at any size. */
bool heap_is_quick(const struct heap *heap, uint64_t size);

/* Whether a buffer can be made read-only for its holder: not where we must zero it ourselves, as a
 * dma-buf's access mode is fixed when it is made. */
bool heap_can_read_only(const struct heap *heap, enum exposure exposure);

/*
 * Makes one buffer of size bytes (a multiple of the page size). Blocks; may be called from any
 * thread. A buffer of exposure shared is zeroed through its own (decrypted) mapping, so that what
 * the peer sees was put there after the conversion. Returns 0 with an fd (close-on-exec) and its
 * inode; -ENOMEM; another negative errno when the heap refuses.
 */
int heap_alloc(const struct heap *heap, enum exposure exposure, uint64_t size, bool read_only,
	int *ret_fd, uint64_t *ret_inode);

/* The number of references to a dma-buf that are not the caller's own fd: 0 when only the caller
 * holds it. Negative errno when fdinfo does not tell. */
int64_t heap_holders(int fd);

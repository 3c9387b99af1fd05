/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Buffers: makes them from a heap, and finds out who else holds one.
 */
#pragma once

#include "heap/heap.h"

/* Identifies a buffer, whoever has an fd of it. */
struct buffer_id {
	uint64_t inode;
	uint64_t watch; /* the heap's number of it with HEAP_END_EVENT; else 0 */
};

/*
 * Makes one buffer of size bytes (a multiple of the page size). Blocks; may be called from any
 * thread. A buffer of exposure shared is zeroed after its conversion: the module zeroes its own
 * buffers, others are zeroed here, through the buffer's own (decrypted) mapping. Returns 0 with an
 * fd (close-on-exec); -ENOMEM; another negative errno when the heap refuses.
 *
 * A read-only buffer of the emulated heap gets its memory, all zeros, when it is read.
 *
 * A buffer of a heap with HEAP_END_EVENT is watched from the beginning: closing the fd causes an
 * event, even if nobody else ever had it.
 */
int heap_alloc(const struct heap *heap, enum exposure exposure, uint64_t size, bool read_only,
	int *ret_fd, struct buffer_id *ret_id);

/* Writes why heap_alloc() failed with an errno other than -ENOMEM, for people. Returns true when
 * the heap gives out no memory any more, because too much of it leaked. */
bool heap_explain(const struct heap *heap, int error, char *text, size_t size);

/* Whether heap_emulated_held() works: a kernel may have no leases for memfds. */
bool heap_emulated_leases(void);

/* Whether anybody but the daemon has an emulated buffer open or mapped; fd is the daemon's. True
 * where that cannot be found out. */
bool heap_emulated_held(int fd);

/* Frees the memory of an emulated buffer, to which somebody may still have a path. */
void heap_discard(int fd, uint64_t size);

/* The number of references to a dma-buf other than the caller's fd: 0 when only the caller holds
 * it. A negative errno when fdinfo does not say. */
int64_t heap_holders(int fd);

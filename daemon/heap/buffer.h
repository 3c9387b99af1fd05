/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Buffers: made by a heap, and who else holds one.
 */
#pragma once

#include "heap/heap.h"

/* Which buffer it is, whoever has an fd of it. */
struct buffer_id {
	uint64_t inode;
	uint64_t watch; /* the number by which a heap of HEAP_END_EVENT tells of it; else 0 */
};

/*
 * Makes one buffer of size bytes (a multiple of the page size). Blocks; may be called from any
 * thread. A buffer of exposure shared has been zeroed after its conversion: by the module where it
 * made it, else here, through the buffer's own (decrypted) mapping. Returns 0 with an fd
 * (close-on-exec); -ENOMEM; another negative errno when the heap refuses.
 *
 * A buffer of the emulated heap that is read-only has no memory before it is read, as it holds
 * nothing.
 *
 * A buffer of a heap that tells is watched from the beginning: closing the fd leads to an event,
 * also where nobody else ever had it.
 */
int heap_alloc(const struct heap *heap, enum exposure exposure, uint64_t size, bool read_only,
	int *ret_fd, struct buffer_id *ret_id);

/* Why heap_alloc() failed with an errno other than -ENOMEM, for people. True when the heap gives
 * out no memory at all any more, as too much of it leaked. */
bool heap_explain(const struct heap *heap, int error, char *text, size_t size);

/* Whether heap_emulated_held() works: some kernels may have no leases for memfds. */
bool heap_emulated_leases(void);

/* Whether anybody but us has an emulated buffer open or mapped, of which fd is ours. True where
 * that cannot be found out. */
bool heap_emulated_held(int fd);

/* Frees the memory of an emulated buffer, of which somebody may have a path yet. */
void heap_discard(int fd, uint64_t size);

/* The number of references to a dma-buf that are not the caller's own fd: 0 when only the caller
 * holds it. Negative errno when fdinfo does not tell. */
int64_t heap_holders(int fd);

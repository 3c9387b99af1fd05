/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What /dev/dma_heap/system_cc_shared of the module ccbuf_heap can do beyond DMA_HEAP_IOCTL_ALLOC
 * (linux/dma-heap.h), which works as on the heap of Linux 7.2 that has the same name.
 *
 * Whether a node is this module's: CCBUF_HEAP_STATS. The heap of the kernel answers EINVAL (its
 * ioctls are told apart by number only), other nodes ENOTTY. All sizes are in bytes. What is
 * reserved or a flag that is not defined here must be zero, and is zero when it comes back.
 *
 * An open file of the node that has watched a buffer is told, once, when nothing holds the buffer
 * any more: no fd, no mapping, no message in flight, no importer. read(2) gives events, poll(2)
 * says POLLIN when there are some. Whoever wants to know of the end must keep no fd of the buffer.
 * Closing the file ends its watches and does nothing to the buffers.
 */
#ifndef _UAPI_CCBUF_HEAP_H
#define _UAPI_CCBUF_HEAP_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define CCBUF_HEAP_VERSION	1	/* of this interface; only ever grows */

#define CCBUF_HEAP_IOC_MAGIC	0xcc	/* numbers from 0x40 */

/*
 * CCBUF_HEAP_STATS: what the heap has and has done since it was loaded.
 * Errors: EFAULT.
 */
struct ccbuf_heap_stats {
	__u32 version;		/* CCBUF_HEAP_VERSION of the module */
	__u32 flags;		/* CCBUF_HEAP_STAT_* */
	__u64 live_bytes;	/* in buffers */
	__u64 live_buffers;
	__u64 peak_bytes;	/* the most that live_bytes ever was */
	__u64 pool_bytes;	/* shared with the host, in no buffer */
	__u64 leaked_bytes;	/* lost for good: could not be made private again */
	__u64 to_shared;	/* regions that were shared, and made private again; what is */
	__u64 to_private;	/* between is shared now, or was and leaked */
	__u64 failed;		/* conversions that failed, either way */
	__u64 revoked_buffers;
	__u64 reserved[6];
};

#define CCBUF_HEAP_STAT_UNSHARED (1U << 0) /* loaded for development: nothing is shared at all */
#define CCBUF_HEAP_STAT_STOPPED	 (1U << 1) /* leaked too much: gives out no memory any more (EIO) */

/*
 * CCBUF_HEAP_WATCH: be told when the buffer of a dma-buf fd is released. A buffer has one watcher.
 * Errors: EBADF (not an fd), EINVAL (not a buffer of this heap; flags), EBUSY (is watched already),
 * ENODEV (was revoked, and its memory is gone), ENOMEM, EFAULT.
 */
struct ccbuf_heap_watch {
	__s32 fd;		/* in: the dma-buf */
	__u32 flags;		/* in: 0 */
	__u64 id;		/* out: the buffer's number, never used again while the module is
				 * loaded, never 0
				 */
};

/*
 * CCBUF_HEAP_REVOKE: take the memory of a buffer back from all who have it. Mappings of processes
 * are gone when this returns, and SIGBUS from then on; importers that can be told are told; to map
 * it anew, for a process or a device, fails with ENODEV. Its memory is scrubbed and made private at
 * once, unless a device or the kernel still has it mapped: then as soon as the last of them lets
 * go, and `mappings`, `vmaps` and `device` say who that is. For work of devices that was under way
 * when they were told REVOKE waits up to a second; for importers to do as they are told, as long as
 * they take (virtio-gpu until the host answers). Memory that shares a region with other buffers is
 * scrubbed, and made private with the last of them. RELEASED is told when the buffer's memory is
 * given back, though fds of the empty buffer may live on.
 * To ask again is no error, and says what holds it now.
 * Errors: ENOENT (no buffer of that number that this open file watches and that is not released),
 * EINVAL (flags), EINTR (ask again), EFAULT.
 */
struct ccbuf_heap_revoke {
	__u64 id;		/* in: from CCBUF_HEAP_WATCH on the same open file */
	__u32 flags;		/* in: 0 */
	__u32 mappings;		/* out: by devices */
	__u32 vmaps;		/* out: by the kernel itself */
	__u32 busy;		/* out: 1: a device is at work in it, and nothing is given back
				 * before REVOKE is asked again; or it is being given back just now
				 */
	char device[64];	/* out: one of the devices, "DRIVER NAME", or empty; ends in NUL */
};

/*
 * What read(2) gives: as many whole events as fit. Errors: EINVAL (not room for one), EAGAIN (none,
 * and O_NONBLOCK), EFAULT (no event is lost).
 */
struct ccbuf_heap_event {
	__u32 type;		/* enum ccbuf_heap_event_type; others may come: skip them */
	__u32 reserved;
	__u64 id;		/* RELEASED: the buffer */
	__u64 bytes;		/* RELEASED: its size; LEAKED: how much since last told */
};

enum ccbuf_heap_event_type {
	CCBUF_HEAP_RELEASED = 1,
	CCBUF_HEAP_LEAKED = 2,	/* told to every open file */
};

#define CCBUF_HEAP_STATS	_IOR(CCBUF_HEAP_IOC_MAGIC, 0x40, struct ccbuf_heap_stats)
#define CCBUF_HEAP_WATCH	_IOWR(CCBUF_HEAP_IOC_MAGIC, 0x41, struct ccbuf_heap_watch)
#define CCBUF_HEAP_REVOKE	_IOWR(CCBUF_HEAP_IOC_MAGIC, 0x42, struct ccbuf_heap_revoke)

#endif

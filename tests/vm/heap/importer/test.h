/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ccbuf_heap_test: what the tests of ccbuf_heap need to do and see from inside of the kernel. Never
 * useful anywhere else; it cannot be unloaded. The requests of /dev/ccbuf_heap_test are here, their
 * other user is guest/kernel.py. Each open file of it is one importer of one dma-buf.
 */
#ifndef CCBUF_HEAP_TEST_H
#define CCBUF_HEAP_TEST_H

#include <linux/device.h>
#include <linux/dma-resv.h>
#include <linux/ioctl.h>
#include <linux/types.h>

/* Conversions, and the directions of what is counted by them. */
enum side { TO_SHARED, TO_PRIVATE, SIDES };

/* The devices that import. */
enum device_kind {
	DEVICE_WIDE,	 /* coherent, 64 bits, segments of any length: takes everything */
	DEVICE_NARROW,	 /* 24 bits: nothing above 16 MiB */
	DEVICE_BOUNDARY, /* no segment may cross a multiple of 64 KiB, nor be longer than 40 KiB */
	DEVICE_OPS,	 /* with DMA operations of its own */
	DEVICE_IOMMU,	 /* says that it is behind an IOMMU, where Linux can tell (from 6.12) */
	DEVICES,
};

/* ATTACH: a device to a dma-buf. */
#define ATTACH_DYNAMIC 1 /* an importer that can be told */
#define ATTACH_OBEY    2 /* and unmaps when it is told */
struct test_attach {
	__s32 fd;
	__u32 device; /* enum device_kind */
	__u32 flags;
	__u32 reserved;
};

/* MAP: the attachment, for both directions. STATE: how it stands. */
struct test_state {
	__u32 attached;
	__u32 mapped;
	__u32 segments;
	__u32 vmapped;
	__u32 told; /* how often, that the memory moves */
	__u32 obeyed;
	__u32 ops_used; /* how often DEVICE_OPS was asked to map anything, by anyone */
	__u32 reserved;
};

/* SEGMENT: one of the mapped ones. */
struct test_segment {
	__u32 index;
	__u32 reserved;
	__u64 dma;  /* what the device was given */
	__u64 phys; /* the memory that this is */
	__u64 bytes;
};

/* COPY: from or to the dma-buf, as the kernel has it by vmap, or as the device would. */
#define COPY_VMAP   0
#define COPY_DEVICE 1
/* PEEK: from or to physical memory (offset is the address); nothing asks whose it is */
#define PEEK_SHARED  2 /* by a mapping that is shared, whatever the page is */
#define PEEK_PRIVATE 3
#define PEEK_DIRECT  4 /* as the kernel's direct map has it */
struct test_copy {
	__u32 how;
	__u32 write;
	__u64 offset;
	__u64 bytes;
	__u64 buffer;
};

/* ARM: the next conversions by the heap fail; how often 0 disarms. */
#define FAULT_FAIL  1 /* nothing is done */
#define FAULT_PART  2 /* half of it is done */
#define FAULT_WHOLE 3 /* all of it is done, and it is an error all the same */
struct test_fault {
	__u32 side;
	__u32 how;
	__u32 pass; /* so many are left alone first */
	__u32 hits;
};

/* COUNTS: of conversions by the heap since this was loaded, seen where they are done. */
struct test_counts {
	__u64 calls[SIDES];
	__u64 pages[SIDES]; /* that changed */
	__u64 failed[SIDES];
	__u64 armed[SIDES];   /* hits that are left */
	__u64 again[SIDES];   /* pages that were there already; must be 0 */
	__u64 unclean[SIDES]; /* pages with content when they changed */
	__u64 shared;	      /* pages that are shared now */
};

/* MSR: of the bench's hypervisor; EIO elsewhere. */
struct test_msr {
	__u32 msr;
	__u32 write;
	__u64 value;
};

#define TEST_ATTACH  _IOW(0xcd, 1, struct test_attach)
#define TEST_DETACH  _IO(0xcd, 2)
#define TEST_MAP     _IO(0xcd, 3)
#define TEST_UNMAP   _IO(0xcd, 4)
#define TEST_VMAP    _IO(0xcd, 5)
#define TEST_VUNMAP  _IO(0xcd, 6)
#define TEST_STATE   _IOR(0xcd, 7, struct test_state)
#define TEST_SEGMENT _IOWR(0xcd, 8, struct test_segment)
#define TEST_COPY    _IOW(0xcd, 9, struct test_copy)
#define TEST_ARM     _IOW(0xcd, 10, struct test_fault)
#define TEST_COUNTS  _IOR(0xcd, 11, struct test_counts)
#define TEST_MSR     _IOWR(0xcd, 12, struct test_msr)
#define TEST_MAILBOX _IOR(0xcd, 13, __u64) /* physical address of a shared page for the host */
#define TEST_BEGIN   _IO(0xcd, 14)	   /* the device is at work in the buffer, until */
#define TEST_END     _IO(0xcd, 15)	   /* it is done, or the file is closed */
#define TEST_WRITE   _IO(0xcd, 16)	   /* as BEGIN, and others must wait for it */

/* devices.c */
int devices_init(void);
struct device *device_get(unsigned int kind); /* NULL if there is no such on this kernel */
u32 device_ops_used(void);

/* importer.c: of one open file */
struct importer;
struct importer *importer_new(void);
void importer_free(struct importer *m);
int importer_attach(struct importer *m, const struct test_attach *a);
int importer_detach(struct importer *m);
int importer_map(struct importer *m);
int importer_unmap(struct importer *m);
int importer_vmap(struct importer *m);
int importer_vunmap(struct importer *m);
int importer_begin(struct importer *m, enum dma_resv_usage usage);
int importer_end(struct importer *m);
void importer_state(struct importer *m, struct test_state *ret_state);
int importer_segment(struct importer *m, struct test_segment *s);
int importer_copy(struct importer *m, const struct test_copy *c);

/* main.c: at most PEEK_MAX bytes */
#define PEEK_MAX 0x10000
int peek(phys_addr_t phys, u32 how, bool write, void *data, size_t bytes);

/* conversions.c */
int conversions_init(void);
int conversions_arm(const struct test_fault *f);
void conversions_counts(struct test_counts *ret_counts);

#endif

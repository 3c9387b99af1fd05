/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The control page: what the host may read and write at any time, whatever becomes of the guest,
 * which cannot reach it. It is at CONTROL_PAGE (layout.h) of the machine's memory, which is also
 * the offset in the file of a memory-backend-file, or the address for QMP's pmemsave. The host
 * reads what it likes, and arms a fault by one store of 8 bytes to `fault`, once `state` is
 * CONTROL_RUNS: before that the boot loader may yet write over it. All numbers are little-endian.
 */
#ifndef COCOVM_CONTROL_H
#define COCOVM_CONTROL_H

#include "count.h"

#define CONTROL_MAGIC	0x0068636e65626363 /* "ccbench" and a zero */
#define CONTROL_VERSION 1

enum control_state {
	CONTROL_LOADED,	   /* the guest has not begun to run */
	CONTROL_RUNS,	   /* or crashed by itself, and is idle */
	CONTROL_POWER_OFF, /* the guest switched the machine off */
	CONTROL_RESET,	   /* the guest reset it */
	CONTROL_STOPPED,   /* the guest died of a triple fault, or the hypervisor stopped it: the
			      debug console has the reason */
};

struct control {
	u64 magic;	 /* at byte 0 */
	u32 version;	 /* 8 */
	u32 counters;	 /* 12: how many there are */
	u64 fault;	 /* 16: as written to MAGIC_FAULT (magic.h), less what happened since */
	u64 state;	 /* 24: enum control_state */
	u64 reserved[4]; /* 32 */
	struct counter counter[COUNT_END]; /* 64: live; 24 bytes of name, 8 of value */
};
_Static_assert(sizeof(struct control) <= PAGE_SIZE, "the control page is a page");
_Static_assert(offsetof(struct control, counter) == 64, "counters of the control page");

extern struct control control;

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Registers by which a test talks to the hypervisor from inside the guest. A test module may copy
 * the numbers; a guest that is not on this bench gets #GP for them.
 *
 *	MAGIC_IDENTITY	read: "ccbench" in the upper 7 bytes, in the lowest the technology
 *			(0 SEV, 1 SNP, 2 TDX) and bit 7 for strict mode
 *	MAGIC_FAULT	write: arms a fault for the next conversions; read: how many are left
 *			bits 0-7	enum fault
 *			bits 8-9	to shared (1), to private (2), or either (3)
 *			bits 16-31	how many conversions
 *			bits 32-63	FAULT_STALL: for how long, in millions of TSC ticks
 *	MAGIC_COUNT + n	read: counter n of count.h
 */
#ifndef COCOVM_MAGIC_H
#define COCOVM_MAGIC_H

#include "guest.h"

#define MAGIC_IDENTITY 0x4ccb0000
#define MAGIC_FAULT    0x4ccb0001
#define MAGIC_COUNT    0x4ccb0100

enum fault {
	FAULT_NONE,
	FAULT_FAIL,  /* refused */
	FAULT_RETRY, /* to be asked for again, with nothing done */
	FAULT_PART,  /* to be asked for again, with the first page done */
	FAULT_STALL, /* done, after a while */
};

bool magic_read(u32 msr, u64 *ret_value);
bool magic_write(u32 msr, u64 value);

/* The fault for a conversion that is about to happen, which uses it up. */
enum fault magic_fault(enum side to, u64 *ret_millions);

#endif

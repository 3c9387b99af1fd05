/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Registers by which a test talks to the hypervisor from inside the guest. A test module may copy
 * the numbers; a guest that is not on this bench gets #GP for them.
 *
 *	MAGIC_IDENTITY	read: "ccbench" in the upper 7 bytes, in the lowest the technology
 *			(0 SEV, 1 SNP, 2 TDX) and bit 7 for strict mode
 *	MAGIC_FAULT	write: arms a fault for conversions to come; 0 disarms
 *			bits 0-7	enum fault
 *			bits 8-9	to shared (1), to private (2), or either (3)
 *			bits 16-31	how many conversions in that direction it hits
 *			bits 32-63	how many in that direction pass first; but for
 *					FAULT_STALL, which begins at once: for how long, in
 *					millions of TSC ticks
 *			read: what is left of it
 *			bits 0-31	how many conversions it will still hit
 *			bits 32-63	how many will pass before
 *	MAGIC_COUNT + n	read: counter n of count.h
 *
 * A conversion is one request for one range, asked for again or not: a call of TDX's MapGPA, one
 * entry of an SNP guest's list of page states (or a request by its MSR), a hypercall of SEV. What
 * Linux splits into chunks is as many conversions: to fail each in turn, let 0, 1, 2... pass first.
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
	FAULT_PART,  /* to be asked for again, with the first page done (if there are more) */
	FAULT_STALL, /* done, after a while */
};

bool magic_read(u32 msr, u64 *ret_value);
bool magic_write(u32 msr, u64 value);

/* The fault for a conversion that is about to happen, which uses it up. */
enum fault magic_fault(enum side to, u64 *ret_millions);

#endif

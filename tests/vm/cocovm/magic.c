/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Faults on demand, and the registers that arm them. Invented here; no specification knows them. */
#include "magic.h"
#include "count.h"

static u64 armed; /* as written to MAGIC_FAULT */

bool magic_read(u32 msr, u64 *ret_value)
{
	switch (msr) {
	case MAGIC_IDENTITY:
		memcpy((u8 *)ret_value + 1, "ccbench", 7);
		memset(ret_value, (int)guest.tee | (guest.strict ? 0x80 : 0), 1);
		return true;
	case MAGIC_FAULT:
		*ret_value = __atomic_load_n(&armed, __ATOMIC_RELAXED) >> 16 & 0xffff;
		return true;
	default:
		if (msr < MAGIC_COUNT || msr >= MAGIC_COUNT + COUNT_END)
			return false;
		*ret_value = __atomic_load_n(&counters[msr - MAGIC_COUNT], __ATOMIC_RELAXED);
		return true;
	}
}

bool magic_write(u32 msr, u64 value)
{
	if (msr != MAGIC_FAULT || (value & 0xff) > FAULT_STALL)
		return false;
	__atomic_store_n(&armed, value, __ATOMIC_RELAXED);
	return true;
}

enum fault magic_fault(enum side to, u64 *ret_millions)
{
	u64 now = __atomic_load_n(&armed, __ATOMIC_RELAXED);

	do {
		if (!(now >> 16 & 0xffff) || !(now >> (to == SHARED ? 8 : 9) & 1))
			return FAULT_NONE;
	} while (!__atomic_compare_exchange_n(
		&armed, &now, now - 0x10000, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	count(COUNT_FAULT, 1);
	*ret_millions = now >> 32;
	return now & 0xff;
}

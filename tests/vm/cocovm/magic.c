/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Faults on demand, counters, and the two ways to them: registers for the guest, a page of memory
 * for the host. Invented here; no specification knows them.
 */
#include "magic.h"
#include "control.h"

#define COUNTER(name, text) { text, 0 },
struct control control __attribute__((section(".control"), aligned(4096))) = {
	.magic = CONTROL_MAGIC,
	.version = CONTROL_VERSION,
	.counters = COUNT_END,
	.counter = { COUNTERS(COUNTER) },
};

void count(int counter, u64 n)
{
	__atomic_fetch_add(&control.counter[counter].value, n, __ATOMIC_RELAXED);
}

u64 count_read(int counter)
{
	return __atomic_load_n(&control.counter[counter].value, __ATOMIC_RELAXED);
}

static u64 hits_left(u64 word)
{
	return word >> 16 & 0xffff;
}

static u64 passes_left(u64 word)
{
	return (word & 0xff) == FAULT_STALL ? 0 : word >> 32;
}

bool magic_read(u32 msr, u64 *ret_value)
{
	u64 armed;

	switch (msr) {
	case MAGIC_IDENTITY:
		memcpy((u8 *)ret_value + 1, "ccbench", 7);
		memset(ret_value, (int)guest.tee | (guest.strict ? 0x80 : 0), 1);
		return true;
	case MAGIC_FAULT:
		armed = __atomic_load_n(&control.fault, __ATOMIC_RELAXED);
		*ret_value = hits_left(armed) | passes_left(armed) << 32;
		return true;
	default:
		if (msr < MAGIC_COUNT || msr >= MAGIC_COUNT + COUNT_END)
			return false;
		*ret_value = count_read(msr - MAGIC_COUNT);
		return true;
	}
}

bool magic_write(u32 msr, u64 value)
{
	if (msr != MAGIC_FAULT || (value & 0xff) > FAULT_STALL)
		return false;
	__atomic_store_n(&control.fault, value, __ATOMIC_RELAXED);
	return true;
}

enum fault magic_fault(enum side to, u64 *ret_millions)
{
	u64 now = __atomic_load_n(&control.fault, __ATOMIC_RELAXED), step;

	do {
		if (!hits_left(now) || !(now >> (to == SHARED ? 8 : 9) & 1))
			return FAULT_NONE;
		step = passes_left(now) > 0 ? BIT(32) : BIT(16);
	} while (!__atomic_compare_exchange_n(
		&control.fault, &now, now - step, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	if (step == BIT(32))
		return FAULT_NONE;
	count(COUNT_FAULT, 1);
	*ret_millions = now >> 32;
	return now & 0xff;
}

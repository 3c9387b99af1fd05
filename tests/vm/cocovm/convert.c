/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Conversions: counted always; made to fail when a test asked for that (magic.c); and in strict
 * mode carried out, so that a page is in one half only and has lost its content in the other.
 *
 * What a page holds after a conversion is not defined by any of the specifications (a TDX page that
 * was accepted is zero); the patterns here are what no guest should count on.
 */
#include "convert.h"
#include "count.h"
#include "magic.h"

static void stall(u64 million_ticks)
{
	u64 end = rdtsc() + million_ticks * 1000000;

	while (rdtsc() < end)
		__builtin_ia32_pause();
}

static void count_pages(u64 gpa, u64 bytes, enum side to)
{
	u64 big = 0, first = (gpa + 2 * MiB - 1) & -(2 * MiB), last = (gpa + bytes) & -(2 * MiB);

	if (last > first)
		big = (last - first) / (2 * MiB);
	count(to == SHARED ? COUNT_TO_SHARED_2M : COUNT_TO_PRIVATE_2M, big);
	count(to == SHARED ? COUNT_TO_SHARED_4K : COUNT_TO_PRIVATE_4K,
		(bytes - big * 2 * MiB) / PAGE_SIZE);
}

static void count_request(u64 bytes, enum side to)
{
	count(COUNT_REQUEST, 1);
	if (bytes == PAGE_SIZE)
		count(to == SHARED ? COUNT_CALL_SHARED_4K : COUNT_CALL_PRIVATE_4K, 1);
	else if (bytes == 2 * MiB)
		count(to == SHARED ? COUNT_CALL_SHARED_2M : COUNT_CALL_PRIVATE_2M, 1);
	else
		count(to == SHARED ? COUNT_CALL_SHARED_ANY : COUNT_CALL_PRIVATE_ANY, 1);
}

static void convert_page(u64 gpa, enum side to)
{
	bool shared = memory_present(SHARED, gpa);

	if (to == SHARED ? shared && !memory_present(PRIVATE, gpa) : !shared)
		return;
	memory_set_present(PRIVATE, gpa, false);
	memory_set_present(SHARED, gpa, to == SHARED);
	if (guest.reports)
		memset(memory_at(to, gpa), to == SHARED ? PATTERN_SHARED : PATTERN_PRIVATE,
			PAGE_SIZE);
}

enum convert_result convert(struct cpu *cpu, u64 gpa, u64 bytes, enum side to, u64 *ret_done)
{
	enum convert_result result = CONVERT_OK;
	u64 a, millions;

	count_request(bytes, to);
	*ret_done = 0;
	if (!memory_is_ram(gpa, bytes))
		return CONVERT_FAIL;
	switch (magic_fault(to, &millions)) {
	case FAULT_FAIL:
		return CONVERT_FAIL;
	case FAULT_RETRY:
		return CONVERT_RETRY;
	case FAULT_PART:
		if (bytes <= PAGE_SIZE)
			return CONVERT_RETRY;
		result = CONVERT_RETRY;
		bytes = PAGE_SIZE;
		break;
	case FAULT_STALL:
		stall(millions);
		break;
	case FAULT_NONE:
		break;
	}
	count_pages(gpa, bytes, to);
	if (guest.strict) {
		for (a = gpa; a < gpa + bytes; a += PAGE_SIZE)
			convert_page(a, to);
		smp_flush(cpu);
	}
	*ret_done = bytes;
	return result;
}

bool convert_validate(struct cpu *cpu, u64 gpa, u64 bytes, bool valid)
{
	bool changed = false;
	u64 a;

	if (!memory_is_ram(gpa, bytes))
		return false;
	count(COUNT_ACCEPT, valid ? bytes / PAGE_SIZE : 0);
	if (!guest.strict)
		return true;
	for (a = gpa; a < gpa + bytes; a += PAGE_SIZE) {
		if (memory_present(PRIVATE, a) == valid || memory_present(SHARED, a))
			continue;
		memory_set_present(PRIVATE, a, valid);
		if (valid && guest.tee == TEE_TDX)
			memset(memory_at(PRIVATE, a), 0, PAGE_SIZE);
		changed = true;
	}
	if (!valid)
		smp_flush(cpu);
	return changed;
}

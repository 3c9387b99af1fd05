/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's memory: two halves, and the nested page tables that say which half an access with or
 * without the side bit reaches. Entries of RAM are 4 KiB each and lie in one array a side, so that
 * the entry of a page is found by its number; an entry is also the record of the page's state.
 *
 *			side bit clear		side bit set
 *	SEV, SNP	shared, devices		private
 *	TDX		private			shared, devices
 *
 * With paging off there is no side bit to set, and a SEV guest's accesses are all private: those
 * have a second root. Page tables are walked as private by SEV hardware, C-bit or not; here they
 * are walked as the bit says (see cr.c).
 *
 * AMD APM vol. 2, sections 15.25 (nested paging) and 15.34 (SEV); Intel TDX Module Base
 * Architecture, "Memory Integrity Protection and Isolation" (the shared bit).
 */
#include "guest.h"
#include "count.h"

#define PRESENT	    0x07 /* present, writable, user: nested entries need that */
#define PAGE_IS_BIG 0x80

static u64 free_from = HV_BASE, free_to = LOW_MEM_END;
static u64 *root_paging, *root_no_paging;
static u64 *entries[2]; /* of RAM, by side and number of the page, without the gap */
static u64 firmware;	/* where the firmware's tables below LOW_MEM_END begin */
static u8 *firmware_private;

void memory_reserve(u64 end)
{
	end = (end + PAGE_SIZE - 1) & -PAGE_SIZE;
	if (end > free_from)
		free_from = end;
}

void *memory_alloc(u64 bytes)
{
	void *ret = at(free_from);

	bytes = (bytes + PAGE_SIZE - 1) & -PAGE_SIZE;
	if (bytes > free_to - free_from)
		stop("no memory for the hypervisor: kernel and initrd are too large");
	free_from += bytes;
	return memset(ret, 0, bytes);
}

/* Video memory and ROMs: there on both sides. */
static bool is_low_device(u64 address)
{
	return address >= 0xa0000 && address < MiB;
}

u64 memory_gpa(u64 offset)
{
	return offset < guest.low ? offset : 4 * GiB + (offset - guest.low);
}

bool memory_is_ram(u64 gpa, u64 bytes)
{
	u64 end = gpa < guest.low ? guest.low : 4 * GiB + guest.ram - guest.low;

	return (gpa < guest.low || gpa >= 4 * GiB) && gpa < end && bytes <= end - gpa;
}

static u64 offset_of(u64 gpa)
{
	return gpa < guest.low ? gpa : gpa - 4 * GiB + guest.low;
}

static u64 *entry_of(enum side side, u64 gpa)
{
	return &entries[side][offset_of(gpa) / PAGE_SIZE];
}

/* One side: RAM, firmware tables, devices below 4 GiB. Nothing of the hypervisor. */
static u64 *map_side(enum side side)
{
	u64 *pdpt = memory_alloc(PAGE_SIZE);
	u64 gigabytes = 4 + (guest.ram - guest.low + GiB - 1) / GiB;
	u64 *pd = memory_alloc(gigabytes * PAGE_SIZE), *pt;
	u64 a, offset;

	for (a = 0; a < gigabytes; a++)
		pdpt[a] = (u64)&pd[a * 512] | PRESENT;

	entries[side] = memory_alloc(guest.ram / 512);
	for (offset = 0; offset < guest.ram; offset += PAGE_SIZE) {
		a = memory_gpa(offset);
		entries[side][offset / PAGE_SIZE] =
			(u64)memory_at(side, a) |
			(side == PRIVATE || !guest.strict || is_low_device(a) ? PRESENT : 0);
	}
	for (offset = 0; offset < guest.ram; offset += 2 * MiB)
		pd[memory_gpa(offset) / (2 * MiB)] =
			(u64)&entries[side][offset / PAGE_SIZE] | PRESENT;

	pt = memory_alloc(PAGE_SIZE);
	pd[firmware / (2 * MiB)] = (u64)pt | PRESENT;
	for (a = firmware; a < LOW_MEM_END; a += PAGE_SIZE)
		pt[a / PAGE_SIZE % 512] = (u64)memory_at(side, a) | PRESENT;

	for (a = LOW_MEM_END; a < 4 * GiB; a += 2 * MiB)
		pd[a / (2 * MiB)] = a | PAGE_IS_BIG | PRESENT;
	return pdpt;
}

void memory_init(u64 firmware_start)
{
	u64 *shared, *private;

	firmware = firmware_start & -PAGE_SIZE;
	if (firmware < LOW_MEM_END - 2 * MiB)
		stop("firmware tables from %x: more than expected", firmware);
	free_to = firmware;
	firmware_private = memory_alloc(LOW_MEM_END - firmware);
	memcpy(firmware_private, at(firmware), LOW_MEM_END - firmware);
	memcpy(memory_at(PRIVATE, 0), at(0), 0xa0000);
	memcpy(memory_at(PRIVATE, 0xc0000), at(0xc0000), MiB - 0xc0000);

	shared = map_side(SHARED);
	private = map_side(PRIVATE);
	root_paging = memory_alloc(PAGE_SIZE);
	root_paging[0] = (u64)(guest.tee == TEE_TDX ? private : shared) | PRESENT;
	root_paging[1] = (u64)(guest.tee == TEE_TDX ? shared : private) | PRESENT;
	root_no_paging = memory_alloc(PAGE_SIZE);
	root_no_paging[0] = (u64) private | PRESENT;
}

/* Not the first MiB, which is the firmware's, and has our stubs. */
void memory_poison(void)
{
	memset(at(MiB), PATTERN_SHARED, guest.low - MiB);
	memset(at(4 * GiB), PATTERN_SHARED, guest.ram - guest.low);
}

u64 memory_root(bool paging)
{
	return (u64)(paging ? root_paging : root_no_paging);
}

void *memory_at(enum side side, u64 address)
{
	if (memory_is_ram(address, 1)) {
		/* video memory is a device */
		if (side == SHARED || (address >= 0xa0000 && address < 0xc0000))
			return at(address);
#ifdef BROKEN_ONE_HALF
		return at(address);
#endif
		return at(4 * GiB + guest.ram - guest.low + offset_of(address));
	}
	if (address >= firmware && address < LOW_MEM_END)
		return side == SHARED ? at(address) : firmware_private + (address - firmware);
	return NULL;
}

bool memory_present(enum side side, u64 gpa)
{
	return memory_is_ram(gpa, 1) && *entry_of(side, gpa) & 1;
}

/* Processors that run notice when they enter the guest next: see smp_flush(). */
void memory_set_present(enum side side, u64 gpa, bool present)
{
	u64 *entry = entry_of(side, gpa);

	__atomic_store_n(
		entry, present ? *entry | PRESENT : *entry & ~(u64)PRESENT, __ATOMIC_RELAXED);
}

enum side memory_side(u64 gpa)
{
	bool bit = gpa >> SIDE_BIT & 1;

	return bit == (guest.tee == TEE_TDX) ? SHARED : PRIVATE;
}

void *memory_guest(u64 gpa)
{
	return memory_at(memory_side(gpa), gpa & ~BIT(SIDE_BIT));
}

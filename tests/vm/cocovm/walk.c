/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads what the guest's processor would read at a linear address. Its page tables are private by
 * definition, whatever their entries say.
 *
 * AMD APM vol. 2, section 5.3 (long-mode page translation), with 4 levels.
 */
#include "guest.h"

#define ENTRY_ADDRESS 0x000ffffffffff000ULL

bool walk(struct cpu *cpu, u64 linear, u64 *ret_gpa)
{
	const struct vmcb_save *s = &cpu->vmcb->save;
	u64 entry = s->cr3, mask;
	const u64 *table;
	int level;

	if (!(s->cr0 & CR0_PG)) {
		*ret_gpa = linear | (guest.tee == TEE_TDX ? 0 : BIT(SIDE_BIT));
		return true;
	}
	if (!(s->efer & EFER_LMA))
		return false;
	for (level = 3; level >= 0; level--) {
		table = memory_at(PRIVATE, entry & ENTRY_ADDRESS & ~BIT(SIDE_BIT));
		if (!table)
			return false;
		entry = table[linear >> (12 + 9 * level) & 511];
		if (!(entry & 1))
			return false;
		if (level == 0 || (entry & 0x80 && level < 3)) {
			mask = BIT(12 + 9 * level) - 1;
			*ret_gpa = (entry & ENTRY_ADDRESS & ~mask) | (linear & mask);
			return true;
		}
	}
	return false;
}

static void each(u64 table_at, int level, u64 from, void (*found)(u64 gpa, u64 bytes))
{
	const u64 *table = memory_at(PRIVATE, table_at & ENTRY_ADDRESS & ~BIT(SIDE_BIT));
	u64 i, size = BIT(12 + 9 * level);

	for (i = from; table && i < 512; i++) {
		if (!(table[i] & 1))
			continue;
		if (level == 0 || (table[i] & 0x80 && level < 3))
			found(table[i] & ENTRY_ADDRESS & -size, size);
		else
			each(table[i], level - 1, 0, found);
	}
}

void walk_kernel(struct cpu *cpu, void (*found)(u64 gpa, u64 bytes))
{
	each(cpu->vmcb->save.cr3, 3, 256, found);
}

/* Returns how many bytes could be read. */
size_t walk_read(struct cpu *cpu, u64 linear, void *ret_bytes, size_t n)
{
	size_t done = 0, part;
	const u8 *from;
	u64 gpa;

	while (done < n) {
		if (!walk(cpu, linear + done, &gpa))
			break;
		from = memory_guest(gpa);
		if (!from)
			break;
		part = PAGE_SIZE - gpa % PAGE_SIZE;
		if (part > n - done)
			part = n - done;
		memcpy((u8 *)ret_bytes + done, from, part);
		done += part;
	}
	return done;
}

size_t walk_code(struct cpu *cpu, u8 *ret_code, size_t n)
{
	const struct vmcb_save *s = &cpu->vmcb->save;
	size_t got = walk_read(cpu,
		(s->efer & EFER_LMA && s->cs.attrib & 0x200 ? 0 : s->cs.base) + s->rip, ret_code,
		n);

	memset(ret_code + got, 0, n - got);
	return got;
}

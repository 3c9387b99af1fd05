/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Control registers of a SEV guest on its way into long mode. SEV hardware takes page tables for
 * private memory whatever CR3 says, and the kernel's decompressor and the trampoline of its other
 * processors count on it; an ordinary processor goes by the bit. So the bit is added to what the
 * guest writes, and hidden when it reads, until the kernel proper, which runs in the upper half of
 * the address space, has written CR3 with the bit twice running (the first may be its test of the
 * bit). While paging is off there is no bit at all and everything is private.
 *
 * AMD APM vol. 2, section 15.34.5 (SEV encryption behaviour); vol. 3, MOV CRn, LMSW, CLTS.
 */
#include "guest.h"

static void watch_cr3(struct cpu *cpu, bool on)
{
	cpu->vmcb->intercept_cr_read = on ? BIT(3) : 0;
	cpu->vmcb->intercept_cr_write = BIT(0) | (on ? BIT(3) : 0);
}

void cr_init(struct cpu *cpu)
{
	if (guest.tee == TEE_TDX) {
		cpu->vmcb->nested_cr3 = memory_root(true);
		return;
	}
	cpu->vmcb->nested_cr3 = memory_root(cpu->vmcb->save.cr0 & CR0_PG);
	watch_cr3(cpu, true);
}

static void write_cr3(struct cpu *cpu, u64 value)
{
	watch_cr3(cpu, !(value & cpu->cr3_shown & BIT(SIDE_BIT) && cpu->vmcb->save.rip & BIT(63)));
	cpu->vmcb->save.cr3 = (value & ~BIT(63)) | BIT(SIDE_BIT);
	cpu->cr3_shown = value;
}

static void write_cr0(struct cpu *cpu, u64 value)
{
	struct vmcb_save *s = &cpu->vmcb->save;
	bool paging = value & CR0_PG;

	if (paging == !!(s->cr0 & CR0_PG)) {
		s->cr0 = value;
		return;
	}
	s->cr0 = value;
	if (paging && s->efer & EFER_LME)
		s->efer |= EFER_LMA;
	if (!paging)
		s->efer &= ~EFER_LMA;
	cpu->vmcb->nested_cr3 = memory_root(paging);
	watch_cr3(cpu, true);
}

/* The intercept does not say which register is moved: that takes a look at the instruction. */
void cr_exit(struct cpu *cpu)
{
	u8 code[8];
	unsigned i = 0, rex = 0, reg;
	u64 *gpr;

	walk_code(cpu, code, sizeof(code));
	while (i < 4 && (code[i] == 0x66 || code[i] == 0x67 || code[i] == 0x2e || code[i] == 0xf0))
		i++;
	if (cpu->vmcb->save.efer & EFER_LMA && (code[i] & 0xf0) == 0x40)
		rex = code[i++];
	if (code[i] != 0x0f)
		stop_guest(cpu, "not an instruction for a control register");
	reg = code[i + 2] >> 3 & 7;
	gpr = &cpu->r[(code[i + 2] & 7) | (rex & 1) << 3];

	if (code[i + 1] == 0x22 && reg == 3) {
		write_cr3(cpu, *gpr);
	} else if (code[i + 1] == 0x22 && reg == 0) {
		write_cr0(cpu, *gpr);
	} else if (code[i + 1] == 0x20 && reg == 3) {
		*gpr = cpu->cr3_shown;
	} else if (code[i + 1] == 0x06) {
		write_cr0(cpu, cpu->vmcb->save.cr0 & ~8ULL);
		i--;
	} else if (code[i + 1] == 0x01 && reg == 6 && code[i + 2] >= 0xc0) {
		write_cr0(cpu, (cpu->vmcb->save.cr0 & ~14ULL) | (*gpr & 15));
	} else {
		stop_guest(cpu, "an unexpected instruction for a control register");
	}
	cpu_skip(cpu, i + 3);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * INT3 in the guest, by which Linux changes its code at run time: it puts an INT3 over an
 * instruction, lets every processor notice, writes the rest, and the first byte last. QEMU 7.2 may
 * translate that byte on one processor while another writes it, and keep the translation of what is
 * no longer there (10.0 does not); on any guest, ours or not, the INT3 is then executed later, when
 * nobody expects it, and Linux dies of "Oops: int3". So an INT3 that is not in memory makes QEMU
 * translate the place anew, and is executed again; all others are delivered.
 *
 * AMD APM vol. 2, section 15.20 (event injection); vol. 3, INT, INT3. An INT3 has the intercept of
 * exception 3 on hardware, that of INTn in TCG.
 */
#include "guest.h"
#include "count.h"

#define INT3	    0xcc
#define INT	    0xcd
#define INJECT_BP   (3 | 3ULL << 8 | 1ULL << 31)
#define INJECT_SOFT (4ULL << 8 | 1ULL << 31)

/* INT n may only be used with the gates that are for it: others are a fault, at the instruction. */
static void software_interrupt(struct cpu *cpu, u8 number)
{
	const struct vmcb_save *s = &cpu->vmcb->save;
	u8 gate[16];

	if (s->efer & EFER_LMA && walk_read(cpu, s->idtr.base + 16 * number, gate, 16) == 16 &&
		(gate[5] >> 5 & 3) < s->cpl) {
		cpu_inject(cpu, INJECT_GP | (number * 8ULL + 2) << 32);
		return;
	}
	cpu_skip(cpu, 2);
	cpu_inject(cpu, INJECT_SOFT | number);
}

void int3_exit(struct cpu *cpu)
{
	const struct vmcb_save *s = &cpu->vmcb->save;
	u64 linear = (s->efer & EFER_LMA && s->cs.attrib & 0x200 ? 0 : s->cs.base) + s->rip, gpa;
	u8 *code, number[2];

	if (!walk(cpu, linear, &gpa) || !(code = memory_guest(gpa)))
		stop_guest(cpu, "an interrupt instruction that is nowhere");
	switch (__atomic_load_n(code, __ATOMIC_RELAXED)) {
	case INT3:
		cpu_skip(cpu, 1);
		cpu_inject(cpu, INJECT_BP);
		break;
	case INT:
		walk_code(cpu, number, sizeof(number));
		software_interrupt(cpu, number[1]);
		break;
	default:
		/* a write, though of what is there, drops the translation */
		count(COUNT_STALE_INT3, 1);
		__asm__ volatile("lock orb $0, %0" : "+m"(*code));
	}
}

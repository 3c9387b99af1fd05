/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The other processors. A guest starts one with INIT and start-up IPIs, by its APIC and without our
 * help; the processor then runs, as no guest of ours, at a page below 1 MiB of what is the shared
 * half. So each such page holds a stub that leads here (entry.S), with the page's number. An SNP
 * guest asks us to start one with a state of its choice; we send the IPIs then.
 *
 * In strict mode NMIs make processors leave the guest when the nested tables have changed.
 *
 * Intel SDM vol. 3, sections 9.4 (MP initialization) and 11.6 (interprocessor interrupts); AMD APM
 * vol. 2, table 14-1 (processor state after INIT).
 */
#include "guest.h"
#include "count.h"

#define APIC	 0xfee00000UL
#define APIC_ICR 0x300
#define APIC_ID	 0x310
#define ICR_BUSY BIT(12)
#define ICR_INIT 0x4500
#define ICR_SIPI 0x4600
#define ICR_NMI	 0x4400
#define ANY_STUB 0x01

extern const u8 smp_stub[], smp_stub_end[], smp_nmi[];

void smp_init(void)
{
	u64 page;

	/* not page 0, which holds the real-mode interrupt vectors; nor what the BIOS keeps at 9f000
	 */
	for (page = 0x1000; page < 0x9f000; page += PAGE_SIZE)
		memcpy(at(page), smp_stub, (size_t)(smp_stub_end - smp_stub));
}

static void send(u32 id, u32 command)
{
	volatile u32 *icr = at(APIC + APIC_ICR), *to = at(APIC + APIC_ID);
	u32 guests = *to;

	*to = id << 24;
	*icr = command;
	while (*icr & ICR_BUSY)
		__builtin_ia32_pause();
	*to = guests;
}

void smp_start(u32 id, u64 vmsa)
{
	__atomic_store_n(&cpus[id].vmsa, vmsa, __ATOMIC_RELEASE);
	send(id, ICR_INIT);
	send(id, ICR_SIPI | ANY_STUB);
}

/*
 * After a change of the nested tables: returns when every other processor has left the guest, or is
 * on its way, since it went by the tables before. An entry flushes what is left of them. One that
 * waits for INIT never leaves; the number of rounds is for it.
 */
void smp_flush(struct cpu *cpu)
{
	static volatile int lock;
	struct cpu *other;
	u64 rounds;

	while (__atomic_exchange_n(&lock, 1, __ATOMIC_SEQ_CST))
		__builtin_ia32_pause();
	for (other = cpus; other < cpus + MAX_CPUS; other++) {
		if (other == cpu || !__atomic_load_n(&other->in_guest, __ATOMIC_SEQ_CST))
			continue;
		if (!__atomic_exchange_n(&other->nmi_is_ours, true, __ATOMIC_SEQ_CST))
			send(other->id, ICR_NMI);
		for (rounds = 0; rounds < 100000000; rounds++) {
			if (!__atomic_load_n(&other->in_guest, __ATOMIC_SEQ_CST) ||
				!__atomic_load_n(&other->nmi_is_ours, __ATOMIC_SEQ_CST))
				break;
			__builtin_ia32_pause();
		}
	}
	__atomic_store_n(&lock, 0, __ATOMIC_SEQ_CST);
}

/*
 * The NMI is still pending, and taken here: the handler sets RAX. Was it the guest's, then it gets
 * one. (TCG looks for what STGI lets through when it next leaves its own loop, as for PAUSE.)
 */
void smp_nmi_exit(struct cpu *cpu)
{
	u64 taken = 0;

	__asm__ volatile("stgi\n1:\tpause\n\ttest %0, %0\n\tjz 1b\n\tclgi"
			 : "+a"(taken)
			 :
			 : "memory");
	if (__atomic_exchange_n(&cpu->nmi_is_ours, false, __ATOMIC_SEQ_CST)) {
		count(COUNT_NMI_OURS, 1);
		return;
	}
	count(COUNT_NMI_GUESTS, 1);
	cpu_inject(cpu, INJECT_NMI);
}

void smp_load_idt(void)
{
	static struct {
		u64 gate, high;
	} idt[3];
	struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (u64)idt };
	u64 handler = (u64)smp_nmi;

	/* a 64-bit interrupt gate of our code segment, for vector 2 */
	idt[2].gate =
		(handler & 0xffff) | 0x08 << 16 | 0x8eULL << 40 | (handler >> 16 & 0xffff) << 48;
	idt[2].high = handler >> 32;
	__asm__ volatile("lidt %0" : : "m"(idtr));
}

static void enter_real_mode(struct cpu *cpu, u32 page)
{
	struct vmcb_save *s = &cpu->vmcb->save;
	struct vmcb_seg data = { 0, 0x93, 0xffff, 0 };

	s->cs = (struct vmcb_seg){ page << 8, 0x9b, 0xffff, page << 12 };
	s->ds = s->es = s->ss = data;
	s->gdtr.limit = s->idtr.limit = 0xffff;
	s->cr0 = 0x60000010;
	s->rflags = 2;
}

/* The state that an SNP guest has put into a page of its memory. */
static void enter_vmsa(struct cpu *cpu, const struct vmcb_save *vmsa)
{
	struct vmcb_save *s = &cpu->vmcb->save;

	memcpy(s, vmsa, offsetof(struct vmcb_save, fs));
	s->gdtr = vmsa->gdtr;
	s->idtr = vmsa->idtr;
	s->efer = vmsa->efer;
	s->cr0 = vmsa->cr0;
	s->cr3 = vmsa->cr3;
	s->cr4 = vmsa->cr4;
	s->dr6 = vmsa->dr6;
	s->dr7 = vmsa->dr7;
	s->rflags = vmsa->rflags;
	s->rip = vmsa->rip;
	s->rsp = vmsa->rsp;
}

_Noreturn void smp_main(u32 page, u32 id)
{
	struct cpu *cpu = &cpus[id];
	u64 vmsa = __atomic_exchange_n(&cpu->vmsa, 0, __ATOMIC_ACQUIRE);

	count(COUNT_AP_START, 1);
	cpu_init(cpu);
	if (vmsa)
		enter_vmsa(cpu, at(vmsa));
	else
		enter_real_mode(cpu, page);
	cpu->r[RDX] = cpuid(1, 0).eax;
	cr_init(cpu);
	cpu_run(cpu);
}

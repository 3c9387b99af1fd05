/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Start and main loop. A guest processor runs until something happens that a confidential guest's
 * hardware or hypervisor would answer; all else, interrupts and devices included, is its own
 * affair.
 *
 * AMD APM vol. 2, chapter 15 (Secure Virtual Machine).
 */
#include "guest.h"
#include "control.h"
#include "multiboot.h"

struct guest guest;
struct cpu cpus[MAX_CPUS];

extern const u8 wait_for_interrupt[];
void switch_to_guest(u64 *r, u64 vmcb);
_Noreturn void main(u32 mb, u32 id);

void cpu_inject(struct cpu *cpu, u64 event)
{
	cpu->vmcb->event_injection = event;
}

void cpu_skip(struct cpu *cpu, u64 bytes)
{
	cpu->vmcb->save.rip += bytes;
	cpu->vmcb->interrupt_shadow = 0;
}

/* A guest that does nothing but wait, in the hypervisor's own memory. */
static void init_wait_vmcb(struct vmcb *vmcb)
{
	struct vmcb_save *s = &vmcb->save;

	vmcb->intercept_1 = INTERCEPT_1_INTR | INTERCEPT_1_NMI | INTERCEPT_1_SHUTDOWN;
	vmcb->intercept_2 = 1;
	vmcb->asid = 2;
	vmcb->tlb_control = TLB_FLUSH_ALL;
	s->cs = (struct vmcb_seg){ 0x08, 0xa9b, 0xffffffff, 0 };
	s->ds = s->es = s->ss = (struct vmcb_seg){ 0x10, 0xc93, 0xffffffff, 0 };
	__asm__("mov %%cr0, %0" : "=r"(s->cr0));
	__asm__("mov %%cr3, %0" : "=r"(s->cr3));
	__asm__("mov %%cr4, %0" : "=r"(s->cr4));
	s->efer = rdmsr(MSR_EFER);
	s->rflags = 0x202;
	s->dr6 = 0xffff0ff0;
	s->dr7 = 0x400;
	s->g_pat = 0x0007040600070406;
}

void cpu_init(struct cpu *cpu)
{
	struct vmcb *vmcb;

	if (!cpu->vmcb) {
		cpu->vmcb = memory_alloc(PAGE_SIZE);
		cpu->wait_vmcb = memory_alloc(PAGE_SIZE);
		cpu->host_save = memory_alloc(PAGE_SIZE);
		init_wait_vmcb(cpu->wait_vmcb);
	}
	cpu->id = (u32)(cpu - cpus);
	memset(cpu->r, 0, sizeof(cpu->r));
	wrmsr(MSR_VM_HSAVE_PA, (u64)cpu->host_save);

	vmcb = memset(cpu->vmcb, 0, sizeof(*vmcb));
	vmcb->intercept_1 = INTERCEPT_1_CPUID | INTERCEPT_1_INTN | INTERCEPT_1_IO |
			    INTERCEPT_1_MSR | INTERCEPT_1_SHUTDOWN;
	vmcb->intercept_2 = INTERCEPT_2_SVM;
	if (guest.strict) {
		vmcb->intercept_1 |= INTERCEPT_1_NMI;
		smp_load_idt();
	}
	vmcb->intercept_exceptions = BIT(3) | (guest.tee != TEE_SEV ? BIT(6) : 0);
	vmcb->asid = 1;
	vmcb->tlb_control = TLB_FLUSH_ALL;
	vmcb->nested_paging = 1;
	vmcb->save.dr6 = 0xffff0ff0;
	vmcb->save.dr7 = 0x400;
	vmcb->save.g_pat = 0x0007040600070406;
	io_init(vmcb);
	msr_init(vmcb);
}

static void count_exit(const struct vmcb *vmcb)
{
	static const struct {
		u16 code, counter;
	} exits[] = {
		{ EXIT_READ_CR3, COUNT_EXIT_CR3_READ },
		{ EXIT_WRITE_CR0, COUNT_EXIT_CR0_WRITE },
		{ EXIT_WRITE_CR3, COUNT_EXIT_CR3_WRITE },
		{ EXIT_BP, COUNT_EXIT_INT3 },
		{ EXIT_INTN, COUNT_EXIT_INT3 },
		{ EXIT_UD, COUNT_EXIT_UD },
		{ EXIT_INTR, COUNT_EXIT_INTR },
		{ EXIT_NMI, COUNT_EXIT_NMI },
		{ EXIT_CPUID, COUNT_EXIT_CPUID },
		{ EXIT_IO, COUNT_EXIT_IO },
		{ EXIT_VMMCALL, COUNT_EXIT_VMMCALL },
		{ EXIT_SHUTDOWN, COUNT_EXIT_SHUTDOWN },
		{ EXIT_NPF, COUNT_EXIT_NPF },
	};
	size_t i;

	if (vmcb->exit_code == EXIT_MSR) {
		count(vmcb->exit_info_1 & 1 ? COUNT_EXIT_MSR_WRITE : COUNT_EXIT_MSR_READ, 1);
		return;
	}
	for (i = 0; i < sizeof(exits) / sizeof(exits[0]); i++) {
		if (exits[i].code == vmcb->exit_code) {
			count(exits[i].counter, 1);
			return;
		}
	}
	count(vmcb->exit_code >= EXIT_VMRUN && vmcb->exit_code <= EXIT_SKINIT ? COUNT_EXIT_SVM
									      : COUNT_EXIT_OTHER,
		1);
}

/* Until an interrupt is there for the guest. It is not taken here, but on the way back. */
void cpu_wait(struct cpu *cpu)
{
	u64 unused[16] = { 0 };

	cpu->wait_vmcb->save.rip = (u64)wait_for_interrupt;
	cpu->wait_vmcb->save.rflags = 0x202;
	switch_to_guest(unused, (u64)cpu->wait_vmcb);
	count_exit(cpu->wait_vmcb);
}

static void undefined_instruction(struct cpu *cpu)
{
	u8 code[16];

	walk_code(cpu, code, sizeof(code));
	if (guest.tee == TEE_SNP && snp_instruction(cpu, code))
		return;
	if (guest.tee == TEE_TDX && tdx_instruction(cpu, code))
		return;
	count(COUNT_UD_GUESTS, 1);
	cpu_inject(cpu, INJECT_UD);
}

static void vmmcall(struct cpu *cpu)
{
	if (guest.tee == TEE_SNP && snp_vmmcall(cpu))
		return;
	if (guest.tee == TEE_SEV && sev_vmmcall(cpu))
		return;
	count(COUNT_VMMCALL_GUESTS, 1);
	cpu_inject(cpu, INJECT_UD);
}

static void nested_page_fault(struct cpu *cpu, u64 gpa)
{
	u64 address = gpa & ~BIT(SIDE_BIT);

	if (guest.tee == TEE_SEV && sev_fault(gpa))
		return;
	if (!memory_at(SHARED, address))
		stop_guest(cpu, "no such memory: guest physical %x", gpa);
	if (memory_present(SHARED, address))
		stop_guest(cpu, "private access to shared memory: guest physical %x", address);
	if (memory_present(PRIVATE, address))
		stop_guest(cpu, "shared access to private memory: guest physical %x", address);
	stop_guest(cpu, "access to memory that was not accepted: guest physical %x", address);
}

static void handle_exit(struct cpu *cpu)
{
	struct vmcb *vmcb = cpu->vmcb;

	count_exit(vmcb);
	switch (vmcb->exit_code) {
	case EXIT_READ_CR3:
	case EXIT_WRITE_CR0:
	case EXIT_WRITE_CR3:
		cr_exit(cpu);
		break;
	case EXIT_BP:
	case EXIT_INTN:
		int3_exit(cpu);
		break;
	case EXIT_UD:
		undefined_instruction(cpu);
		break;
	case EXIT_NMI:
		smp_nmi_exit(cpu);
		break;
	case EXIT_CPUID:
		cpuid_exit(cpu);
		break;
	case EXIT_IO:
		io_exit(cpu);
		break;
	case EXIT_MSR:
		msr_exit(cpu);
		break;
	case EXIT_VMMCALL:
		vmmcall(cpu);
		break;
	case EXIT_SHUTDOWN:
		reset_guest(cpu, "the guest shut down (triple fault)");
	case EXIT_NPF:
		nested_page_fault(cpu, vmcb->exit_info_2);
		break;
	default:
		if (vmcb->exit_code < EXIT_VMRUN || vmcb->exit_code > EXIT_SKINIT)
			stop_guest(cpu, "unexpected exit");
		cpu_inject(cpu, INJECT_UD);
	}
}

void cpu_run(struct cpu *cpu)
{
	struct vmcb *vmcb = cpu->vmcb;

	for (;;) {
		vmcb->save.efer |= EFER_SVME;
		vmcb->save.rax = cpu->r[RAX];
		vmcb->save.rsp = cpu->r[RSP];
		__atomic_store_n(&cpu->in_guest, true, __ATOMIC_SEQ_CST);
		switch_to_guest(cpu->r, (u64)vmcb);
		__atomic_store_n(&cpu->in_guest, false, __ATOMIC_SEQ_CST);
		cpu->r[RAX] = vmcb->save.rax;
		cpu->r[RSP] = vmcb->save.rsp;
		vmcb->event_injection = 0;
		/* an event whose delivery the exit cut short is to be delivered again */
		if (vmcb->exit_int_info & BIT(31))
			vmcb->event_injection = vmcb->exit_int_info;
		handle_exit(cpu);
	}
}

static bool has_option(const char *options, const char *name, const char **ret_value)
{
	const char *n;

	for (; *options; options++) {
		for (n = name; *n && *options == *n; n++)
			options++;
		if (!*n && (*options == ' ' || *options == 0 || n[-1] == '=')) {
			if (ret_value)
				*ret_value = options;
			return true;
		}
		while (*options && *options != ' ')
			options++;
		if (!*options)
			break;
	}
	return false;
}

static void parse_options(const char *options)
{
	const char *value;

	guest.strict = has_option(options, "strict", NULL);
	if (!has_option(options, "tee=", &value))
		stop("no tee=sev, tee=snp or tee=tdx");
	if (memcmp(value, "sev", 3) == 0)
		guest.tee = TEE_SEV;
	else if (memcmp(value, "snp", 3) == 0)
		guest.tee = TEE_SNP;
	else if (memcmp(value, "tdx", 3) == 0)
		guest.tee = TEE_TDX;
	else
		stop("tee= is sev, snp or tdx");
	guest.reports = guest.tee != TEE_SEV;
	if (!has_option(options, "ram=", &value))
		stop("no ram=MEBIBYTES");
	for (; *value >= '0' && *value <= '9'; value++)
		guest.ram = guest.ram * 10 + (*value - '0');
	guest.ram = guest.ram * MiB & -(2 * MiB);
	if (guest.ram < 256 * MiB || guest.ram > MAX_RAM)
		stop("ram=%u: from 256 to %u MiB can be had", guest.ram / MiB, MAX_RAM / MiB);
	guest.low = guest.ram < HV_BASE ? guest.ram : HV_BASE;
}

/* Keeps what the boot loader put behind us; returns where low memory ends. */
static u64 survey(const struct multiboot *mb)
{
	const struct multiboot_module *mods = at(mb->mods_addr);
	struct multiboot_mmap m;
	u64 low_end = 0, high = 0, offset;
	extern u8 end[];
	u32 i;

	memory_reserve((u64)end);
	memory_reserve(mb->mmap_addr + mb->mmap_length);
	for (i = 0; i < mb->mods_count; i++)
		memory_reserve(mods[i].end);
	for (offset = 0; offset < mb->mmap_length; offset += m.size + 4) {
		memcpy(&m, at(mb->mmap_addr + offset), sizeof(m));
		if (m.type == 1 && m.base <= HV_BASE && m.base + m.length <= LOW_MEM_END)
			low_end = m.base + m.length;
		if (m.type == 1 && m.base == 4 * GiB)
			high = m.length;
	}
	if (low_end < HV_BASE || high < guest.ram - guest.low + guest.ram)
		stop("ram=%u needs a pc with -m %u", guest.ram / MiB,
			3072 + (guest.ram - guest.low + guest.ram) / MiB);
	return low_end;
}

void main(u32 mb_address, u32 id)
{
	const struct multiboot *mb = at(mb_address);
	struct cpu *cpu = &cpus[id];

	if ((u64)&control != CONTROL_PAGE)
		stop("link.ld puts the control page elsewhere");
	parse_options(at(mb->cmdline));
	if (!(cpuid(0x80000001, 0).ecx & BIT(2)) || (cpuid(0x80000008, 0).eax & 0xff) <= SIDE_BIT)
		stop("this processor lacks SVM or 40 bits of physical address: use -cpu max");
	memory_init(survey(mb));
	if (!has_option(at(mb->cmdline), "poison=no", NULL))
		memory_poison();
	smp_init();
	linux_load(mb);
	cpu_init(cpu);
	linux_enter(cpu);
	cr_init(cpu);
	say("tee %s", guest.tee == TEE_SEV ? "sev" : guest.tee == TEE_SNP ? "snp" : "tdx");
	say("control page at %x", (u64)&control);
	control.state = CONTROL_RUNS;
	cpu_run(cpu);
}

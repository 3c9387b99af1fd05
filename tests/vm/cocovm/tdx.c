/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Intel TDX: the TDCALL instruction, with calls that the TDX module answers itself and the one that
 * goes on to the hypervisor (TDG.VP.VMCALL). A guest here never gets a #VE exception: what would
 * raise one (CPUID, MSRs, ports, devices) just works, but it asks for some of it all the same.
 *
 * Intel TDX Module ABI Reference, "TDCALL"; TDX Guest-Hypervisor Communication Interface 1.5,
 * section 3 (TDG.VP.VMCALL).
 */
#include "guest.h"
#include "convert.h"
#include "count.h"

/* TDCALL, in RAX */
#define VP_VMCALL	 0
#define VP_INFO		 1
#define MR_RTMR_EXTEND	 2
#define VP_CPUIDVE_SET	 5
#define MEM_PAGE_ACCEPT	 6
#define VM_RD		 7
#define VM_WR		 8
#define SUCCESS		 0
#define OPERAND_INVALID	 0xc000010000000000
#define ALREADY_ACCEPTED 0x00000b0a00000000
#define SEPT_VE_DISABLE	 BIT(28) /* of the attributes: no #VE for private pages */

/* TDG.VP.VMCALL, in R11, answered in R10 */
#define CALL_CPUID	 10
#define CALL_HLT	 12
#define CALL_IO		 30
#define CALL_RDMSR	 31
#define CALL_WRMSR	 32
#define CALL_MMIO	 48
#define CALL_INFO	 0x10000
#define CALL_MAP_GPA	 0x10001
#define CALL_FATAL_ERROR 0x10003
#define CALL_OK		 0
#define CALL_RETRY	 1
#define CALL_BAD_OPERAND 0x8000000000000000
#define CALL_ALIGN_ERROR 0x8000000000000002
#define CALL_IS_WRITE	 1

static u64 map_gpa(struct cpu *cpu)
{
	u64 gpa = cpu->r[R12], size = cpu->r[R13], done;
	enum side to = memory_side(gpa);

	if ((gpa | size) % PAGE_SIZE)
		return CALL_ALIGN_ERROR;
	switch (convert(cpu, gpa & ~BIT(SIDE_BIT), size, to, &done)) {
	case CONVERT_OK:
		return CALL_OK;
	case CONVERT_RETRY:
		cpu->r[R11] = gpa + done;
		return CALL_RETRY;
	default:
		cpu->r[R11] = gpa;
		return CALL_BAD_OPERAND;
	}
}

static u64 port(struct cpu *cpu)
{
	u64 size = cpu->r[R12];

	if (size != 1 && size != 2 && size != 4)
		return CALL_BAD_OPERAND;
	if (cpu->r[R13] == CALL_IS_WRITE)
		io_out(cpu->r[R14], size, cpu->r[R15]);
	else
		cpu->r[R11] = io_in(cpu->r[R14], size);
	return CALL_OK;
}

static u64 device_memory(struct cpu *cpu)
{
	u64 gpa = cpu->r[R14] & ~BIT(SIDE_BIT), size = cpu->r[R12];
	void *p = at(gpa);

	/* devices only: the hypervisor reads and writes no RAM on the guest's behalf */
	if (gpa < LOW_MEM_END || gpa > BIT(32) - 8)
		return CALL_BAD_OPERAND;
	if (cpu->r[R13] == CALL_IS_WRITE) {
		if (size == 1)
			*(volatile u8 *)p = cpu->r[R15];
		else if (size == 2)
			*(volatile u16 *)p = cpu->r[R15];
		else if (size == 4)
			*(volatile u32 *)p = cpu->r[R15];
		else
			*(volatile u64 *)p = cpu->r[R15];
	} else {
		if (size == 1)
			cpu->r[R11] = *(volatile u8 *)p;
		else if (size == 2)
			cpu->r[R11] = *(volatile u16 *)p;
		else if (size == 4)
			cpu->r[R11] = *(volatile u32 *)p;
		else
			cpu->r[R11] = *(volatile u64 *)p;
	}
	return CALL_OK;
}

static _Noreturn void fatal_error(struct cpu *cpu)
{
	static const u8 order[] = { R14, R15, RBX, RDI, RSI, R8, R9, RDX };
	char text[65];
	size_t i;

	for (i = 0; i < 8; i++)
		memcpy(text + 8 * i, &cpu->r[order[i]], 8);
	text[64] = 0;
	stop_guest(cpu, "the guest gives up: %s", text);
}

static u64 vmcall(struct cpu *cpu)
{
	struct cpuid c;

	if (cpu->r[R10] != 0) {
		count(COUNT_TDV_OTHER, 1);
		return CALL_BAD_OPERAND; /* not a standard call */
	}
	switch (cpu->r[R11]) {
	case CALL_CPUID:
		count(COUNT_TDV_CPUID, 1);
		c = cpuid_seen(cpu->r[R12], cpu->r[R13], cpu->vmcb->save.cr4);
		cpu->r[R12] = c.eax;
		cpu->r[R13] = c.ebx;
		cpu->r[R14] = c.ecx;
		cpu->r[R15] = c.edx;
		return CALL_OK;
	case CALL_HLT:
		count(COUNT_TDV_HLT, 1);
		cpu_wait(cpu);
		return CALL_OK;
	case CALL_IO:
		count(COUNT_TDV_IO, 1);
		return port(cpu);
	case CALL_MMIO:
		count(COUNT_TDV_MMIO, 1);
		return device_memory(cpu);
	case CALL_INFO:
		count(COUNT_TDV_INFO, 1);
		cpu->r[R11] = cpu->r[R12] = cpu->r[R13] = cpu->r[R14] = 0;
		return CALL_OK;
	case CALL_MAP_GPA:
		count(COUNT_TDV_MAP_GPA, 1);
		return map_gpa(cpu);
	case CALL_FATAL_ERROR:
		fatal_error(cpu);
	default:
		count(COUNT_TDV_OTHER, 1);
		/* RDMSR and WRMSR too, which nothing asks for as they do not trap */
		say("TDVMCALL %x, which is not emulated", cpu->r[R11]);
		return CALL_BAD_OPERAND;
	}
}

static u64 accept(struct cpu *cpu)
{
	static const u64 sizes[] = { PAGE_SIZE, 2 * MiB, GiB };
	u64 level = cpu->r[RCX] & 7, gpa = cpu->r[RCX] & 0x000ffffffffff000;

	if (level > 2 || gpa % sizes[level])
		return OPERAND_INVALID;
	return convert_validate(cpu, gpa, sizes[level], true) ? SUCCESS : ALREADY_ACCEPTED;
}

static u64 tdcall(struct cpu *cpu)
{
	switch (cpu->r[RAX]) {
	case VP_VMCALL:
		count(COUNT_TD_VMCALL, 1);
		cpu->r[R10] = vmcall(cpu);
		return SUCCESS;
	case VP_INFO:
		count(COUNT_TD_INFO, 1);
		cpu->r[RCX] =
			SIDE_BIT + 1; /* the width of an address: its highest bit is the side */
		cpu->r[RDX] = SEPT_VE_DISABLE;
		cpu->r[R8] = 1 | (u64)MAX_CPUS << 32;
		cpu->r[R9] = cpu->id;
		cpu->r[R10] = cpu->r[R11] = 0;
		return SUCCESS;
	case MEM_PAGE_ACCEPT:
		count(COUNT_TD_ACCEPT, 1);
		return accept(cpu);
	case MR_RTMR_EXTEND:
		count(COUNT_TD_RTMR, 1);
		return SUCCESS;
	case VP_CPUIDVE_SET:
		count(COUNT_TD_CPUIDVE, 1);
		return SUCCESS;
	case VM_RD:
	case VM_WR:
		count(cpu->r[RAX] == VM_RD ? COUNT_TD_RD : COUNT_TD_WR, 1);
		cpu->r[R8] = 0;
		return SUCCESS;
	default:
		count(COUNT_TD_OTHER, 1);
		return OPERAND_INVALID;
	}
}

bool tdx_instruction(struct cpu *cpu, const u8 *code)
{
	if (memcmp(code, "\x66\x0f\x01\xcc", 4) != 0)
		return false;
	cpu->r[RAX] = tdcall(cpu);
	cpu_skip(cpu, 4);
	return true;
}

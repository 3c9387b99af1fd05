/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The model-specific registers that are not the machine's own. The permission map names few; what
 * lies outside its three ranges always comes here, and is no register at all but for our own.
 *
 * AMD APM vol. 2, sections 15.11 (MSR intercepts), 15.34.10 (SEV_STATUS), 15.35.2 (GHCB MSR).
 */
#include "guest.h"
#include "magic.h"

#define MSR_GHCB		  0xc0010130
#define MSR_KVM_MIGRATION_CONTROL 0x4b564d08
#define MSR_SEV_STATUS		  0xc0010131

/* Two bits a register, read and write; 2 KiB for each of three ranges of registers. */
static void intercept(u8 *map, u32 msr, unsigned bits)
{
	unsigned i = (msr & 0x1fff) * 2;

	if (msr >= 0xc0000000)
		i += msr >= 0xc0010000 ? 0x2000 * 4 : 0x2000 * 2;
	map[i / 8] |= bits << i % 8;
}

void msr_init(struct vmcb *vmcb)
{
	static u8 *map;

	if (!map) {
		map = memory_alloc(2 * PAGE_SIZE);
		if (guest.tee != TEE_TDX)
			intercept(map, MSR_SEV_STATUS, 3);
		if (guest.tee == TEE_SNP)
			intercept(map, MSR_GHCB, 3);
	}
	vmcb->msrpm = (u64)map;
}

static bool msr_read(struct cpu *cpu, u32 msr, u64 *ret_value)
{
	switch (msr) {
	case MSR_SEV_STATUS:
		*ret_value = guest.tee == TEE_SNP ? 7 : 1;
		return true;
	case MSR_GHCB:
		*ret_value = snp_msr_read(cpu);
		return true;
	default:
		return magic_read(msr, ret_value);
	}
}

static bool msr_write(struct cpu *cpu, u32 msr, u64 value)
{
	switch (msr) {
	case MSR_GHCB:
		snp_msr_write(cpu, value);
		return true;
	case MSR_KVM_MIGRATION_CONTROL:
		return sev_reports(value);
	default:
		return magic_write(msr, value);
	}
}

void msr_exit(struct cpu *cpu)
{
	u32 msr = (u32)cpu->r[RCX];
	u64 value = (u32)cpu->r[RAX] | cpu->r[RDX] << 32;

	if (cpu->vmcb->exit_info_1 & 1) {
		if (!msr_write(cpu, msr, value)) {
			cpu_inject(cpu, INJECT_GP);
			return;
		}
	} else {
		if (!msr_read(cpu, msr, &value)) {
			cpu_inject(cpu, INJECT_GP);
			return;
		}
		cpu->r[RAX] = (u32)value;
		cpu->r[RDX] = value >> 32;
	}
	cpu_skip(cpu, 2);
}

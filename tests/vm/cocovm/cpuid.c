/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the guest's CPUID says: QEMU's processor, without SVM, with the technology to emulate.
 *
 * AMD APM vol. 3, appendix E.4.17 (leaf 0x8000001f); Intel TDX Module Base Architecture, "CPUID
 * Virtualization" (leaf 0x21); Documentation/virt/kvm/x86/cpuid.rst.
 */
#include "guest.h"
#include "count.h"

#define LEAF_SEV 0x8000001f
#define LEAF_TDX 0x21

struct cpuid cpuid_seen(u32 leaf, u32 subleaf, u64 cr4)
{
	struct cpuid c = cpuid(leaf, subleaf);
	u32 base = leaf & 0xffff0000;

	/* QEMU answers a leaf beyond its last with another; one that only we have begins empty */
	if ((base == 0 || base == 0x80000000) && leaf > cpuid(base, 0).eax)
		c = (struct cpuid){ 0 };

	switch (leaf) {
	case 0:
		if (guest.tee == TEE_TDX && c.eax < LEAF_TDX)
			c.eax = LEAF_TDX;
		break;
	case 1:
		/* CPUID.OSXSAVE is the guest's CR4, but here it was the hypervisor's */
		c.ecx = (c.ecx & ~BIT(27)) | (cr4 & CR4_OSXSAVE ? BIT(27) : 0);
		c.ecx &= ~BIT(21); /* x2APIC: smp.c knows the older interface only */
		break;
	case 7:
		/* OSPKE, likewise */
		if (subleaf == 0)
			c.ecx = (c.ecx & ~BIT(4)) | (cr4 & BIT(22) ? BIT(4) : 0);
		break;
	case LEAF_TDX:
		if (guest.tee == TEE_TDX && subleaf == 0) {
			memcpy(&c.ebx, "Inte", 4);
			memcpy(&c.edx, "lTDX", 4);
			memcpy(&c.ecx, "    ", 4);
		}
		break;
	case 0x40000000:
		if (guest.tee == TEE_SEV && guest.strict) {
			c.eax = 0x40000001;
			memcpy(&c.ebx, "KVMK", 4);
			memcpy(&c.ecx, "VMKV", 4);
			memcpy(&c.edx, "M\0\0\0", 4);
		}
		break;
	case 0x40000001:
		/* of KVM's features two, by which the guest tells of each conversion */
		c = (struct cpuid){ .eax = guest.tee == TEE_SEV && guest.strict ? BIT(16) | BIT(17)
										: 0 };
		break;
	case 0x80000000:
		if (guest.tee != TEE_TDX && c.eax < LEAF_SEV)
			c.eax = LEAF_SEV;
		break;
	case 0x80000001:
		c.ecx &= ~BIT(2); /* SVM */
		break;
	case 0x8000000a:
		c = (struct cpuid){ 0 };
		break;
	case LEAF_SEV:
		if (guest.tee == TEE_TDX)
			break;
		c = (struct cpuid){ .eax = BIT(1), .ebx = SIDE_BIT };
		if (guest.tee == TEE_SNP)
			c.eax |= BIT(3) | BIT(4); /* SEV-ES, SEV-SNP */
		break;
	}
	return c;
}

void cpuid_exit(struct cpu *cpu)
{
	struct cpuid c = cpuid_seen((u32)cpu->r[RAX], (u32)cpu->r[RCX], cpu->vmcb->save.cr4);

	cpu->r[RAX] = c.eax;
	cpu->r[RBX] = c.ebx;
	cpu->r[RCX] = c.ecx;
	cpu->r[RDX] = c.edx;
	cpu_skip(cpu, 2);
}

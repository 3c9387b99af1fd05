/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plain SEV: the guest sets bits in its page tables and tells nobody. In strict mode it is told
 * that KVM's hypercall for page states is there (see cpuid.c), which Linux then uses.
 *
 * Documentation/virt/kvm/x86/hypercalls.rst, 8. KVM_HC_MAP_GPA_RANGE; AMD APM vol. 2,
 * section 15.34.
 */
#include "guest.h"
#include "convert.h"

#define HC_MAP_GPA_RANGE 12
#define MAP_ENCRYPTED	 BIT(4)
#define ERROR_NO_SYSCALL (-1000LL)
#define ERROR_INVALID	 (-22LL)

bool sev_vmmcall(struct cpu *cpu)
{
	u64 gpa = cpu->r[RBX], pages = cpu->r[RCX], attributes = cpu->r[RDX], done;
	enum side to = attributes & MAP_ENCRYPTED ? PRIVATE : SHARED;

	if (!guest.strict)
		return false;
	if (cpu->r[RAX] != HC_MAP_GPA_RANGE) {
		cpu->r[RAX] = ERROR_NO_SYSCALL;
	} else if (convert(cpu, gpa, pages * PAGE_SIZE, to, &done) != CONVERT_OK) {
		cpu->r[RAX] = ERROR_INVALID;
	} else {
		if (to == PRIVATE)
			convert_validate(cpu, gpa, pages * PAGE_SIZE, true);
		cpu->r[RAX] = 0;
	}
	cpu_skip(cpu, 3);
	return true;
}

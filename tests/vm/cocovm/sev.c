/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Plain SEV: the guest sets bits in its page tables and tells nobody. In strict mode it is told
 * that KVM's hypercall for page states is there (see cpuid.c), which Linux then uses. Early in its
 * start it also shares pages first and tells later, copying their content from one side to the
 * other; so all accesses are let be until it has set KVM's migration control and then shares its
 * bounce buffers, the first 2 MiB at once. From then on a wrong access stops it, and a converted
 * page loses its content. A page that was used on both sides until then is where the kernel's page
 * tables have it at that moment; on the shared side, if they have it on both, as with data of the
 * kernel's image, which the direct mapping of all memory still calls private.
 *
 * Documentation/virt/kvm/x86/hypercalls.rst, 8. KVM_HC_MAP_GPA_RANGE; AMD APM vol. 2,
 * section 15.34.
 */
#include "guest.h"
#include "convert.h"
#include "count.h"

#define HC_MAP_GPA_RANGE 12
#define MAP_ENCRYPTED	 BIT(4)
#define ERROR_NO_SYSCALL (-1000LL)
#define ERROR_INVALID	 (-22LL)

static bool ready; /* the guest has set migration control */

static void shared_by_kernel(u64 gpa, u64 bytes)
{
	u64 a;

	if (memory_side(gpa) == PRIVATE)
		return;
	for (a = gpa; a < gpa + bytes; a += PAGE_SIZE) {
		if (memory_present(SHARED, a))
			memory_set_present(PRIVATE, a, false);
	}
}

/* From here on each page is on one side. Other processors do not run yet. */
static void begin_strictness(struct cpu *cpu)
{
	u64 offset, a;

	walk_kernel(cpu, shared_by_kernel);
	for (offset = MiB; offset < guest.ram; offset += PAGE_SIZE) {
		a = memory_gpa(offset);
		if (memory_present(PRIVATE, a))
			memory_set_present(SHARED, a, false);
	}
	guest.reports = true;
}

bool sev_vmmcall(struct cpu *cpu)
{
	u64 gpa = cpu->r[RBX], pages = cpu->r[RCX], attributes = cpu->r[RDX], done;
	enum side to = attributes & MAP_ENCRYPTED ? PRIVATE : SHARED;

	if (!guest.strict)
		return false;
	count(cpu->r[RAX] == HC_MAP_GPA_RANGE ? COUNT_MAP_GPA_RANGE : COUNT_SEV_OTHER, 1);
	if (cpu->r[RAX] != HC_MAP_GPA_RANGE) {
		cpu->r[RAX] = ERROR_NO_SYSCALL;
	} else if (convert(cpu, gpa, pages * PAGE_SIZE, to, &done) != CONVERT_OK) {
		cpu->r[RAX] = ERROR_INVALID;
	} else {
		if (!guest.reports && ready && to == SHARED && pages >= 512)
			begin_strictness(cpu);
		if (to == PRIVATE)
			convert_validate(cpu, gpa, pages * PAGE_SIZE, true);
		cpu->r[RAX] = 0;
	}
	cpu_skip(cpu, 3);
	return true;
}

bool sev_reports(u64 value)
{
	if (guest.tee != TEE_SEV || !guest.strict)
		return false;
	ready = value & 1;
	return true;
}

/* An access to a side where the page is not. */
bool sev_fault(u64 gpa)
{
	u64 address = gpa & ~BIT(SIDE_BIT);

	if (guest.reports || !memory_is_ram(address, 1))
		return false;
	count(COUNT_NPF_EARLY, 1);
	memory_set_present(memory_side(gpa), address, true);
	return true;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SEV-SNP: what the guest finds at its start, its two instructions, and the protocol by which it
 * asks the hypervisor, short requests in an MSR and long ones in a shared page (the GHCB). A guest
 * here never gets a #VC exception, so it asks only for what it wants by itself: page states, other
 * processors, features.
 *
 * SEV-ES GHCB Block Standardization 2.03, sections 2.3 (MSR protocol), 2.6 (GHCB layout), 4.1 (NAE
 * events), appendix; AMD APM vol. 3, PVALIDATE and RMPADJUST; SEV-SNP firmware ABI, section 8.14
 * (secrets and CPUID pages); Documentation/arch/x86/boot.rst (SETUP_CC_BLOB).
 */
#include "guest.h"
#include "convert.h"
#include "count.h"

#define MSR_SEV_INFO_RESPONSE 0x001
#define MSR_SEV_INFO	      0x002
#define MSR_CPUID	      0x004
#define MSR_CPUID_RESPONSE    0x005
#define MSR_PREFERRED_GPA     0x010
#define MSR_PREFERRED_GPA_RSP 0x011
#define MSR_REGISTER_GPA      0x012
#define MSR_REGISTER_GPA_RSP  0x013
#define MSR_PAGE_STATE	      0x014
#define MSR_PAGE_STATE_RSP    0x015
#define MSR_FEATURES	      0x080
#define MSR_FEATURES_RSP      0x081
#define MSR_TERMINATE	      0x100

#define EVENT_NMI_COMPLETE   0x80000003
#define EVENT_RESET_HOLD     0x80000004
#define EVENT_JUMP_TABLE     0x80000005
#define EVENT_PAGE_STATE     0x80000010
#define EVENT_REQUEST	     0x80000011
#define EVENT_REQUEST_EXT    0x80000012
#define EVENT_CREATE_CPU     0x80000013
#define EVENT_FEATURES	     0x8000fffd
#define CREATE_CPU_NOW	     1
#define ERROR_INVALID_EVENT  6
#define FEATURE_SNP	     BIT(0)
#define FEATURE_CREATE_CPU   BIT(1)
#define PAGE_STATE_PRIVATE   1
#define PAGE_STATE_SHARED    2
#define PVALIDATE_FAIL_INPUT 1
#define RFLAGS_RESULT	     0x8d5 /* OF, SF, ZF, AF, PF, CF */
#define RFLAGS_CF	     1

struct ghcb {
	u8 pad_0[0x390];
	u64 exit_code, exit_info_1, exit_info_2, scratch;
	u8 pad_3b0[0xffa - 0x3b0];
	u16 protocol_version;
	u32 usage;
};
_Static_assert(sizeof(struct ghcb) == PAGE_SIZE, "a GHCB is a page");

struct page_state_list {
	u16 current, last;
	u32 reserved;
	u64 entries[];
};

struct cpuid_page {
	u32 count, reserved_1;
	u64 reserved_2;
	struct {
		u32 leaf, subleaf;
		u64 xcr0, xss;
		struct cpuid value;
		u64 reserved;
	} entries[64];
};

struct cc_blob {
	u32 magic;
	u16 version, reserved;
	u64 secrets;
	u32 secrets_size, reserved_1;
	u64 cpuid_page;
	u32 cpuid_page_size, reserved_2;
};

struct setup_data {
	u64 next;
	u32 type, size;
	u32 cc_blob;
};

#define SETUP_CC_BLOB	    7
#define BOOT_PARAMS_CC_BLOB 0x13c /* filled by the kernel itself */
#define BOOT_PARAMS_SETUP   0x250
#define CC_BLOB_MAGIC	    0x45444d41

static void fill_cpuid_page(struct cpuid_page *page)
{
	static const u32 leaves[][2] = { { 0, 0 }, { 1, 0 }, { 7, 0 }, { 7, 1 }, { 0xd, 0 },
		{ 0xd, 1 }, { 0x80000000, 0 }, { 0x80000001, 0 }, { 0x80000002, 0 },
		{ 0x80000003, 0 }, { 0x80000004, 0 }, { 0x80000005, 0 }, { 0x80000006, 0 },
		{ 0x80000007, 0 }, { 0x80000008, 0 }, { 0x8000001e, 0 }, { 0x8000001f, 0 } };
	size_t i, n = sizeof(leaves) / sizeof(leaves[0]);

	memset(page, 0, sizeof(*page));
	page->count = n;
	for (i = 0; i < n; i++) {
		page->entries[i].leaf = leaves[i][0];
		page->entries[i].subleaf = leaves[i][1];
		page->entries[i].xcr0 = leaves[i][0] == 0xd ? 1 : 0;
		page->entries[i].value = cpuid_seen(leaves[i][0], leaves[i][1], 0);
	}
}

void snp_boot_data(u8 *boot_params)
{
	struct setup_data setup = { 0, SETUP_CC_BLOB, 4, GUEST_CC_BLOB };
	struct cc_blob blob = { .magic = CC_BLOB_MAGIC,
		.secrets = GUEST_SECRETS,
		.secrets_size = PAGE_SIZE,
		.cpuid_page = GUEST_CPUID_PAGE,
		.cpuid_page_size = PAGE_SIZE };
	u64 setup_at = GUEST_SETUP_DATA;

	memcpy(memory_at(PRIVATE, GUEST_SETUP_DATA), &setup, sizeof(setup));
	memcpy(memory_at(PRIVATE, GUEST_CC_BLOB), &blob, sizeof(blob));
	memset(memory_at(PRIVATE, GUEST_SECRETS), 0, PAGE_SIZE);
	fill_cpuid_page(memory_at(PRIVATE, GUEST_CPUID_PAGE));
	memcpy(boot_params + BOOT_PARAMS_SETUP, &setup_at, sizeof(setup_at));
}

u64 snp_msr_read(struct cpu *cpu)
{
	return cpu->ghcb_msr;
}

void snp_msr_write(struct cpu *cpu, u64 value)
{
	cpu->ghcb_msr = value;
}

static enum side page_state_side(struct cpu *cpu, u64 operation)
{
	if (operation != PAGE_STATE_PRIVATE && operation != PAGE_STATE_SHARED)
		stop_guest(cpu, "page state operation %u", operation);
	return operation == PAGE_STATE_PRIVATE ? PRIVATE : SHARED;
}

static u64 msr_request(struct cpu *cpu, u64 request)
{
	u64 gpa = request & 0x000ffffffffff000, done;
	struct cpuid c;
	u32 regs[4];

	switch (request & 0xfff) {
	case MSR_SEV_INFO:
		count(COUNT_MSR_INFO, 1);
		return 2ULL << 48 | 1ULL << 32 | (u64)SIDE_BIT << 24 | MSR_SEV_INFO_RESPONSE;
	case MSR_CPUID:
		count(COUNT_MSR_CPUID, 1);
		c = cpuid_seen(request >> 32, 0, cpu->vmcb->save.cr4);
		memcpy(regs, &c, sizeof(regs));
		return (u64)regs[request >> 30 & 3] << 32 | (request & 3ULL << 30) |
		       MSR_CPUID_RESPONSE;
	case MSR_PREFERRED_GPA:
		count(COUNT_MSR_PREFERRED, 1);
		return ~0xfffULL | MSR_PREFERRED_GPA_RSP; /* none */
	case MSR_REGISTER_GPA:
		count(COUNT_MSR_REGISTER, 1);
		return (request & ~0xfffULL) | MSR_REGISTER_GPA_RSP;
	case MSR_PAGE_STATE:
		count(COUNT_MSR_PAGE_STATE, 1);
		if (convert(cpu, gpa, PAGE_SIZE, page_state_side(cpu, request >> 52 & 15), &done) !=
			CONVERT_OK)
			return 1ULL << 32 | MSR_PAGE_STATE_RSP;
		return MSR_PAGE_STATE_RSP;
	case MSR_FEATURES:
		count(COUNT_MSR_FEATURES, 1);
		return (FEATURE_SNP | FEATURE_CREATE_CPU) << 12 | MSR_FEATURES_RSP;
	case MSR_TERMINATE:
		count(COUNT_MSR_TERMINATE, 1);
		stop_guest(cpu, "the guest terminates itself: reason set %u, code %u",
			request >> 12 & 15, request >> 16 & 255);
	default:
		stop_guest(cpu, "GHCB MSR protocol: request %x", request);
	}
}

/* Returns the second exit information: 0, or an error with its upper half set. */
static u64 page_states(struct cpu *cpu, u64 scratch)
{
	struct page_state_list *list = memory_at(SHARED, scratch);
	u64 entry, gpa, done;
	enum convert_result result;

	if (!list || scratch % PAGE_SIZE > PAGE_SIZE - sizeof(*list))
		stop_guest(cpu, "page states at %x", scratch);
	for (; list->current <= list->last; list->current++) {
		if ((scratch & 4095) + sizeof(*list) + 8 * (list->current + 1U) > PAGE_SIZE)
			stop_guest(cpu, "a list of page states that leaves its page");
		entry = list->entries[list->current];
		gpa = entry & 0x000ffffffffff000;
		result = convert(cpu, gpa, entry >> 56 & 1 ? 2 * MiB : PAGE_SIZE,
			page_state_side(cpu, entry >> 52 & 15), &done);
		if (result == CONVERT_RETRY)
			return 0; /* the guest sees that we did not get to the end */
		if (result == CONVERT_FAIL)
			return 1ULL << 32;
	}
	return 0;
}

static void create_cpu(struct cpu *cpu, u64 info, u64 vmsa)
{
	u64 id = info >> 32;

	if ((info & 3) > CREATE_CPU_NOW)
		return;
	if (id >= MAX_CPUS || vmsa % PAGE_SIZE || !memory_at(PRIVATE, vmsa))
		stop_guest(cpu, "processor %u to start with the state at %x", id, vmsa);
	smp_start(id, (u64)memory_at(PRIVATE, vmsa));
}

static void ghcb_request(struct cpu *cpu)
{
	struct ghcb *ghcb = memory_at(SHARED, cpu->ghcb_msr);

	if (!ghcb)
		stop_guest(cpu, "GHCB at %x", cpu->ghcb_msr);
	switch (ghcb->exit_code) {
	case EVENT_NMI_COMPLETE:
	case EVENT_RESET_HOLD:
		count(ghcb->exit_code == EVENT_RESET_HOLD ? COUNT_GHCB_HOLD : COUNT_GHCB_NMI, 1);
		ghcb->exit_info_2 = 0;
		break;
	case EVENT_JUMP_TABLE:
		count(COUNT_GHCB_JUMP_TABLE, 1);
		ghcb->exit_info_2 = 0; /* there is none */
		break;
	case EVENT_PAGE_STATE:
		count(COUNT_GHCB_PAGE_STATE, 1);
		ghcb->exit_info_2 = page_states(cpu, ghcb->scratch);
		break;
	case EVENT_REQUEST:
	case EVENT_REQUEST_EXT:
		count(COUNT_GHCB_REQUEST, 1);
		ghcb->exit_info_2 = 0xffffffffULL << 32; /* there is no firmware to ask */
		break;
	case EVENT_CREATE_CPU:
		count(COUNT_GHCB_CREATE_CPU, 1);
		create_cpu(cpu, ghcb->exit_info_1, ghcb->exit_info_2);
		ghcb->exit_info_2 = 0;
		break;
	case EVENT_FEATURES:
		count(COUNT_GHCB_FEATURES, 1);
		ghcb->exit_info_2 = FEATURE_SNP | FEATURE_CREATE_CPU;
		break;
	default:
		count(COUNT_GHCB_OTHER, 1);
		say("GHCB event %x, which is not emulated", ghcb->exit_code);
		ghcb->exit_info_1 = 2;
		ghcb->exit_info_2 = ERROR_INVALID_EVENT;
		return;
	}
	ghcb->exit_info_1 = 0;
}

/* VMGEXIT is VMMCALL with a prefix, and VMMCALL to a processor that does not know it. */
bool snp_vmmcall(struct cpu *cpu)
{
	u8 code[4];

	walk_code(cpu, code, sizeof(code));
	if (memcmp(code, "\xf3\x0f\x01\xd9", 4) != 0)
		return false;
	if (cpu->ghcb_msr & 0xfff)
		cpu->ghcb_msr = msr_request(cpu, cpu->ghcb_msr);
	else
		ghcb_request(cpu);
	cpu_skip(cpu, 4);
	return true;
}

static void pvalidate(struct cpu *cpu)
{
	u64 gpa, size = cpu->r[RCX] & 1 ? 2 * MiB : PAGE_SIZE;
	bool changed;

	cpu->vmcb->save.rflags &= ~(u64)RFLAGS_RESULT;
	if (!walk(cpu, cpu->r[RAX] & -PAGE_SIZE, &gpa) || !memory_guest(gpa)) {
		cpu->r[RAX] = PVALIDATE_FAIL_INPUT;
		return;
	}
	changed = convert_validate(cpu, gpa & ~BIT(SIDE_BIT), size, cpu->r[RDX] & 1);
	cpu->r[RAX] = 0;
	if (!changed)
		cpu->vmcb->save.rflags |= RFLAGS_CF;
}

bool snp_instruction(struct cpu *cpu, const u8 *code)
{
	if (memcmp(code, "\xf2\x0f\x01\xff", 4) == 0) {
		count(COUNT_PVALIDATE, 1);
		pvalidate(cpu);
	} else if (memcmp(code, "\xf3\x0f\x01\xfe", 4) == 0) {
		count(COUNT_RMPADJUST, 1);
		cpu->r[RAX] = 0; /* there is but one privilege level to give to */
	} else {
		return false;
	}
	cpu_skip(cpu, 4);
	return true;
}

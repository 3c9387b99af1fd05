/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which kind of confidential guest this is. It prints nothing and needs no privilege. A feature
 * that the processor merely supports counts only where nothing better is visible.
 */
#include "platform.h"

#include <fcntl.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include "util.h"

#define MSR_AMD64_SEV 0xc0010131
#define SEV	      (1u << 0)
#define SEV_ES	      (1u << 1)
#define SEV_SNP	      (1u << 2)

/* Bits of CPUID 0x8000001f EAX, mapped to those of the MSR. */
#define LEAF_SEV     (1u << 1)
#define LEAF_SEV_ES  (1u << 3)
#define LEAF_SEV_SNP (1u << 4)

static const char *sev_name(uint32_t bits)
{
	return bits & SEV_SNP ? "sev-snp" : bits & SEV_ES ? "sev-es" : bits & SEV ? "sev" : "none";
}

static uint32_t leaf_bits(uint32_t leaf)
{
	return (leaf & LEAF_SEV ? SEV : 0) | (leaf & LEAF_SEV_ES ? SEV_ES : 0) |
	       (leaf & LEAF_SEV_SNP ? SEV_SNP : 0);
}

void platform_judge(const struct platform_facts *facts, struct platform *ret_platform)
{
	struct platform none = { "none", "nothing here speaks of encrypted memory", true };

	if (facts->tdx_leaf)
		*ret_platform = (struct platform){ "tdx",
			"CPUID leaf 0x21 is that of a trust domain", true };
	else if (facts->cca_device)
		*ret_platform =
			(struct platform){ "cca", "the kernel has the device of a realm", true };
	else if (facts->hyperv_isolation == 2)
		*ret_platform = (struct platform){ "sev-snp",
			"Hyper-V reports an isolated partition of type SNP", true };
	else if (facts->hyperv_isolation == 3)
		*ret_platform = (struct platform){ "tdx",
			"Hyper-V reports an isolated partition of type TDX", true };
	else if (facts->sev_guest)
		*ret_platform = (struct platform){ "sev-snp",
			"the kernel has the interface of an SNP guest", true };
	else if (!facts->hypervisor || !(facts->amd_leaf & LEAF_SEV))
		*ret_platform = none;
	else if (facts->msr_known)
		*ret_platform = (struct platform){ sev_name(facts->msr),
			"the processor's SEV status register says so", true };
	else if (facts->log_known)
		*ret_platform =
			(struct platform){ sev_name(facts->log), "the kernel's log says so", true };
	else
		*ret_platform = (struct platform){ sev_name(leaf_bits(facts->amd_leaf)),
			"CPUID leaf 0x8000001f says so (root can see more)", false };
}

static bool has_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (const char *p = strstr(text, word); p; p = strstr(p + 1, word))
		if (p[-1] == ' ' && (p[length] == ' ' || p[length] == '\n' || !p[length]))
			return true;
	return false;
}

uint32_t platform_log_line(const char *untrusted_line)
{
	static const char marker[] = "Memory Encryption Features active:";
	const char *list = strstr(untrusted_line, marker);
	uint32_t bits;

	if (!list)
		return 0;
	list += sizeof(marker) - 1;
	bits = (has_word(list, "SEV") ? SEV : 0) | (has_word(list, "SEV-ES") ? SEV_ES : 0) |
	       (has_word(list, "SEV-SNP") ? SEV_SNP : 0);
	return bits ? bits : PLATFORM_LOG_NONE;
}

#if defined(__x86_64__) || defined(__i386__)
static void read_cpuid(struct platform_facts *facts)
{
	uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
	char text[13] = "";

	facts->hypervisor = __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & (1u << 31));
	if (!facts->hypervisor)
		return;
	if (__get_cpuid_count(0x21, 0, &eax, &ebx, &ecx, &edx)) {
		memcpy(text, &ebx, 4);
		memcpy(text + 4, &edx, 4);
		memcpy(text + 8, &ecx, 4);
		facts->tdx_leaf = streq(text, "IntelTDX    ");
	}
	if (__get_cpuid(0x8000001f, &eax, &ebx, &ecx, &edx))
		facts->amd_leaf = eax;
	/* Hyper-V's paravisor hides the leaves above from the guest, and has its own. */
	__cpuid(0x40000000, eax, ebx, ecx, edx);
	memcpy(text, &ebx, 4);
	memcpy(text + 4, &ecx, 4);
	memcpy(text + 8, &edx, 4);
	if (streq(text, "Microsoft Hv") && eax >= 0x4000000c) {
		__cpuid(0x40000003, eax, ebx, ecx, edx);
		if (ebx & (1u << 22)) {
			__cpuid(0x4000000c, eax, ebx, ecx, edx);
			facts->hyperv_isolation = ebx & 0xf;
		}
	}
}

static void read_msr(struct platform_facts *facts)
{
	cleanup(cleanup_fd) int fd = open("/dev/cpu/0/msr", O_RDONLY | O_CLOEXEC);
	uint64_t value;

	if (fd >= 0 && pread(fd, &value, sizeof(value), MSR_AMD64_SEV) == sizeof(value)) {
		facts->msr_known = true;
		facts->msr = (uint32_t)value;
	}
}

static void read_log(struct platform_facts *facts)
{
	cleanup(cleanup_fd) int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char record[1024];
	ssize_t n;

	if (fd < 0)
		return;
	for (;;) {
		uint32_t bits;

		n = read(fd, record, sizeof(record) - 1);
		/* Records were overwritten; the next read continues after them. */
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return;
		record[n] = 0;
		bits = platform_log_line(record);
		if (bits) {
			facts->log_known = true;
			facts->log = bits;
			return;
		}
	}
}
#else
static void read_cpuid(struct platform_facts *facts)
{
	(void)facts;
}

static void read_msr(struct platform_facts *facts)
{
	(void)facts;
}

static void read_log(struct platform_facts *facts)
{
	(void)facts;
}
#endif

void platform_detect(struct platform *ret_platform)
{
	struct platform_facts facts = { 0 };

	read_cpuid(&facts);
	/* The kernel makes both, and only when it runs in such a guest. */
	facts.sev_guest = access("/sys/devices/platform/sev-guest", F_OK) == 0 ||
			  access("/sys/devices/system/cpu/sev", F_OK) == 0;
	facts.cca_device = access("/sys/devices/platform/arm-cca-dev", F_OK) == 0;
	if ((facts.amd_leaf & LEAF_SEV) && !facts.sev_guest) {
		read_msr(&facts);
		if (!facts.msr_known)
			read_log(&facts);
	}
	platform_judge(&facts, ret_platform);
}

const char *platform_name(void)
{
	struct platform platform;

	platform_detect(&platform);
	return platform.name;
}

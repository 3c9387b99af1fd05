/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which kind of confidential guest this is, as far as an unprivileged process can find out.
 *
 * This is what the machine says of itself. It is good enough to choose a behaviour and to inform
 * people. A hypervisor that lies can make it say anything: only attestation proves it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct platform {
	const char *name;     /* "sev", "sev-es", "sev-snp", "tdx", "cca" or "none" */
	const char *evidence; /* the evidence in words: "CPUID leaf 0x21 ..." */
	bool certain; /* the kernel acts on it too; false where only CPUID names SEV, which some
			 hypervisors show to ordinary guests as well */
};

/* The evidence, which platform_detect() gathers. Separate, so that tests can make it up. */
struct platform_facts {
	bool hypervisor;	   /* CPUID says that this is a virtual machine */
	bool tdx_leaf;		   /* CPUID leaf 0x21 reads "IntelTDX    " */
	bool sev_guest;		   /* the kernel has its interface for SNP guests */
	bool cca_device;	   /* likewise for realms */
	bool msr_known;		   /* MSR 0xc0010131 could be read (root, module msr) */
	bool log_known;		   /* the kernel's log has the line on memory encryption */
	uint32_t amd_leaf;	   /* CPUID 0x8000001f EAX, 0 where there is none */
	uint32_t hyperv_isolation; /* 0; 2 SNP, 3 TDX */
	uint32_t msr;
	uint32_t log; /* bits as in the MSR: 1 SEV, 2 SEV-ES, 4 SEV-SNP */
};

/* Never fails, never prints. Opens only existing files, and closes them again. */
void platform_detect(struct platform *ret_platform);
/* The name alone. Constant. */
const char *platform_name(void);

/* The platform that the facts show. Pure. */
void platform_judge(const struct platform_facts *facts, struct platform *ret_platform);
/* The bits of a line of the kernel's log, 0 when it is not the one on memory encryption. A line
 * that names none of them (SME on bare metal) gives PLATFORM_LOG_NONE. */
#define PLATFORM_LOG_NONE 0x80000000u
uint32_t platform_log_line(const char *untrusted_line);

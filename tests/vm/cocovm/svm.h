/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The control block of a guest processor. AMD APM vol. 2, appendix B; exit codes: appendix C. */
#ifndef COCOVM_SVM_H
#define COCOVM_SVM_H

#include "base.h"

struct vmcb_seg {
	u16 selector;
	u16 attrib;
	u32 limit;
	u64 base;
};

/* The state save area; an SNP guest's VMSA has the same layout up to DR6 .. G_PAT. */
struct vmcb_save {
	struct vmcb_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	u8 pad_a0[0xcb - 0xa0];
	u8 cpl;
	u32 pad_cc;
	u64 efer;
	u8 pad_d8[0x148 - 0xd8];
	u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
	u8 pad_180[0x1d8 - 0x180];
	u64 rsp;
	u8 pad_1e0[0x1f8 - 0x1e0];
	u64 rax;
	u64 star, lstar, cstar, sfmask, kernel_gs_base;
	u64 sysenter_cs, sysenter_esp, sysenter_eip;
	u64 cr2;
	u8 pad_248[0x268 - 0x248];
	u64 g_pat;
	u8 pad_270[0xc00 - 0x270];
};

struct vmcb {
	u16 intercept_cr_read, intercept_cr_write;
	u32 intercept_dr;
	u32 intercept_exceptions;
	u32 intercept_1, intercept_2;
	u8 pad_14[0x40 - 0x14];
	u64 iopm, msrpm;
	u64 tsc_offset;
	u32 asid;
	u32 tlb_control;
	u64 interrupt_control, interrupt_shadow;
	u64 exit_code, exit_info_1, exit_info_2, exit_int_info;
	u64 nested_paging;
	u8 pad_98[0xa8 - 0x98];
	u64 event_injection;
	u64 nested_cr3;
	u8 pad_b8[0xc0 - 0xb8];
	u64 clean;
	u64 next_rip;
	u8 pad_d0[0x400 - 0xd0];
	struct vmcb_save save;
};
_Static_assert(sizeof(struct vmcb) == 4096, "a VMCB is a page");
_Static_assert(offsetof(struct vmcb, save.rax) == 0x5f8, "RAX of the VMCB");
_Static_assert(offsetof(struct vmcb, save.g_pat) == 0x668, "G_PAT of the VMCB");
_Static_assert(offsetof(struct vmcb, event_injection) == 0xa8, "EVENTINJ of the VMCB");

#define INTERCEPT_1_INTR     (1U << 0)
#define INTERCEPT_1_NMI	     (1U << 1)
#define INTERCEPT_1_INTN     (1U << 21)
#define INTERCEPT_1_CPUID    (1U << 18)
#define INTERCEPT_1_IO	     (1U << 27)
#define INTERCEPT_1_MSR	     (1U << 28)
#define INTERCEPT_1_SHUTDOWN (1U << 31)
#define INTERCEPT_2_SVM	     0x7f /* VMRUN, VMMCALL, VMLOAD, VMSAVE, STGI, CLGI, SKINIT */

#define EXIT_READ_CR3  0x03
#define EXIT_WRITE_CR0 0x10
#define EXIT_WRITE_CR3 0x13
#define EXIT_BP	       0x43
#define EXIT_UD	       0x46
#define EXIT_INTR      0x60
#define EXIT_NMI       0x61
#define EXIT_CPUID     0x72
#define EXIT_INTN      0x75
#define EXIT_IO	       0x7b
#define EXIT_MSR       0x7c
#define EXIT_SHUTDOWN  0x7f
#define EXIT_VMRUN     0x80
#define EXIT_VMMCALL   0x81
#define EXIT_SKINIT    0x86
#define EXIT_NPF       0x400

#define TLB_FLUSH_ALL 1

#define INJECT_UD  (6 | 3ULL << 8 | 1ULL << 31)
#define INJECT_NMI (2 | 2ULL << 8 | 1ULL << 31)
#define INJECT_GP  (13 | 3ULL << 8 | 1ULL << 11 | 1ULL << 31)

#define CR0_PE	    (1ULL << 0)
#define CR0_PG	    (1ULL << 31)
#define CR4_OSXSAVE (1ULL << 18)
#define EFER_LME    (1ULL << 8)
#define EFER_LMA    (1ULL << 10)
#define EFER_SVME   (1ULL << 12)

#define MSR_EFER	0xc0000080
#define MSR_VM_HSAVE_PA 0xc0010117

#endif

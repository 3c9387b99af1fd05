/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is counted, and under which name that is reported (see control.h for where). First the
 * conversions: pages by size, requests by the size of their range. Then the exits, by reason; then
 * what those were for that can have several purposes.
 */
#ifndef COCOVM_COUNT_H
#define COCOVM_COUNT_H

#include "base.h"

#define COUNTERS(X)                                                                                \
	X(TO_SHARED_4K, "to-shared-4k")                                                            \
	X(TO_SHARED_2M, "to-shared-2m")                                                            \
	X(TO_PRIVATE_4K, "to-private-4k")                                                          \
	X(TO_PRIVATE_2M, "to-private-2m")                                                          \
	X(REQUEST, "conversion-requests")                                                          \
	X(ACCEPT, "pages-accepted")                                                                \
	X(FAULT, "faults-injected")                                                                \
	X(CALL_SHARED_4K, "calls-to-shared-4k")                                                    \
	X(CALL_SHARED_2M, "calls-to-shared-2m")                                                    \
	X(CALL_SHARED_ANY, "calls-to-shared-other")                                                \
	X(CALL_PRIVATE_4K, "calls-to-private-4k")                                                  \
	X(CALL_PRIVATE_2M, "calls-to-private-2m")                                                  \
	X(CALL_PRIVATE_ANY, "calls-to-private-other")                                              \
	X(EXIT_CR0_WRITE, "exits-cr0-write")                                                       \
	X(EXIT_CR3_READ, "exits-cr3-read")                                                         \
	X(EXIT_CR3_WRITE, "exits-cr3-write")                                                       \
	X(EXIT_CPUID, "exits-cpuid")                                                               \
	X(EXIT_MSR_READ, "exits-msr-read")                                                         \
	X(EXIT_MSR_WRITE, "exits-msr-write")                                                       \
	X(EXIT_IO, "exits-io")                                                                     \
	X(EXIT_INT3, "exits-int3")                                                                 \
	X(EXIT_UD, "exits-ud")                                                                     \
	X(EXIT_VMMCALL, "exits-vmmcall")                                                           \
	X(EXIT_SVM, "exits-svm-instruction")                                                       \
	X(EXIT_NMI, "exits-nmi")                                                                   \
	X(EXIT_INTR, "exits-interrupt")                                                            \
	X(EXIT_NPF, "exits-nested-fault")                                                          \
	X(EXIT_SHUTDOWN, "exits-shutdown")                                                         \
	X(EXIT_OTHER, "exits-other")                                                               \
	X(STALE_INT3, "int3-not-there")                                                            \
	X(NMI_OURS, "nmi-after-conversion")                                                        \
	X(NMI_GUESTS, "nmi-for-the-guest")                                                         \
	X(NPF_EARLY, "nested-fault-early")                                                         \
	X(UD_GUESTS, "ud-for-the-guest")                                                           \
	X(VMMCALL_GUESTS, "vmmcall-unknown")                                                       \
	X(MAP_GPA_RANGE, "sev-map-gpa-range")                                                      \
	X(SEV_OTHER, "sev-other-hypercall")                                                        \
	X(PVALIDATE, "snp-pvalidate")                                                              \
	X(RMPADJUST, "snp-rmpadjust")                                                              \
	X(MSR_INFO, "ghcb-msr-sev-info")                                                           \
	X(MSR_CPUID, "ghcb-msr-cpuid")                                                             \
	X(MSR_PREFERRED, "ghcb-msr-preferred")                                                     \
	X(MSR_REGISTER, "ghcb-msr-register")                                                       \
	X(MSR_PAGE_STATE, "ghcb-msr-page-state")                                                   \
	X(MSR_FEATURES, "ghcb-msr-features")                                                       \
	X(MSR_TERMINATE, "ghcb-msr-terminate")                                                     \
	X(GHCB_NMI, "ghcb-nmi-complete")                                                           \
	X(GHCB_HOLD, "ghcb-reset-hold")                                                            \
	X(GHCB_JUMP_TABLE, "ghcb-jump-table")                                                      \
	X(GHCB_PAGE_STATE, "ghcb-page-states")                                                     \
	X(GHCB_REQUEST, "ghcb-guest-request")                                                      \
	X(GHCB_CREATE_CPU, "ghcb-create-cpu")                                                      \
	X(GHCB_FEATURES, "ghcb-features")                                                          \
	X(GHCB_OTHER, "ghcb-other")                                                                \
	X(TD_VMCALL, "tdcall-vmcall")                                                              \
	X(TD_INFO, "tdcall-info")                                                                  \
	X(TD_RTMR, "tdcall-rtmr-extend")                                                           \
	X(TD_CPUIDVE, "tdcall-cpuidve-set")                                                        \
	X(TD_ACCEPT, "tdcall-page-accept")                                                         \
	X(TD_RD, "tdcall-vm-rd")                                                                   \
	X(TD_WR, "tdcall-vm-wr")                                                                   \
	X(TD_OTHER, "tdcall-other")                                                                \
	X(TDV_CPUID, "tdvmcall-cpuid")                                                             \
	X(TDV_HLT, "tdvmcall-hlt")                                                                 \
	X(TDV_IO, "tdvmcall-io")                                                                   \
	X(TDV_MMIO, "tdvmcall-mmio")                                                               \
	X(TDV_INFO, "tdvmcall-info")                                                               \
	X(TDV_MAP_GPA, "tdvmcall-map-gpa")                                                         \
	X(TDV_OTHER, "tdvmcall-other")                                                             \
	X(AP_START, "processor-starts")

#define COUNT_ENUM(name, text) COUNT_##name,
enum { COUNTERS(COUNT_ENUM) COUNT_END };

struct counter {
	char name[24]; /* padded with zeros */
	u64 value;
};

void count(int counter, u64 n);
u64 count_read(int counter);

#endif

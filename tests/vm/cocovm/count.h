/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is counted, and under which name that is reported (see control.h for where). */
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
	X(EXIT_CR, "exits-cr")                                                                     \
	X(EXIT_CPUID, "exits-cpuid")                                                               \
	X(EXIT_MSR, "exits-msr")                                                                   \
	X(EXIT_IO, "exits-io")                                                                     \
	X(EXIT_UD, "exits-ud")                                                                     \
	X(EXIT_VMMCALL, "exits-vmmcall")                                                           \
	X(EXIT_NMI, "exits-nmi")                                                                   \
	X(EXIT_INT3, "exits-int3")                                                                 \
	X(STALE_INT3, "int3-not-there")                                                            \
	X(HALT, "halts")                                                                           \
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

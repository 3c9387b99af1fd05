/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changing pages from one half to the other, the same for every technology. */
#ifndef COCOVM_CONVERT_H
#define COCOVM_CONVERT_H

#include "guest.h"

enum convert_result { CONVERT_OK, CONVERT_FAIL, CONVERT_RETRY };

/*
 * The guest's request to move a range to a side. A page that becomes private is nobody's until it
 * is validated. ret_done: how many bytes were converted, whatever the result.
 */
enum convert_result convert(struct cpu *cpu, u64 gpa, u64 bytes, enum side to, u64 *ret_done);

/* PVALIDATE, or the acceptance of a TDX page; false when (strict mode) nothing changes. */
bool convert_validate(struct cpu *cpu, u64 gpa, u64 bytes, bool valid);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cost of a decision.
 */
#pragma once

#include <stdint.h>

/*
 * Measures what policy_decide() costs when it grants: the median, in nanoseconds, with 10 rules and
 * with 10,000 of the same mix (units, users, groups, programs, globs), for ten peers in turn whose
 * rules are spread over the whole policy. Takes less than a second. Returns 0; -EINVAL when the
 * engine refused the policy or a request; -ENOMEM.
 */
int bench_policy(uint64_t *ret_ns_10, uint64_t *ret_ns_10000);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cost of a decision.
 */
#pragma once

#include <stdint.h>

/* Medians in nanoseconds. */
struct bench_policy {
	uint64_t ns_10, ns_100; /* rules of one mix: units, users, groups, programs, globs */
	uint64_t ns_full;	/* 10 rules, each of which asks for every key */
};

/*
 * Measures what policy_decide() costs when it grants, for ten peers in turn whose rules are spread
 * over the whole policy, or (ns_full) that the last rule is for. Takes less than a second.
 * Returns 0; -EINVAL when the engine refused the policy or a request; -ENOMEM.
 */
int bench_policy(struct bench_policy *ret_policy);

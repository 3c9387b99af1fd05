/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of peers share: peer/peer.c (objects), peer/claim.c (what a transport knows),
 * peer/identify.c (looks at them), peer/compare.c (what these say, held against what was known).
 * For nobody else.
 */
#pragma once

#include "peer/peer.h"

/* What differs between two inspections at one process, as far as both wanted to know it (enum
 * look_wanted); NULL when nothing does. */
const char *peer_difference(
	const struct inspect_answer *a, const struct inspect_answer *b, unsigned int wanted);

/* In what an inspection contradicts a claim, in *ret_why; NULL when it does not. 0 or -ENOMEM. */
int peer_contradiction(
	const struct peer_claim *claim, const struct inspect_answer *answer, const char **ret_why);

/* The number of the control group that it is in; 0 where a pidfd does not tell. */
uint64_t peer_cgroup(const struct peer *peer);

/* A negative errno of an inspection or a check in words. */
const char *peer_words(int error);
extern const char peer_other_cgroup[];

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shared by the files of peers only: peer/peer.c (objects), peer/claim.c (what a transport knows),
 * peer/identify.c (inspections), peer/compare.c (comparing their answers with what was known).
 */
#pragma once

#include "peer/peer.h"

/* What differs between two inspections of one process, in words, as far as both asked for it
 * (wanted, enum inspect_wanted); NULL when nothing does. */
const char *peer_difference(
	const struct inspect_answer *a, const struct inspect_answer *b, unsigned int wanted);

/* How an inspection contradicts a claim, in words, in *ret_why; NULL when it does not. Returns 0 or
 * -ENOMEM. */
int peer_contradiction(
	const struct peer_claim *claim, const struct inspect_answer *answer, const char **ret_why);

/* The number of the peer's control group; 0 where the pidfd does not say it. */
uint64_t peer_cgroup(const struct peer *peer);

extern const char peer_other_cgroup[];

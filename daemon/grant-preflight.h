/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a request would get: the first steps of a grant, before anything is charged.
 *
 *   policy_decide -> whole pages -> heaps_get -> read-only -> limits
 *
 * Grants, `Why` and the review after a reload ask the same, so that they cannot differ.
 */
#pragma once

#include "broker.h"

struct preflight {
	struct decision decision;
	const struct heap *heap; /* with CCBUF_GRANTED, from PREFLIGHT_HEAP on */
	uint64_t size;		 /* of each buffer in whole pages, likewise */
};

/* The last check that is made. */
enum preflight_until {
	PREFLIGHT_POLICY, /* of a buffer that is out: its heap is there, and its charge, too */
	PREFLIGHT_HEAP,	  /* before a grant: the ledger checks limits as it charges them */
	PREFLIGHT_LIMITS, /* of a question */
};

/* Asks for a process under a policy. user is whose limits they are, and may be NULL without them.
 * ret_preflight->decision has the verdict, and of a refusal the reason. */
void grant_preflight(struct broker *broker, const struct policy *policy,
	const struct identity *identity, struct user *user, const struct request *request,
	enum preflight_until until, struct preflight *ret_preflight);

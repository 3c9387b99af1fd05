/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verdict of a request: the first steps of a grant, before anything is charged.
 *
 *   policy_decide -> whole pages -> heaps_get -> read-only -> limits
 *
 * Grants, `Why` and the review after a reload all use this, so that they cannot differ.
 */
#pragma once

#include "broker.h"

struct preflight {
	struct decision decision;
	const struct heap *heap; /* with CCBUF_GRANTED, from PREFLIGHT_HEAP on */
	uint64_t size;		 /* of each buffer in whole pages, likewise */
};

/* The last check to make. */
enum preflight_until {
	PREFLIGHT_POLICY, /* for a buffer that is out: it has its heap and is charged */
	PREFLIGHT_HEAP,	  /* before a grant: the ledger checks limits as it charges them */
	PREFLIGHT_LIMITS, /* for a question */
};

/* Checks a request of a process under a policy. user, whose limits are checked, may be NULL if they
 * are not. ret_preflight->decision has the verdict, and the reason of a refusal. */
void grant_preflight(struct broker *broker, const struct policy *policy,
	const struct identity *identity, struct user *user, const struct request *request,
	enum preflight_until until, struct preflight *ret_preflight);

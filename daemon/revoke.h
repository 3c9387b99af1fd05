/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Taking a grant's memory back from whoever has it:
 *
 *   audit -> ledger_revoked -> the module's call, in a thread -> done;  later the heap tells the
 * end
 *
 * The record comes first, and is durable before anything happens. If it cannot be written, the
 * memory is taken back all the same: that hands nothing out, and the trail says how many records it
 * lacks.
 */
#pragma once

#include "broker.h"

/* On whose behalf. */
struct revoke_cause {
	const struct peer *by;	    /* who asked; NULL for the policy in force */
	enum ccbuf_verdict verdict; /* of the policy; else CCBUF_GRANTED */
	const char *reason;
};

struct revocation {
	uint64_t grant;
	int result;    /* 0, or the negative errno of the heap; the grant is then as it was */
	bool released; /* nothing holds the memory any more; it is private again */
	struct ccbuf_heap_hold hold;
};

typedef void (*revoke_done)(void *userdata, const struct revocation *revocation);

/* Takes a grant back that is out and of a heap that can (heap_can_revoke()); again is no error. The
 * cause is borrowed for the call. done (may be NULL) is called later, from the event loop. 0 or
 * -ENOMEM, and then it is not called and nothing happens. */
int revoke_grant(struct broker *broker, const struct grant *grant, const struct revoke_cause *cause,
	revoke_done done, void *userdata);

/* Forgets those of which a device is still busy. */
void revoke_stop(struct broker *broker);

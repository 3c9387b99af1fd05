/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Takes a grant's memory back from whoever has it:
 *
 *   audit -> ledger_revoked -> the module's call, in a thread -> done;  later the heap tells the
 * end
 *
 * The record comes first, and is durable before anything happens. If it cannot be written, the
 * memory is taken back anyway: that hands nothing out, and the trail later says how many records
 * are missing.
 */
#pragma once

#include "broker.h"

/* Who asked, and why. */
struct revoke_cause {
	const struct peer *by;	    /* who asked; NULL for the policy in force */
	enum ccbuf_verdict verdict; /* the policy's verdict; CCBUF_GRANTED if somebody asked */
	const char *reason;
};

struct revocation {
	uint64_t grant;
	int result;    /* 0, or the negative errno of the heap, and then the grant is as it was */
	bool released; /* nothing holds the memory any more; it is private again */
	struct ccbuf_heap_hold hold;
};

typedef void (*revoke_done)(void *userdata, const struct revocation *revocation);

/* Takes back a grant that is out, of a heap that supports it (heap_can_revoke()). May be called
 * again for the same grant. The cause is borrowed for the call. The event loop calls done (may be
 * NULL) later. Returns 0, or -ENOMEM and then done is not called and nothing happens. */
int revoke_grant(struct broker *broker, const struct grant *grant, const struct revoke_cause *cause,
	revoke_done done, void *userdata);

/* Stops retrying buffers that a device is working in. */
void revoke_stop(struct broker *broker);

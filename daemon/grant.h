/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One request, from decoded to delivered. Only this knows the order of the steps:
 *
 *   policy_decide -> heaps_get -> ledger_reserve -> heap_alloc -> audit -> peer_check -> reply
 *                                             \-> peer_recheck ------/       -> ledger_commit
 *
 * The steps run in the event loop, except the allocation (in a thread, unless it is quick), the
 * audit, and the second inspection of the peer, which runs beside these two. A refusal at any step
 * undoes the steps before it, is recorded, and then sent.
 */
#pragma once

#include "broker.h"

struct grant_op;

/* The answer that a front end sends. Everything is borrowed until grant_delivered(). */
struct outcome {
	enum ccbuf_verdict verdict;
	const char *rule;   /* the rule that decided; NULL when none did */
	const char *reason; /* empty when granted */
	/* The rest for CCBUF_GRANTED only. */
	uint32_t count;
	const int *fds;		     /* the reply gets duplicates; not to be closed */
	struct grant *const *grants; /* ids, size, exposure */
};

/* Sends an outcome to the peer. Called once for each request, after the record is durable, possibly
 * from inside grant_request(). The front end must call grant_delivered() exactly once for op, from
 * inside or later. */
typedef void (*grant_reply)(void *userdata, struct grant_op *op, const struct outcome *outcome);

/*
 * Takes a well-formed request of a peer through the steps. Copies request and references peer.
 * Returns 0, or -ENOMEM and then reply is not called.
 */
int grant_request(struct broker *broker, struct peer *peer, const struct request *request,
	grant_reply reply, void *userdata);

/* Reports the delivery, and frees op. result is 0 when the kernel (or the bus) has the message with
 * the fds, else the negative errno why the peer will not get it; then the buffers are freed and a
 * second record says so. */
void grant_delivered(struct grant_op *op, int result);

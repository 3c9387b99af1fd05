/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One request, from decoded to delivered. The only place that knows the order of the steps:
 *
 *   policy_decide -> heaps_get -> ledger_reserve -> heap_alloc -> audit -> peer_check -> reply
 *                                             \-> peer_recheck ------/       -> ledger_commit
 *
 * Each step but the allocation (a thread, unless it is quick), the audit and the second look at the
 * peer, which goes on beside these two, runs in the event loop.
 * A refusal at any step undoes the ones before it, is recorded, and then sent.
 */
#pragma once

#include "broker.h"

struct grant_op;

/* What a front end sends. Everything is borrowed until grant_delivered(). */
struct outcome {
	enum ccbuf_verdict verdict;
	const char *rule;   /* that decided; NULL when none did */
	const char *reason; /* empty when granted */
	/* The rest for CCBUF_GRANTED only. */
	uint32_t count;
	const int *fds;		     /* to be duplicated into the reply, not closed */
	struct grant *const *grants; /* ids, size, exposure */
};

/* Sends an outcome to the peer; the front end must call grant_delivered() exactly once for op, from
 * inside or later. Called once a request, after the record is durable, possibly from
 * inside grant_request(). */
typedef void (*grant_reply)(void *userdata, struct grant_op *op, const struct outcome *outcome);

/*
 * Takes a well-formed request of a peer through the steps. request is copied, peer referenced.
 * 0, or -ENOMEM, and then reply is not called.
 */
int grant_request(struct broker *broker, struct peer *peer, const struct request *request,
	grant_reply reply, void *userdata);

/* result: 0 when the message with the fds is with the kernel (or the bus), else the negative errno
 * why the peer will not get it: the buffers are freed and a second record says so. Frees op. */
void grant_delivered(struct grant_op *op, int result);

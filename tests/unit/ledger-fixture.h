/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A real ledger with a real trail, for the tests of its states and of its limits. What fdinfo would
 * say of a buffer is simulated (there is no dma-buf without a heap), and the slow timer is fast.
 */
#pragma once

#include <sys/eventfd.h>

#include "fixture.h"
#include "ledger/ledger.h"

struct ledger_fixture {
	struct ledger *ledger;
	struct policy *policy;
	struct policy_settings settings; /* the policy's, for a test to change */
	unsigned int added, revoked, released;
	const char *reason;	 /* of the last release */
	unsigned int looks;	 /* how often a buffer's holders were asked for */
	bool no_exit_watch;	 /* watching a peer's exit fails */
	const struct heap *heap; /* that reserve() is for; counted_heap unless a test changes it */
	int allocations;	 /* of memory that succeed in reserve(); -1 for all */
	char refusal[LEDGER_REASON_MAX + 1];
};
extern struct ledger_fixture lf;

void ledger_set_up(const char *policy);
void ledger_tear_down(void);

/* One whose buffers are counted, one that cannot tell, and two that tell. None has a node. */
extern const struct heap counted_heap, mute_heap, telling_heap, other_telling_heap;

/* Reserves for a use of the policy, whose rule must allow it. */
enum ccbuf_verdict reserve(struct peer *peer, const char *use, uint64_t size, uint32_t count,
	struct grant **ret_grants);
/* The same without charging. */
enum ccbuf_verdict would_reserve(struct peer *peer, const char *use, uint64_t size, uint32_t count);

/* Reserves one and commits it, of the counted heap with an fd whose holders are told by hold(), of
 * the mute one, or of lf.heap, which must be one that tells, with its number. */
struct grant *grant_counted(struct peer *peer, const char *use, uint64_t size);
struct grant *grant_uncounted(struct peer *peer, const char *use, uint64_t size);
struct grant *grant_watched(struct peer *peer, const char *use, uint64_t size, uint64_t watch);

/* So many hold the grant's buffer besides the daemon; negative for an error. One at first. */
void hold(const struct grant *grant, int64_t holders);

/* Live and orphaned grants. */
size_t visible(void);

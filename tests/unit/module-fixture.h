/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A broker with a heap of module ccbuf_heap, for tests that have no such module. The node is a
 * terminal: a character device that can be opened, polled and read, so that events are bytes that
 * the daemon really reads. What its ioctls would answer is simulated, by --wrap=ioctl; a buffer is
 * a memfd full of 'x'.
 */
#pragma once

#include "broker.h"
#include "fixture.h"

#define MODULE_NODES_MAX 2

struct module_fixture {
	struct broker broker;
	struct peer *self;
	int node[MODULE_NODES_MAX], end[MODULE_NODES_MAX]; /* terminals, and their other ends */
	char name[MODULE_NODES_MAX][32];
	/* What the ioctls answer. */
	bool other; /* it is not the module's node after all: stats fail with EINVAL */
	struct ccbuf_heap_stats stats;
	int alloc_error, watch_error, revoke_error;
	struct ccbuf_heap_revoke hold;
	bool released_by_revoke; /* an event comes with it */
	/* What they were asked for. */
	uint64_t last_watch, revoked; /* numbers */
	unsigned int n_revoked, n_synced;
	/* The last reply. */
	unsigned int replies;
	enum ccbuf_verdict verdict;
	char reason[POLICY_REASON_MAX + 1];
	uint64_t grants[REQUEST_COUNT_MAX], inode;
	int fd;		     /* the peer's own, of the first buffer */
	bool close_at_once;  /* the peer does, and the event comes before the grant is committed */
	struct grant_op *op; /* set when later: it is still to be delivered */
	bool later;
};
extern struct module_fixture mf;

/* A policy in which every %s stands for the name of the (first) node, declared shared. */
struct policy *module_policy(const char *format);

/* uses "u" (of the node) and "e" (emulated), allowed to everybody. */
void module_set_up(void);
void module_tear_down(void);

/* Makes the n-th node. */
void module_add_node(unsigned int n);
/* The heap of the first node. */
const struct heap *module_heap(void);

/* Has the n-th node tell something. */
void module_tell(unsigned int n, enum ccbuf_heap_event_type type, uint64_t id, uint64_t bytes);

/* Asks with consent and waits for the reply. */
enum ccbuf_verdict module_ask(const char *use, uint64_t size, uint32_t count);
/* The same, which must be granted; its one grant. */
const struct grant *module_grant(const char *use, uint64_t size);

/* Records of an event in the trail. */
size_t module_events_of(const char *event);

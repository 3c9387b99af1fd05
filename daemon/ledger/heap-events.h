/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the heaps of module ccbuf_heap tell: that a buffer is released, which goes to the ledger,
 * and that memory leaked, which goes into the audit trail.
 *
 * Each node is listened to from the moment it is opened, in its turn with all else that the event
 * loop has: who closes very many buffers must not stop the others. That one who closes a buffer and
 * then asks for something finds it released, the ledger sees to. Nodes of the same device have
 * their leaks recorded once.
 */
#pragma once

#include "audit/audit.h"
#include "ledger/ledger.h"

struct heap_events;

/* Listens to every node that heaps opens from now on, and becomes the source of the ledger; all are
 * borrowed. 0 or a negative errno. */
int heap_events_new(sd_event *loop, struct heaps *heaps, struct ledger *ledger, struct audit *audit,
	struct heap_events **ret_events);
/* After audit_free() and before heaps_free(). Takes NULL. */
struct heap_events *heap_events_free(struct heap_events *events);

/* Takes what waits now, of each node up to HEAP_EVENTS_TAKEN events: some milliseconds. */
#define HEAP_EVENTS_TAKEN 1024
void heap_events_take(struct heap_events *events);

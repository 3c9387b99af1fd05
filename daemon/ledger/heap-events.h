/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The events of the heaps of module ccbuf_heap: a released buffer is passed to the ledger, leaked
 * memory to the audit trail.
 *
 * Each node is watched from the moment it is opened. Its events are taken a batch at a time, in
 * turn with the rest of the event loop, so that a client that closes very many buffers does not
 * stop the others. The ledger takes the waiting events itself before it calls a buffer held. Leaks
 * of one device are recorded once, however many nodes it has.
 */
#pragma once

#include "audit/audit.h"
#include "ledger/ledger.h"

struct heap_events;

/* Watches every node that heaps opens from now on, and becomes the source of the ledger. All are
 * borrowed. Returns 0 or a negative errno. */
int heap_events_new(sd_event *loop, struct heaps *heaps, struct ledger *ledger, struct audit *audit,
	struct heap_events **ret_events);
/* After audit_free() and before heaps_free(). Takes NULL. */
struct heap_events *heap_events_free(struct heap_events *events);

/* Takes the events that wait now, up to HEAP_EVENTS_TAKEN of each node: some milliseconds. */
#define HEAP_EVENTS_TAKEN 1024
void heap_events_take(struct heap_events *events);

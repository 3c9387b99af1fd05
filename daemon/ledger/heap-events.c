/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events of the module's nodes. It must never lose one: what a node has told it does not tell
 * again.
 */
#include "ledger/heap-events.h"

#include <stdio.h>

#include "log.h"
#include "size.h"
#include "util.h"

#define AT_ONCE	   64
#define RETRY_USEC 1000000 /* of a leak whose record failed */

/* A node that is listened to. */
struct teller {
	struct teller *next;
	struct heap_events *events;
	const struct heap *heap;
	sd_event_source *io;
	/* Leaks: */
	bool twin;		/* another one speaks for the device */
	bool recording;		/* a record is under way */
	uint64_t recorded;	/* bytes, of all that leaked since the module was loaded */
	uint64_t under_way;	/* likewise, once it is written */
	sd_event_source *retry; /* NULL until a record fails */
};

struct heap_events {
	sd_event *loop;
	struct ledger *ledger;
	struct audit *audit;
	struct heaps *heaps;
	struct teller *tellers;
};

static void record_leak(struct teller *teller, bool before);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source, (void)usec;
	record_leak(userdata, false);
	return 0;
}

static void retry(struct teller *teller)
{
	int r = 0;

	if (!teller->retry)
		r = sd_event_add_time_relative(teller->events->loop, &teller->retry,
			CLOCK_MONOTONIC, RETRY_USEC, 0, on_retry, teller);
	else
		sd_event_source_set_time_relative(teller->retry, RETRY_USEC);
	if (r >= 0)
		sd_event_source_set_enabled(teller->retry, SD_EVENT_ONESHOT);
}

static void on_leak_recorded(void *userdata, int result)
{
	struct teller *teller = userdata;

	teller->recording = false;
	if (result < 0) {
		retry(teller);
		return;
	}
	teller->recorded = teller->under_way;
	/* more may have leaked meanwhile */
	record_leak(teller, false);
}

/* What the counter has more than the trail: an event says that it moved, and some leaks are from
 * before there was anybody to tell. */
static void record_leak(struct teller *teller, bool before)
{
	const struct heap *heap = teller->heap;
	struct ccbuf_heap_stats stats;
	struct audit_event event = {
		.kind = AUDIT_LEAK,
		.heap = heap->name,
		.exposure = EXPOSURE_SHARED,
		.not_lost = true,
	};
	char reason[128], size[SIZE_TEXT_MAX];

	if (teller->twin || teller->recording || ccbuf_heap_stats(heap->fd, &stats) < 0 ||
		stats.leaked_bytes <= teller->recorded)
		return;
	event.size = stats.leaked_bytes - teller->recorded;
	snprintf(reason, sizeof(reason), "%s in all since the module was loaded%s",
		size_format(stats.leaked_bytes, size),
		before ? ", before ccbufd opened the heap" : "");
	event.reason = reason;
	teller->under_way = stats.leaked_bytes;
	teller->recording = true;
	if (audit_append(teller->events->audit, &event, on_leak_recorded, teller) < 0) {
		teller->recording = false;
		retry(teller);
	}
}

/* Up to n events, or a few more. */
static void take(struct teller *teller, size_t n)
{
	struct ccbuf_heap_event untrusted_events[AT_ONCE];
	bool leaked = false;
	int count = AT_ONCE;

	while (n > 0 && count == AT_ONCE) {
		count = ccbuf_heap_events(teller->heap->fd, untrusted_events, AT_ONCE);
		for (int i = 0; i < count; i++) {
			const struct ccbuf_heap_event *event = &untrusted_events[i];

			if (event->type == CCBUF_HEAP_RELEASED)
				ledger_ended(teller->events->ledger, teller->heap, event->id);
			leaked = leaked || event->type == CCBUF_HEAP_LEAKED;
		}
		n -= n < AT_ONCE ? n : AT_ONCE;
	}
	if (leaked)
		record_leak(teller, false);
	if (count < 0) {
		log_error("heap %s: its events cannot be read: %s; its buffers stay charged until "
			  "ccbufd is restarted",
			teller->heap->name, strerror(-count));
		teller->io = sd_event_source_disable_unref(teller->io);
	}
}

static int on_events(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct teller *teller = userdata;

	(void)source, (void)fd, (void)events;
	take(teller, AT_ONCE);
	return 0;
}

static bool has_twin(const struct heap_events *events, const struct heap *heap)
{
	for (const struct teller *teller = events->tellers; teller; teller = teller->next)
		if (teller->heap->device == heap->device)
			return true;
	return false;
}

static int on_opened(void *userdata, const struct heap *heap)
{
	struct heap_events *events = userdata;
	struct teller *teller = calloc(1, sizeof(*teller));
	struct ccbuf_heap_stats stats;
	int r;

	if (!teller)
		return -ENOMEM;
	teller->events = events;
	teller->heap = heap;
	teller->twin = has_twin(events, heap);
	r = sd_event_add_io(events->loop, &teller->io, heap->fd, EPOLLIN, on_events, teller);
	if (r < 0) {
		free(teller);
		return r;
	}
	teller->next = events->tellers;
	events->tellers = teller;
	if (ccbuf_heap_stats(heap->fd, &stats) == 0 && stats.flags & CCBUF_HEAP_STAT_UNSHARED)
		log_error("heap %s: module ccbuf_heap is loaded for development, NOTHING of it is "
			  "shared with the host",
			heap->name);
	record_leak(teller, true);
	return 0;
}

static void on_take(void *userdata)
{
	heap_events_take(userdata);
}

int heap_events_new(sd_event *loop, struct heaps *heaps, struct ledger *ledger, struct audit *audit,
	struct heap_events **ret_events)
{
	struct heap_events *events = calloc(1, sizeof(*events));

	if (!events)
		return -ENOMEM;
	events->loop = loop;
	events->ledger = ledger;
	events->audit = audit;
	events->heaps = heaps;
	heaps_set_observer(heaps, on_opened, events);
	ledger_set_source(ledger, on_take, events);
	*ret_events = events;
	return 0;
}

struct heap_events *heap_events_free(struct heap_events *events)
{
	if (!events)
		return NULL;
	heaps_set_observer(events->heaps, NULL, NULL);
	ledger_set_source(events->ledger, NULL, NULL);
	while (events->tellers) {
		struct teller *teller = events->tellers;

		events->tellers = teller->next;
		sd_event_source_disable_unref(teller->io);
		sd_event_source_disable_unref(teller->retry);
		free(teller);
	}
	free(events);
	return NULL;
}

void heap_events_take(struct heap_events *events)
{
	for (struct teller *teller = events->tellers; teller; teller = teller->next)
		if (teller->io)
			take(teller, HEAP_EVENTS_TAKEN);
}

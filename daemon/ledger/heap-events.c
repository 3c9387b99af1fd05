/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events of the module's nodes. It must never lose one: a node reports each event once, and a lost
 * one leaves a buffer charged for good.
 */
#include "ledger/heap-events.h"

#include <stdio.h>

#include "base/log.h"
#include "size.h"
#include "util.h"

#define AT_ONCE	   64
#define RETRY_USEC 1000000 /* until the record of a leak is retried */

/* A watched node of the module. */
struct watcher {
	struct watcher *next;
	struct heap_events *events;
	const struct heap *heap;
	sd_event_source *io;
	/* Leaks: */
	bool alias;	    /* an earlier watcher records the leaks of the device */
	bool recording;	    /* a record is under way */
	uint64_t recorded;  /* bytes in the trail, of all that leaked since the module was loaded */
	uint64_t under_way; /* the same, once the record under way is written */
	sd_event_source *retry; /* NULL until a record fails */
};

struct heap_events {
	sd_event *loop;
	struct ledger *ledger;
	struct audit *audit;
	struct heaps *heaps;
	struct watcher *watchers;
};

static void record_leak(struct watcher *watcher, bool before);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source, (void)usec;
	record_leak(userdata, false);
	return 0;
}

static void retry(struct watcher *watcher)
{
	int r = 0;

	if (!watcher->retry)
		r = sd_event_add_time_relative(watcher->events->loop, &watcher->retry,
			CLOCK_MONOTONIC, RETRY_USEC, 0, on_retry, watcher);
	else
		sd_event_source_set_time_relative(watcher->retry, RETRY_USEC);
	if (r >= 0)
		sd_event_source_set_enabled(watcher->retry, SD_EVENT_ONESHOT);
}

static void on_leak_recorded(void *userdata, int result)
{
	struct watcher *watcher = userdata;

	watcher->recording = false;
	if (result < 0) {
		retry(watcher);
		return;
	}
	watcher->recorded = watcher->under_way;
	/* more may have leaked meanwhile */
	record_leak(watcher, false);
}

/* Records the difference between the module's counter and the trail. An event says only that the
 * counter moved, and some leaks are older than this process. */
static void record_leak(struct watcher *watcher, bool before)
{
	const struct heap *heap = watcher->heap;
	struct ccbuf_heap_stats stats;
	struct audit_event event = {
		.kind = AUDIT_LEAK,
		.heap = heap->name,
		.exposure = EXPOSURE_SHARED,
		.not_lost = true,
	};
	char reason[128], size[SIZE_TEXT_MAX];

	if (watcher->alias || watcher->recording || ccbuf_heap_stats(heap->fd, &stats) < 0 ||
		stats.leaked_bytes <= watcher->recorded)
		return;
	event.size = stats.leaked_bytes - watcher->recorded;
	snprintf(reason, sizeof(reason), "%s in all since the module was loaded%s",
		size_format(stats.leaked_bytes, size),
		before ? ", before ccbufd opened the heap" : "");
	event.reason = reason;
	watcher->under_way = stats.leaked_bytes;
	watcher->recording = true;
	if (audit_append(watcher->events->audit, &event, on_leak_recorded, watcher) < 0) {
		watcher->recording = false;
		retry(watcher);
	}
}

/* Takes up to n events, or a few more. */
static void take(struct watcher *watcher, size_t n)
{
	struct ccbuf_heap_event untrusted_events[AT_ONCE];
	bool leaked = false;
	int count = AT_ONCE;

	while (n > 0 && count == AT_ONCE) {
		count = ccbuf_heap_events(watcher->heap->fd, untrusted_events, AT_ONCE);
		for (int i = 0; i < count; i++) {
			const struct ccbuf_heap_event *event = &untrusted_events[i];

			if (event->type == CCBUF_HEAP_RELEASED)
				ledger_ended(watcher->events->ledger, watcher->heap, event->id);
			leaked = leaked || event->type == CCBUF_HEAP_LEAKED;
		}
		n -= n < AT_ONCE ? n : AT_ONCE;
	}
	if (leaked)
		record_leak(watcher, false);
	if (count < 0) {
		log_error("heap %s: cannot read its events: %s; its buffers stay charged until "
			  "ccbufd is restarted",
			watcher->heap->name, strerror(-count));
		watcher->io = sd_event_source_disable_unref(watcher->io);
	}
}

static int on_events(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct watcher *watcher = userdata;

	(void)source, (void)fd, (void)events;
	take(watcher, AT_ONCE);
	return 0;
}

static bool has_alias(const struct heap_events *events, const struct heap *heap)
{
	for (const struct watcher *watcher = events->watchers; watcher; watcher = watcher->next)
		if (watcher->heap->device == heap->device)
			return true;
	return false;
}

static int on_opened(void *userdata, const struct heap *heap)
{
	struct heap_events *events = userdata;
	struct watcher *watcher = calloc(1, sizeof(*watcher));
	struct ccbuf_heap_stats stats;
	int r;

	if (!watcher)
		return -ENOMEM;
	watcher->events = events;
	watcher->heap = heap;
	watcher->alias = has_alias(events, heap);
	r = sd_event_add_io(events->loop, &watcher->io, heap->fd, EPOLLIN, on_events, watcher);
	if (r < 0) {
		free(watcher);
		return r;
	}
	watcher->next = events->watchers;
	events->watchers = watcher;
	if (ccbuf_heap_stats(heap->fd, &stats) == 0 && stats.flags & CCBUF_HEAP_STAT_UNSHARED)
		log_error("heap %s: module ccbuf_heap is loaded for development, NOTHING of it is "
			  "shared with the host",
			heap->name);
	record_leak(watcher, true);
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
	while (events->watchers) {
		struct watcher *watcher = events->watchers;

		events->watchers = watcher->next;
		sd_event_source_disable_unref(watcher->io);
		sd_event_source_disable_unref(watcher->retry);
		free(watcher);
	}
	free(events);
	return NULL;
}

void heap_events_take(struct heap_events *events)
{
	for (struct watcher *watcher = events->watchers; watcher; watcher = watcher->next)
		if (watcher->io)
			take(watcher, HEAP_EVENTS_TAKEN);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GrantAdded and GrantReleased. Those who watch can wait a moment, those who ask cannot: signals
 * are held back and sent together, off the path of the requests. It must never make a request wait
 * for a signal, nor tell of a release before the grant.
 */
#include "bus-internal.h"
#include "util.h"

#define WAIT_USEC   50000
#define SIGNALS_MAX 256

struct pending_signal {
	uint64_t grant;
	bool added;
	sd_bus_message *message;
};

struct bus_signals {
	struct bus *bus;
	sd_event_source *timer;
	size_t count;
	struct pending_signal queue[SIGNALS_MAX]; /* oldest first */
};

void bus_signals_send(struct bus_signals *signals)
{
	for (size_t i = 0; i < signals->count; i++) {
		if (signals->bus->connection)
			sd_bus_send(signals->bus->connection, signals->queue[i].message, NULL);
		sd_bus_message_unref(signals->queue[i].message);
	}
	signals->count = 0;
	sd_event_source_set_enabled(signals->timer, SD_EVENT_OFF);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source, (void)usec;
	bus_signals_send(userdata);
	return 0;
}

/* Grants that came and went unseen are left out. Only a flood makes so many, and a flood must not
 * become the bus daemon's and the watchers'. */
static void drop_pairs(struct bus_signals *signals)
{
	struct pending_signal *queue = signals->queue;
	size_t kept = 0;

	for (size_t i = 0; i < signals->count; i++) {
		for (size_t j = i; !queue[i].added && j-- > 0;) {
			if (!queue[j].message || queue[j].grant != queue[i].grant)
				continue;
			queue[j].message = sd_bus_message_unref(queue[j].message);
			queue[i].message = sd_bus_message_unref(queue[i].message);
			break;
		}
	}
	for (size_t i = 0; i < signals->count; i++)
		if (queue[i].message)
			queue[kept++] = queue[i];
	signals->count = kept;
}

/* Takes the message over. */
static void push(struct bus_signals *signals, uint64_t grant, bool added, sd_bus_message *message)
{
	if (signals->count == SIGNALS_MAX) {
		drop_pairs(signals);
		/* Few are left, or the next look would come too soon. */
		if (signals->count > SIGNALS_MAX / 2)
			bus_signals_send(signals);
	}
	if (signals->count == 0) {
		sd_event_source_set_time_relative(signals->timer, WAIT_USEC);
		sd_event_source_set_enabled(signals->timer, SD_EVENT_ONESHOT);
	}
	signals->queue[signals->count++] = (struct pending_signal){ grant, added, message };
}

static void on_added(void *userdata, const struct grant *grant)
{
	struct bus_signals *signals = userdata;
	sd_bus_message *message = NULL;
	int r;

	if (!signals->bus->connection)
		return;
	r = sd_bus_message_new_signal(
		signals->bus->connection, &message, BUS_PATH, BUS_INTERFACE, "GrantAdded");
	if (r >= 0)
		r = sd_bus_message_append(message, "t", grant->id);
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'a', "{sv}");
	if (r >= 0)
		r = bus_append_grant(message, grant);
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	if (r >= 0)
		push(signals, grant->id, true, message);
	else
		sd_bus_message_unref(message);
}

static void on_released(void *userdata, const struct grant *grant, const char *reason)
{
	struct bus_signals *signals = userdata;
	sd_bus_message *message = NULL;
	int r;

	if (!signals->bus->connection)
		return;
	r = sd_bus_message_new_signal(
		signals->bus->connection, &message, BUS_PATH, BUS_INTERFACE, "GrantReleased");
	if (r >= 0)
		r = sd_bus_message_append(message, "ts", grant->id, reason);
	if (r >= 0)
		push(signals, grant->id, false, message);
	else
		sd_bus_message_unref(message);
}

int bus_signals_new(struct bus *bus, struct bus_signals **ret_signals)
{
	struct bus_signals *signals = calloc(1, sizeof(*signals));
	int r;

	if (!signals)
		return -ENOMEM;
	signals->bus = bus;
	r = sd_event_add_time_relative(bus->broker->loop, &signals->timer, CLOCK_MONOTONIC,
		WAIT_USEC, WAIT_USEC / 2, on_timer, signals);
	if (r < 0) {
		free(signals);
		return r;
	}
	sd_event_source_set_enabled(signals->timer, SD_EVENT_OFF);
	ledger_set_observer(bus->broker->ledger,
		&(struct ledger_observer){ .added = on_added, .released = on_released, signals });
	*ret_signals = signals;
	return 0;
}

struct bus_signals *bus_signals_free(struct bus_signals *signals)
{
	if (!signals)
		return NULL;
	ledger_set_observer(signals->bus->broker->ledger, &(struct ledger_observer){ 0 });
	bus_signals_send(signals);
	sd_event_source_disable_unref(signals->timer);
	free(signals);
	return NULL;
}

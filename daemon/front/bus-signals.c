/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GrantAdded, GrantRevoked and GrantReleased. Signals are held back for a moment and sent together,
 * so that no request waits for them. A flood of one client must not flood the bus: signals above
 * SIGNALS_MAX in WAIT_USEC, and those that a hanging bus does not take, are left out, and a change
 * of the totals is signalled instead. A release is never signalled before its grant. It must never
 * send anything while the name is not ours: the bus shows signals of that name to administrators
 * only, and those without a name to everybody.
 */
#include "front/bus-internal.h"
#include "user/turns.h"
#include "util.h"

#define WAIT_USEC     50000
#define SIGNALS_MAX   256
#define SIGNALS_PIECE 8 /* sent in one turn */

struct event {
	uint64_t grant;
	struct grant *added; /* for GrantAdded, else NULL */
	const char *reason;  /* of a release, else NULL */
};

struct bus_signals {
	struct bus *bus;
	sd_event_source *timer;
	bool left_out; /* some signals were left out since the last ones sent */
	size_t count;
	struct event queue[SIGNALS_MAX]; /* oldest first */
};

static int append_added(sd_bus_message *message, const struct grant *grant)
{
	int r = sd_bus_message_append(message, "t", grant->id);

	return r < 0 ? r : bus_append_grant(message, grant);
}

/* A signal that cannot be sent is lost: only the audit trail is complete. */
static void send_event(sd_bus *connection, const struct event *event)
{
	sd_bus_message *message = NULL;
	int r;

	r = sd_bus_message_new_signal(connection, &message, BUS_PATH, BUS_INTERFACE,
		event->added	? "GrantAdded"
		: event->reason ? "GrantReleased"
				: "GrantRevoked");
	if (r >= 0 && event->added)
		r = append_added(message, event->added);
	else if (r >= 0 && event->reason)
		r = sd_bus_message_append(message, "ts", event->grant, event->reason);
	else if (r >= 0)
		r = sd_bus_message_append(message, "t", event->grant);
	if (r >= 0)
		sd_bus_send(connection, message, NULL);
	sd_bus_message_unref(message);
}

static void start_timer(struct bus_signals *signals)
{
	sd_event_source_set_time_relative(signals->timer, WAIT_USEC);
	sd_event_source_set_enabled(signals->timer, SD_EVENT_ONESHOT);
}

/* Sends up to n, oldest first. */
static void send_some(struct bus_signals *signals, size_t n)
{
	if (n > signals->count)
		n = signals->count;
	for (size_t i = 0; i < n; i++) {
		if (signals->bus->owned && !bus_takes_signals(signals->bus))
			signals->left_out = true;
		else if (signals->bus->owned)
			send_event(signals->bus->connection, &signals->queue[i]);
		grant_snapshot_free(signals->queue[i].added);
	}
	signals->count -= n;
	memmove(signals->queue, signals->queue + n, signals->count * sizeof(signals->queue[0]));
	if (signals->count)
		return;
	sd_event_source_set_enabled(signals->timer, SD_EVENT_OFF);
	if (!signals->left_out)
		return;
	/* Watchers can list again, once the bus takes messages. */
	if (signals->bus->owned && !bus_takes_signals(signals->bus)) {
		start_timer(signals);
		return;
	}
	if (signals->bus->owned)
		sd_bus_emit_properties_changed(signals->bus->connection, BUS_PATH, BUS_INTERFACE,
			"GrantedBytes", "GrantCount", NULL);
	signals->left_out = false;
}

void bus_signals_send(struct bus_signals *signals)
{
	send_some(signals, SIGNALS_MAX);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct bus_signals *signals = userdata;

	(void)usec;
	send_some(signals, SIGNALS_PIECE);
	if (signals->count) {
		sd_event_source_set_time_relative(source, 0);
		sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	}
	return 0;
}

/* False when the signal has to be left out. */
static bool has_room(struct bus_signals *signals)
{
	if (!signals->bus->owned)
		return false;
	signals->left_out = signals->left_out || signals->count == SIGNALS_MAX;
	return signals->count < SIGNALS_MAX;
}

static void push(struct bus_signals *signals, struct event event)
{
	if (signals->count == 0)
		start_timer(signals);
	signals->queue[signals->count++] = event;
}

static void on_added(void *userdata, const struct grant *grant)
{
	struct bus_signals *signals = userdata;
	struct grant *snapshot = has_room(signals) ? grant_snapshot(grant) : NULL;

	if (snapshot)
		push(signals, (struct event){ .grant = grant->id, .added = snapshot });
}

static void on_revoked(void *userdata, const struct grant *grant)
{
	struct bus_signals *signals = userdata;

	if (has_room(signals))
		push(signals, (struct event){ .grant = grant->id });
}

static void on_released(void *userdata, const struct grant *grant, const char *reason)
{
	struct bus_signals *signals = userdata;

	if (has_room(signals))
		push(signals, (struct event){ .grant = grant->id, .reason = reason });
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
	if (r >= 0)
		r = sd_event_source_set_priority(signals->timer, TURNS_PRIORITY);
	if (r < 0) {
		sd_event_source_disable_unref(signals->timer);
		free(signals);
		return r;
	}
	sd_event_source_set_enabled(signals->timer, SD_EVENT_OFF);
	ledger_set_observer(bus->broker->ledger, &(struct ledger_observer){ .added = on_added,
							 .revoked = on_revoked,
							 .released = on_released,
							 .userdata = signals });
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

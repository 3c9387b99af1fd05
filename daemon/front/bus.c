/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The connection to the bus, and its name. It never waits for the bus daemon.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "front/bus-internal.h"
#include "util.h"

#define RETRY_USEC  5000000  /* between two attempts to connect */
#define ANSWER_USEC 10000000 /* how long the bus may take to accept us */
#define FLUSH_USEC  1000000  /* how long the last replies may take */

static void tell_ready(struct bus *bus)
{
	if (bus->on_ready)
		bus->on_ready(bus->userdata);
	bus->on_ready = NULL;
}

static int on_name(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct bus *bus = userdata;
	const sd_bus_error *failure = sd_bus_message_get_error(message);
	uint32_t result = 0;

	(void)error;
	if (failure)
		log_error("bus: name %s: %s; serving the socket only", BUS_NAME, failure->message);
	else if (sd_bus_message_read(message, "u", &result) < 0 || result != 1)
		log_error(
			"bus: name %s has another owner; serving the socket only until it is free",
			BUS_NAME);
	else if (!bus->on_ready)
		log_info("bus: serving it again");
	bus->owned = result == 1;
	tell_ready(bus);
	return 1;
}

/* We got the name, which another process had. */
static int on_name_acquired(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct bus *bus = userdata;
	const char *name;

	(void)error;
	if (sd_bus_message_read(message, "s", &name) >= 0 && streq(name, BUS_NAME))
		bus->owned = true;
	return 0;
}

static void on_policy_changed(void *userdata)
{
	struct bus *bus = userdata;

	if (bus->owned)
		sd_bus_emit_properties_changed(bus->connection, BUS_PATH, BUS_INTERFACE,
			"PolicyDigest", "PolicyError", NULL);
}

/* --- connecting, again and again --- */

/* Like sd_bus_flush(), but limited in time, and reading as front/bus-io.c does: a bus that does not
 * read must not block us. */
static void flush(struct bus *bus)
{
	uint64_t now = clock_usec(CLOCK_MONOTONIC), end = now + FLUSH_USEC, queued;

	while (bus->connection && !bus->lost && sd_bus_is_ready(bus->connection) > 0 && now < end &&
		sd_bus_get_n_queued_write(bus->connection, &queued) >= 0 && queued > 0) {
		if (sd_event_run(bus->broker->loop, end - now) < 0)
			break;
		now = clock_usec(CLOCK_MONOTONIC);
	}
}

static void disconnect(struct bus *bus)
{
	if (bus->signals)
		bus_signals_send(bus->signals);
	bus->owned = false;
	bus_peers_free(bus);
	bus_deliveries_detach(bus->deliveries);
	bus_interface_detach(bus);
	bus->name = sd_bus_slot_unref(bus->name);
	bus->acquired = sd_bus_slot_unref(bus->acquired);
	bus->gone = sd_bus_slot_unref(bus->gone);
	bus->calls = sd_bus_slot_unref(bus->calls);
	bus->disconnected = sd_bus_slot_unref(bus->disconnected);
	bus->connection = sd_bus_close_unref(bus->connection);
	bus->io = bus_io_free(bus->io);
	bus_deliveries_gone(bus->deliveries, NULL);
}

static int arm_retry(struct bus *bus, uint64_t usec)
{
	if (!bus->retry)
		return 0; /* the daemon stops */
	sd_event_source_set_time_relative(bus->retry, usec);
	return sd_event_source_set_enabled(bus->retry, SD_EVENT_ONESHOT);
}

/* The connection has failed: schedules another one. */
static void lost(struct bus *bus)
{
	uint64_t held_usec;

	if (bus->lost)
		return;
	bus->lost = true;
	log_warning("bus: the connection is lost; serving the socket only until it is back");
	/* Not from inside a callback of the connection itself. Not at once if the last connection
	 * was short, or a bus that disconnects us would keep us busy. */
	held_usec = clock_usec(CLOCK_MONOTONIC) - bus->since_usec;
	arm_retry(bus, held_usec < RETRY_USEC ? RETRY_USEC : 0);
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	(void)message, (void)error;
	lost(userdata);
	return 1;
}

static int connect_bus(struct bus *bus)
{
	int r;

	disconnect(bus);
	bus->lost = false;
	bus->since_usec = clock_usec(CLOCK_MONOTONIC);
	r = sd_bus_open_system_with_description(&bus->connection, "ccbufd");
	if (r >= 0)
		r = bus_io_new(bus, lost, &bus->io);
	if (r >= 0)
		r = sd_bus_match_signal_async(bus->connection, &bus->disconnected, NULL,
			"/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", "Disconnected",
			on_disconnected, NULL, bus);
	if (r >= 0)
		r = sd_bus_match_signal_async(bus->connection, &bus->acquired,
			"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
			"NameAcquired", on_name_acquired, NULL, bus);
	if (r >= 0)
		r = sd_bus_add_match_async(bus->connection, &bus->gone,
			"type='signal',sender='org.freedesktop.DBus',"
			"path='/org/freedesktop/DBus',interface='org.freedesktop.DBus',"
			"member='NameOwnerChanged',arg2=''",
			bus_peers_on_gone, NULL, bus);
	if (r >= 0)
		r = bus_deliveries_attach(bus->deliveries);
	if (r >= 0)
		r = bus_interface_attach(bus);
	/* The filter added last is called first. */
	if (r >= 0)
		r = sd_bus_add_filter(bus->connection, &bus->calls, bus_calls_filter, bus);
	if (r >= 0)
		r = sd_bus_request_name_async(
			bus->connection, &bus->name, BUS_NAME, SD_BUS_NAME_QUEUE, on_name, bus);
	return r < 0 ? r : arm_retry(bus, ANSWER_USEC);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct bus *bus = userdata;

	(void)source, (void)usec;
	if (bus->connection && !bus->lost && sd_bus_is_ready(bus->connection) > 0)
		return 0;
	if (bus->on_ready)
		log_warning("bus: the bus does not answer; serving the socket only until it does");
	tell_ready(bus);
	if (connect_bus(bus) >= 0)
		return 0;
	disconnect(bus);
	return arm_retry(bus, RETRY_USEC);
}

int bus_new(struct broker *broker, void (*on_ready)(void *userdata), void *userdata,
	struct bus **ret_bus)
{
	struct bus *bus = calloc(1, sizeof(*bus));
	int r;

	if (!bus)
		return -ENOMEM;
	bus->broker = broker;
	unmapped_detect(&bus->unmapped);
	r = sd_event_add_time_relative(broker->loop, &bus->retry, CLOCK_MONOTONIC, RETRY_USEC,
		RETRY_USEC / 4, on_retry, bus);
	if (r >= 0)
		r = bus_deliveries_new(bus, &bus->deliveries);
	if (r >= 0)
		r = bus_signals_new(bus, &bus->signals);
	if (r < 0) {
		bus_free(bus);
		return r;
	}
	bus->on_ready = on_ready;
	bus->userdata = userdata;
	r = connect_bus(bus);
	if (r < 0) {
		log_warning("bus: cannot reach the bus; serving the socket only until it can: %s",
			strerror(-r));
		disconnect(bus);
		arm_retry(bus, RETRY_USEC);
		tell_ready(bus);
	}
	broker->on_policy_changed = on_policy_changed;
	broker->on_policy_changed_userdata = bus;
	*ret_bus = bus;
	return 0;
}

void bus_stop(struct bus *bus)
{
	bus->retry = sd_event_source_disable_unref(bus->retry);
	bus_signals_send(bus->signals);
	/* The bus decides by the name who may get our broadcasts. */
	bus->owned = false;
	if (bus->connection)
		sd_bus_release_name_async(bus->connection, NULL, BUS_NAME, NULL, NULL);
	bus_interface_detach(bus);
}

struct bus *bus_free(struct bus *bus)
{
	if (!bus)
		return NULL;
	bus->signals = bus_signals_free(bus->signals);
	bus->broker->on_policy_changed = NULL;
	flush(bus);
	if (bus->deliveries)
		disconnect(bus);
	bus_deliveries_free(bus->deliveries);
	sd_event_source_disable_unref(bus->retry);
	free(bus);
	return NULL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The connection to the bus, and its name. It must never wait for the bus daemon.
 */
#include <stdio.h>

#include "bus-internal.h"
#include "log.h"
#include "util.h"

#define RETRY_USEC 5000000

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
		log_error("bus: name %s has another owner; serving the socket only", BUS_NAME);
	tell_ready(bus);
	return 1;
}

static void on_policy_changed(void *userdata)
{
	struct bus *bus = userdata;

	if (bus->connection)
		sd_bus_emit_properties_changed(bus->connection, BUS_PATH, BUS_INTERFACE,
			"PolicyDigest", "PolicyError", NULL);
}

/* --- connecting, again and again --- */

static void disconnect(struct bus *bus)
{
	if (bus->signals)
		bus_signals_send(bus->signals);
	bus_peers_free(bus);
	bus->object = sd_bus_slot_unref(bus->object);
	bus->name = sd_bus_slot_unref(bus->name);
	bus->disconnected = sd_bus_slot_unref(bus->disconnected);
	bus->connection = sd_bus_flush_close_unref(bus->connection);
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct bus *bus = userdata;

	(void)message, (void)error;
	log_warning("bus: the connection is lost, serving the socket only until it is back");
	/* Not from inside a callback of the connection itself. */
	sd_event_source_set_time_relative(bus->retry, 0);
	sd_event_source_set_enabled(bus->retry, SD_EVENT_ONESHOT);
	return 1;
}

static int connect_bus(struct bus *bus)
{
	int r;

	disconnect(bus);
	r = sd_bus_open_system_with_description(&bus->connection, "ccbufd");
	if (r >= 0)
		r = sd_bus_attach_event(
			bus->connection, bus->broker->loop, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = sd_bus_match_signal_async(bus->connection, &bus->disconnected, NULL,
			"/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", "Disconnected",
			on_disconnected, NULL, bus);
	if (r >= 0)
		r = sd_bus_add_object_vtable(
			bus->connection, &bus->object, BUS_PATH, BUS_INTERFACE, bus_vtable, bus);
	if (r >= 0)
		r = sd_bus_request_name_async(
			bus->connection, &bus->name, BUS_NAME, 0, on_name, bus);
	return r;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct bus *bus = userdata;
	int r;

	(void)usec;
	r = connect_bus(bus);
	if (r >= 0) {
		log_info("bus: connected");
		return 0;
	}
	disconnect(bus);
	sd_event_source_set_time_relative(source, RETRY_USEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int bus_new(struct broker *broker, void (*on_ready)(void *userdata), void *userdata,
	struct bus **ret_bus)
{
	struct bus *bus = calloc(1, sizeof(*bus));
	int r;

	if (!bus)
		return -ENOMEM;
	bus->broker = broker;
	r = sd_event_add_time_relative(broker->loop, &bus->retry, CLOCK_MONOTONIC, RETRY_USEC,
		RETRY_USEC / 4, on_retry, bus);
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
		log_warning("bus: cannot be reached, serving the socket only until it can: %s",
			strerror(-r));
		disconnect(bus);
		tell_ready(bus);
	} else {
		sd_event_source_set_enabled(bus->retry, SD_EVENT_OFF);
	}
	broker->on_policy_changed = on_policy_changed;
	broker->on_policy_changed_userdata = bus;
	*ret_bus = bus;
	return 0;
}

void bus_stop(struct bus *bus)
{
	sd_event_source_set_enabled(bus->retry, SD_EVENT_OFF);
	bus_signals_send(bus->signals);
	if (bus->connection)
		sd_bus_release_name_async(bus->connection, NULL, BUS_NAME, NULL, NULL);
	bus->object = sd_bus_slot_unref(bus->object);
}

struct bus *bus_free(struct bus *bus)
{
	if (!bus)
		return NULL;
	bus->signals = bus_signals_free(bus->signals);
	bus->broker->on_policy_changed = NULL;
	disconnect(bus);
	sd_event_source_disable_unref(bus->retry);
	free(bus);
	return NULL;
}

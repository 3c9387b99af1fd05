/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The connection to the bus, its name and its signals. It must never wait for the bus daemon.
 */
#include <stdio.h>

#include "bus-internal.h"
#include "log.h"
#include "util.h"

static int on_name(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct bus *bus = userdata;
	const sd_bus_error *failure = sd_bus_message_get_error(message);
	uint32_t result = 0;
	int r = 0;

	(void)error;
	if (failure)
		r = -sd_bus_error_get_errno(failure);
	else if (sd_bus_message_read(message, "u", &result) < 0 || result != 1)
		r = -EEXIST;
	if (failure)
		log_error("bus: name %s: %s", BUS_NAME, failure->message);
	else if (r < 0)
		log_error("bus: name %s has another owner", BUS_NAME);
	bus->on_ready(bus->userdata, r);
	return 1;
}

static void send_signal(struct bus *bus, sd_bus_message *message, int r)
{
	if (r >= 0)
		sd_bus_send(bus->connection, message, NULL);
	sd_bus_message_unref(message);
}

static void on_added(void *userdata, const struct grant *grant)
{
	struct bus *bus = userdata;
	sd_bus_message *message = NULL;
	int r;

	r = sd_bus_message_new_signal(
		bus->connection, &message, BUS_PATH, BUS_INTERFACE, "GrantAdded");
	if (r >= 0)
		r = sd_bus_message_append(message, "t", grant->id);
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'a', "{sv}");
	if (r >= 0)
		r = bus_append_grant(message, grant);
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	send_signal(bus, message, r);
}

static void on_released(void *userdata, const struct grant *grant, const char *reason)
{
	struct bus *bus = userdata;
	sd_bus_message *message = NULL;
	int r;

	r = sd_bus_message_new_signal(
		bus->connection, &message, BUS_PATH, BUS_INTERFACE, "GrantReleased");
	if (r >= 0)
		r = sd_bus_message_append(message, "ts", grant->id, reason);
	send_signal(bus, message, r);
}

static void on_policy_changed(void *userdata)
{
	struct bus *bus = userdata;

	sd_bus_emit_properties_changed(
		bus->connection, BUS_PATH, BUS_INTERFACE, "PolicyDigest", "PolicyError", NULL);
}

int bus_new(struct broker *broker, void (*on_ready)(void *userdata, int result), void *userdata,
	struct bus **ret_bus)
{
	struct bus *bus = calloc(1, sizeof(*bus));
	int r;

	if (!bus)
		return -ENOMEM;
	bus->broker = broker;
	bus->on_ready = on_ready;
	bus->userdata = userdata;
	r = sd_bus_open_system_with_description(&bus->connection, "ccbufd");
	if (r >= 0)
		r = sd_bus_attach_event(bus->connection, broker->loop, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = sd_bus_add_object_vtable(
			bus->connection, &bus->object, BUS_PATH, BUS_INTERFACE, bus_vtable, bus);
	if (r >= 0)
		r = sd_bus_request_name_async(
			bus->connection, &bus->name, BUS_NAME, 0, on_name, bus);
	if (r < 0) {
		bus_free(bus);
		return r;
	}
	ledger_set_observer(broker->ledger,
		&(struct ledger_observer){ .added = on_added, .released = on_released, bus });
	broker->on_policy_changed = on_policy_changed;
	broker->on_policy_changed_userdata = bus;
	*ret_bus = bus;
	return 0;
}

void bus_stop(struct bus *bus)
{
	sd_bus_release_name_async(bus->connection, NULL, BUS_NAME, NULL, NULL);
	bus->object = sd_bus_slot_unref(bus->object);
}

struct bus *bus_free(struct bus *bus)
{
	if (!bus)
		return NULL;
	ledger_set_observer(bus->broker->ledger, &(struct ledger_observer){ 0 });
	bus->broker->on_policy_changed = NULL;
	bus_peers_free(bus);
	sd_bus_slot_unref(bus->object);
	sd_bus_slot_unref(bus->name);
	sd_bus_flush_close_unref(bus->connection);
	free(bus);
	return NULL;
}

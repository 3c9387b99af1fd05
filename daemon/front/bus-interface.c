/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The interface org.ccbuf.Broker1: its methods, properties and signals. It only queues calls, each
 * for its turn, and answers none itself.
 */
#include "front/bus-internal.h"
#include "util.h"

#define METHOD(name, handler)                                                                      \
	static int name(sd_bus_message *message, void *userdata, sd_bus_error *error)              \
	{                                                                                          \
		(void)error;                                                                       \
		return bus_identify(userdata, message, handler, handler == bus_handle_request);    \
	}

METHOD(method_request, bus_handle_request)
METHOD(method_release, bus_handle_release)
METHOD(method_list, bus_handle_list)
METHOD(method_why, bus_handle_why)
METHOD(method_reload, bus_handle_reload)
METHOD(method_revoke, bus_handle_revoke)

static const sd_bus_vtable vtable[] = { SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Request", SD_BUS_ARGS("s", use, "t", size, "a{sv}", options),
		SD_BUS_RESULT("h", fd, "t", grant, "t", size), method_request,
		SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_ARGS("t", grant), SD_BUS_RESULT("b", still_held),
		method_release, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("ListGrants", SD_BUS_NO_ARGS, SD_BUS_RESULT("aa{sv}", grants),
		method_list, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Why", SD_BUS_ARGS("s", use, "t", size, "a{sv}", peer),
		SD_BUS_RESULT("a{sv}", verdict), method_why, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload,
		SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Revoke", SD_BUS_ARGS("t", grant), SD_BUS_RESULT("a{sv}", held),
		method_revoke, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Version", "s", bus_get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Platform", "s", bus_get_platform, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Heaps", "aa{sv}", bus_get_heaps, 0, 0),
	SD_BUS_PROPERTY(
		"PolicyDigest", "s", bus_get_policy_digest, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY(
		"PolicyError", "s", bus_get_policy_error, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("GrantedBytes", "t", bus_get_granted_bytes, 0,
		SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION),
	SD_BUS_PROPERTY("GrantCount", "t", bus_get_grant_count, 0,
		SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION),
	SD_BUS_PROPERTY("AuditSequence", "t", bus_get_audit_sequence, 0, 0),
	SD_BUS_SIGNAL_WITH_ARGS("GrantAdded", SD_BUS_ARGS("t", grant, "a{sv}", details), 0),
	SD_BUS_SIGNAL_WITH_ARGS("GrantRevoked", SD_BUS_ARGS("t", grant), 0),
	SD_BUS_SIGNAL_WITH_ARGS("GrantReleased", SD_BUS_ARGS("t", grant, "s", reason), 0),
	SD_BUS_VTABLE_END };

/* --- Get and GetAll --- */

static int append_property(
	struct bus *bus, const struct sd_bus_vtable *property, sd_bus_message *reply)
{
	int r = sd_bus_message_open_container(reply, 'v', property->x.property.signature);

	if (r >= 0)
		r = property->x.property.get(bus->connection, BUS_PATH, BUS_INTERFACE,
			property->x.property.member, reply, bus, NULL);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_all(struct bus *bus, sd_bus_message *reply)
{
	int r = sd_bus_message_open_container(reply, 'a', "{sv}");

	for (const sd_bus_vtable *at = vtable; r >= 0 && at->type != _SD_BUS_VTABLE_END; at++) {
		if (at->type != _SD_BUS_VTABLE_PROPERTY)
			continue;
		r = sd_bus_message_open_container(reply, 'e', "sv");
		if (r >= 0)
			r = sd_bus_message_append(reply, "s", at->x.property.member);
		if (r >= 0)
			r = append_property(bus, at, reply);
		if (r >= 0)
			r = sd_bus_message_close_container(reply);
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_one(struct bus *bus, const char *name, sd_bus_message *reply)
{
	for (const sd_bus_vtable *at = vtable; at->type != _SD_BUS_VTABLE_END; at++)
		if (at->type == _SD_BUS_VTABLE_PROPERTY && streq(at->x.property.member, name))
			return append_property(bus, at, reply);
	return -ENOENT;
}

static int handle_properties(struct bus_peer *bus_peer, sd_bus_message *message)
{
	const char *interface, *name = NULL;
	sd_bus_message *reply = NULL;
	int r;

	r = sd_bus_message_read(message, "s", &interface);
	if (r >= 0 && streq(sd_bus_message_get_member(message), "Get"))
		r = sd_bus_message_read(message, "s", &name);
	if (r >= 0)
		r = sd_bus_message_new_method_return(message, &reply);
	if (r >= 0)
		r = name ? append_one(bus_peer->bus, name, reply)
			 : append_all(bus_peer->bus, reply);
	if (r >= 0)
		r = sd_bus_message_send(reply);
	sd_bus_message_unref(reply);
	if (r == -ENOENT)
		return sd_bus_reply_method_errorf(message, SD_BUS_ERROR_UNKNOWN_PROPERTY,
			"there is no property of that name");
	return r;
}

static int on_properties(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const char *path = sd_bus_message_get_path(message), *interface = NULL;
	struct bus *bus = userdata;
	bool get;
	int r;

	(void)error;
	get = sd_bus_message_is_method_call(message, "org.freedesktop.DBus.Properties", "Get");
	if (!get && !sd_bus_message_is_method_call(
			    message, "org.freedesktop.DBus.Properties", "GetAll"))
		return 0;
	/* sd-bus answers wrong calls and those for other objects. */
	if (!bus->object || !path || !streq(path, BUS_PATH) ||
		sd_bus_message_has_signature(message, get ? "ss" : "s") <= 0)
		return 0;
	r = sd_bus_message_read(message, "s", &interface);
	if (r < 0 || sd_bus_message_rewind(message, true) < 0)
		return 0;
	if (!streq(interface, BUS_INTERFACE) && (get || interface[0]))
		return 0;
	r = bus_identify(bus, message, handle_properties, false);
	return r < 0 ? r : 1;
}

int bus_interface_attach(struct bus *bus)
{
	int r = sd_bus_add_filter(bus->connection, &bus->properties, on_properties, bus);

	return r < 0 ? r
		     : sd_bus_add_object_vtable(
			       bus->connection, &bus->object, BUS_PATH, BUS_INTERFACE, vtable, bus);
}

void bus_interface_detach(struct bus *bus)
{
	bus->object = sd_bus_slot_unref(bus->object);
	bus->properties = sd_bus_slot_unref(bus->properties);
}

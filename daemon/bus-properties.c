/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The properties of org.ccbuf.Broker1, and who reads them in which turn. It must never show what
 * only administrators may see.
 */
#include <stdio.h>

#include "bus-internal.h"
#include "config.h"
#include "platform.h"
#include "text.h"
#include "util.h"

#define PROPERTY(name, type, value)                                                                \
	int name(sd_bus *connection, const char *path, const char *interface,                      \
		const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error)  \
	{                                                                                          \
		const struct broker *broker = ((struct bus *)userdata)->broker;                    \
                                                                                                   \
		(void)connection, (void)path, (void)interface, (void)property, (void)error;        \
		(void)broker;                                                                      \
		return sd_bus_message_append(reply, type, value);                                  \
	}

PROPERTY(bus_get_version, "s", CCBUF_VERSION)
PROPERTY(bus_get_platform, "s", platform_name())
PROPERTY(bus_get_policy_digest, "s", policy_digest(broker->policy))
PROPERTY(bus_get_granted_bytes, "t", ledger_bytes(broker->ledger))
PROPERTY(bus_get_grant_count, "t", ledger_count(broker->ledger))
PROPERTY(bus_get_audit_sequence, "t", audit_sequence(broker->audit))

char *bus_policy_error(const struct broker *broker)
{
	return text_new(
		broker->policy_error ? broker->policy_error : "", TEXT_VISIBLE | TEXT_LINES);
}

int bus_get_policy_error(sd_bus *connection, const char *path, const char *interface,
	const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	cleanup(cleanup_free) char *mistakes = bus_policy_error(((struct bus *)userdata)->broker);

	(void)connection, (void)path, (void)interface, (void)property, (void)error;
	return mistakes ? sd_bus_message_append(reply, "s", mistakes) : -ENOMEM;
}

struct heap_listing {
	struct broker *broker;
	sd_bus_message *reply;
	int r;
};

/* What only module ccbuf_heap counts. */
static int append_stats(sd_bus_message *reply, const struct ccbuf_heap_stats *stats)
{
	int r = bus_append_u64(reply, "live", stats->live_bytes);

	if (r >= 0)
		r = bus_append_u64(reply, "pool", stats->pool_bytes);
	if (r >= 0)
		r = bus_append_u64(reply, "leaked", stats->leaked_bytes);
	if (r >= 0)
		r = bus_append_bool(
			reply, "stopped", stats->flags & CCBUF_HEAP_STAT_STOPPED ? true : false);
	if (r >= 0)
		r = bus_append_bool(
			reply, "unshared", stats->flags & CCBUF_HEAP_STAT_UNSHARED ? true : false);
	return r;
}

static int append_heap(struct heap_listing *listing, const char *name)
{
	enum exposure exposure = policy_exposure(listing->broker->policy, name);
	struct ccbuf_heap_stats stats = { 0 };
	const struct heap *heap;
	char reason[256] = "";
	int r, opened = heaps_get(listing->broker->heaps, name, &heap);
	bool module = opened >= 0 && heap->module && module_stats(heap->fd, &stats) == 0;

	if (opened < 0)
		heaps_explain(
			listing->broker->heaps, name, exposure, opened, reason, sizeof(reason));
	else if (exposure == EXPOSURE_UNKNOWN)
		snprintf(reason, sizeof(reason),
			"exposure unknown: declare it in the policy (\"heaps\") to have it "
			"brokered");
	else if (stats.flags & CCBUF_HEAP_STAT_STOPPED)
		heap_explain(heap, -EIO, reason, sizeof(reason));
	r = sd_bus_message_open_container(listing->reply, 'a', "{sv}");
	if (r >= 0)
		r = bus_append_string(listing->reply, "name", name);
	if (r >= 0)
		r = bus_append_string(listing->reply, "exposure", exposure_name(exposure));
	if (r >= 0)
		r = bus_append_bool(listing->reply, "available", !reason[0]);
	if (r >= 0)
		r = bus_append_words(listing->reply, "reason", reason);
	if (r >= 0)
		r = bus_append_bool(
			listing->reply, "revocable", opened >= 0 && heap_can_revoke(heap));
	if (r >= 0 && module)
		r = append_stats(listing->reply, &stats);
	return r < 0 ? r : sd_bus_message_close_container(listing->reply);
}

static void visit_heap(void *userdata, const char *name)
{
	struct heap_listing *listing = userdata;

	if (listing->r >= 0)
		listing->r = append_heap(listing, name);
}

int bus_get_heaps(sd_bus *connection, const char *path, const char *interface, const char *property,
	sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct heap_listing listing = { ((struct bus *)userdata)->broker, reply, 0 };
	int r;

	(void)connection, (void)path, (void)interface, (void)property, (void)error;
	r = sd_bus_message_open_container(reply, 'a', "a{sv}");
	if (r < 0)
		return r;
	r = heaps_each(listing.broker->heaps, visit_heap, &listing);
	if (r < 0)
		return r;
	return listing.r < 0 ? listing.r : sd_bus_message_close_container(reply);
}

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

	for (const sd_bus_vtable *at = bus_vtable; r >= 0 && at->type != _SD_BUS_VTABLE_END; at++) {
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
	for (const sd_bus_vtable *at = bus_vtable; at->type != _SD_BUS_VTABLE_END; at++)
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

int bus_properties_filter(sd_bus_message *message, void *userdata, sd_bus_error *error)
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
	/* What is wrong with it, and what is not ours, sd-bus has the words for. */
	if (!bus->object || !path || !streq(path, BUS_PATH) ||
		sd_bus_message_has_signature(message, get ? "ss" : "s") <= 0)
		return 0;
	r = sd_bus_message_read(message, "s", &interface);
	if (r < 0 || sd_bus_message_rewind(message, true) < 0)
		return 0;
	if (!streq(interface, BUS_INTERFACE) && (get || interface[0]))
		return 0;
	r = bus_identify(bus, message, handle_properties);
	return r < 0 ? r : 1;
}

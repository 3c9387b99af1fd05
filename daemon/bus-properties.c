/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The properties of org.ccbuf.Broker1. It must never show what only administrators may see.
 */
#include <stdio.h>

#include "bus-internal.h"
#include "config.h"
#include "platform.h"
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
PROPERTY(bus_get_policy_error, "s", broker->policy_error ? broker->policy_error : "")
PROPERTY(bus_get_granted_bytes, "t", ledger_bytes(broker->ledger))
PROPERTY(bus_get_grant_count, "t", ledger_count(broker->ledger))
PROPERTY(bus_get_audit_sequence, "t", audit_sequence(broker->audit))

struct heap_listing {
	struct broker *broker;
	sd_bus_message *reply;
	int r;
};

static int append_heap(struct heap_listing *listing, const char *name)
{
	enum exposure exposure = policy_exposure(listing->broker->policy, name);
	const struct heap *heap;
	char reason[256] = "";
	int r, opened = heaps_get(listing->broker->heaps, name, &heap);

	if (opened < 0)
		heaps_explain(
			listing->broker->heaps, name, exposure, opened, reason, sizeof(reason));
	else if (exposure == EXPOSURE_UNKNOWN)
		snprintf(reason, sizeof(reason),
			"exposure unknown: declare it in the policy (\"heaps\") to have it "
			"brokered");
	r = sd_bus_message_open_container(listing->reply, 'a', "{sv}");
	if (r >= 0)
		r = bus_append_path(listing->reply, "name", name);
	if (r >= 0)
		r = bus_append_string(listing->reply, "exposure", exposure_name(exposure));
	if (r >= 0)
		r = bus_append_bool(listing->reply, "available", !reason[0]);
	if (r >= 0)
		r = bus_append_string(listing->reply, "reason", reason);
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

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The properties of org.ccbuf.Broker1. Everybody may read them: it must never show what only
 * administrators may see.
 */
#include <stdio.h>

#include "config.h"
#include "front/bus-internal.h"
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

/* The counters of module ccbuf_heap. */
static void put_stats(struct bus_dict *dict, const struct ccbuf_heap_stats *stats)
{
	bus_put_u64(dict, "live", stats->live_bytes);
	bus_put_u64(dict, "pool", stats->pool_bytes);
	bus_put_u64(dict, "leaked", stats->leaked_bytes);
	bus_put_bool(dict, "stopped", stats->flags & CCBUF_HEAP_STAT_STOPPED ? true : false);
	bus_put_bool(dict, "unshared", stats->flags & CCBUF_HEAP_STAT_UNSHARED ? true : false);
}

static int append_heap(struct heap_listing *listing, const char *name)
{
	enum exposure exposure = policy_exposure(listing->broker->policy, name);
	struct ccbuf_heap_stats stats = { 0 };
	const struct heap *heap;
	char reason[256] = "";
	struct bus_dict dict;
	int opened = heaps_get(listing->broker->heaps, name, &heap);
	bool module = opened >= 0 && heap->module && ccbuf_heap_stats(heap->fd, &stats) == 0;

	if (opened < 0)
		heaps_explain(
			listing->broker->heaps, name, exposure, opened, reason, sizeof(reason));
	else if (exposure == EXPOSURE_UNKNOWN)
		snprintf(reason, sizeof(reason),
			"exposure unknown: declare it in the policy (\"heaps\") to have it "
			"brokered");
	else if (stats.flags & CCBUF_HEAP_STAT_STOPPED)
		heap_explain(heap, -EIO, reason, sizeof(reason));
	dict = bus_dict(listing->reply, 0);
	bus_put_string(&dict, "name", name);
	bus_put_string(&dict, "exposure", exposure_name(exposure));
	bus_put_bool(&dict, "available", !reason[0]);
	bus_put_words(&dict, "reason", reason);
	bus_put_bool(&dict, "revocable", opened >= 0 && heap_can_revoke(heap));
	if (module)
		put_stats(&dict, &stats);
	return bus_dict_end(&dict);
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

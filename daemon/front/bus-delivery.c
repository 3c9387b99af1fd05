/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a bus does not deliver: when it refuses a message with file descriptors, it sends us an
 * error with the cookie of that message. A grant must never stay charged to a process that will not
 * get it, as the bus has reported.
 *
 * The caller of a refused reply cannot get another one: dbus-daemon takes one reply only, and
 * dbus-broker ends the connection of the caller. So the daemon tries first, with another message,
 * whether a caller takes file descriptors.
 */
#include <fcntl.h>

#include "front/bus-internal.h"
#include "util.h"

/* One question settles all that was sent in this time. */
#define SETTLE_USEC 50000

struct delivery {
	TAILQ_ENTRY(delivery) next;
	uint64_t number; /* in the order of sending */
	uint64_t cookie;
	uint64_t grant; /* 0 for the signal of a probe */
	struct bus_peer *bus_peer;
};

struct bus_deliveries {
	struct bus *bus;
	TAILQ_HEAD(, delivery) open; /* those that the bus can still refuse, oldest first */
	uint64_t number;	     /* of the last one */
	uint64_t settled;	     /* the next answer settles all up to this one */
	sd_bus_slot *filter, *question;
	sd_event_source *timer;
};

static void end(struct bus_deliveries *deliveries, struct delivery *delivery)
{
	TAILQ_REMOVE(&deliveries->open, delivery, next);
	bus_peer_put(delivery->bus_peer);
	free(delivery);
}

static void settle_soon(struct bus_deliveries *deliveries)
{
	int enabled = SD_EVENT_OFF;

	sd_event_source_get_enabled(deliveries->timer, &enabled);
	if (deliveries->question || enabled != SD_EVENT_OFF)
		return;
	sd_event_source_set_time_relative(deliveries->timer, SETTLE_USEC);
	sd_event_source_set_enabled(deliveries->timer, SD_EVENT_ONESHOT);
}

/* --- refused messages --- */

static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct bus_deliveries *deliveries = userdata;
	struct delivery *delivery;
	const char *sender = sd_bus_message_get_sender(message);
	uint64_t cookie;

	(void)error;
	if (!sd_bus_message_is_method_error(message, NULL) || !sender ||
		!streq(sender, "org.freedesktop.DBus") ||
		sd_bus_message_get_reply_cookie(message, &cookie) < 0)
		return 0;
	TAILQ_FOREACH(delivery, &deliveries->open, next)
	if (delivery->cookie == cookie)
		break;
	if (!delivery)
		return 0;
	if (delivery->grant)
		ledger_undelivered(deliveries->bus->broker->ledger, delivery->grant,
			"the bus refused the reply");
	else if (sd_bus_message_is_method_error(message, SD_BUS_ERROR_NOT_SUPPORTED) ||
		 sd_bus_message_is_method_error(message, SD_BUS_ERROR_FAILED))
		delivery->bus_peer->takes_no_fds = true;
	end(deliveries, delivery);
	return 1;
}

/* --- when a message is settled --- */

static int on_answer(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct bus_deliveries *deliveries = userdata;
	struct delivery *delivery;

	(void)message, (void)error;
	deliveries->question = sd_bus_slot_unref(deliveries->question);
	while ((delivery = TAILQ_FIRST(&deliveries->open)) &&
		delivery->number <= deliveries->settled)
		end(deliveries, delivery);
	if (delivery)
		settle_soon(deliveries);
	return 1;
}

/* The bus handles messages in order: its answer to a later call comes after its errors for earlier
 * messages. */
static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct bus_deliveries *deliveries = userdata;

	(void)source, (void)usec;
	if (deliveries->question || !deliveries->bus->connection)
		return 0;
	deliveries->settled = deliveries->number;
	(void)sd_bus_call_method_async(deliveries->bus->connection, &deliveries->question,
		"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId",
		on_answer, deliveries, NULL);
	return 0;
}

int bus_deliver(struct bus_peer *bus_peer, sd_bus_message *message, uint64_t grant)
{
	struct bus_deliveries *deliveries = bus_peer->bus->deliveries;
	struct delivery *delivery = malloc(sizeof(*delivery));
	uint64_t cookie = 0;
	int r;

	if (!delivery)
		return -ENOMEM;
	r = sd_bus_send(bus_peer->bus->connection, message, &cookie);
	if (r < 0) {
		free(delivery);
		return r;
	}
	bus_peer->refs++;
	*delivery = (struct delivery){
		.number = ++deliveries->number,
		.cookie = cookie,
		.grant = grant,
		.bus_peer = bus_peer,
	};
	TAILQ_INSERT_TAIL(&deliveries->open, delivery, next);
	settle_soon(deliveries);
	return 0;
}

/* --- probes --- */

static int on_tried(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct bus_peer *bus_peer = userdata;

	(void)message, (void)error;
	bus_peer->probe = sd_bus_slot_unref(bus_peer->probe);
	bus_calls_go(bus_peer);
	return 1;
}

int bus_probe(struct bus_peer *bus_peer)
{
	sd_bus *connection = bus_peer->bus->connection;
	sd_bus_message *message = NULL;
	int fd, r;

	bus_peer->probed = true;
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* Not of our interface, whose signals most connections may not receive. A signal needs no
	 * answer, but only dbus-daemon reports refused signals. */
	if (bus_peer->bus->tells_of_signals)
		r = sd_bus_message_new_signal(
			connection, &message, BUS_PATH, BUS_PROBE, "FileDescriptor");
	else
		r = sd_bus_message_new_method_call(connection, &message, bus_peer->name, BUS_PATH,
			BUS_PROBE, "FileDescriptor");
	if (r >= 0)
		r = sd_bus_message_append(message, "h", fd);
	if (r >= 0 && bus_peer->bus->tells_of_signals)
		r = sd_bus_message_set_destination(message, bus_peer->name);
	if (r >= 0)
		r = bus_deliver(bus_peer, message, 0);
	sd_bus_message_unref(message);
	close_fd(&fd);
	if (r >= 0)
		r = sd_bus_call_method_async(connection, &bus_peer->probe, "org.freedesktop.DBus",
			"/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId", on_tried,
			bus_peer, NULL);
	return r;
}

/* --- ends --- */

void bus_deliveries_gone(struct bus_deliveries *deliveries, const struct bus_peer *bus_peer)
{
	struct delivery *delivery, *next;

	for (delivery = TAILQ_FIRST(&deliveries->open); delivery; delivery = next) {
		next = TAILQ_NEXT(delivery, next);
		/* Messages on their way may have arrived: whoever has the buffer is charged for
		 * it. */
		if (!bus_peer || delivery->bus_peer == bus_peer)
			end(deliveries, delivery);
	}
	if (!bus_peer)
		deliveries->question = sd_bus_slot_unref(deliveries->question);
}

static int on_features(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct bus *bus = userdata;
	const char *feature;
	int r = sd_bus_message_enter_container(message, 'v', "as");

	(void)error;
	if (r >= 0)
		r = sd_bus_message_enter_container(message, 'a', "s");
	while (r >= 0 && (r = sd_bus_message_read(message, "s", &feature)) > 0)
		if (streq(feature, "HeaderFiltering")) /* dbus-daemon's */
			bus->tells_of_signals = true;
	return 1;
}

int bus_deliveries_attach(struct bus_deliveries *deliveries)
{
	struct bus *bus = deliveries->bus;
	int r;

	bus->tells_of_signals = false;
	r = sd_bus_add_filter(bus->connection, &deliveries->filter, on_message, deliveries);
	if (r < 0)
		return r;
	return sd_bus_call_method_async(bus->connection, NULL, "org.freedesktop.DBus",
		"/org/freedesktop/DBus", "org.freedesktop.DBus.Properties", "Get", on_features, bus,
		"ss", "org.freedesktop.DBus", "Features");
}

void bus_deliveries_detach(struct bus_deliveries *deliveries)
{
	deliveries->filter = sd_bus_slot_unref(deliveries->filter);
}

int bus_deliveries_new(struct bus *bus, struct bus_deliveries **ret_deliveries)
{
	struct bus_deliveries *deliveries = calloc(1, sizeof(*deliveries));
	int r;

	if (!deliveries)
		return -ENOMEM;
	deliveries->bus = bus;
	TAILQ_INIT(&deliveries->open);
	r = sd_event_add_time_relative(bus->broker->loop, &deliveries->timer, CLOCK_MONOTONIC,
		SETTLE_USEC, SETTLE_USEC / 2, on_timer, deliveries);
	if (r < 0) {
		free(deliveries);
		return r;
	}
	sd_event_source_set_enabled(deliveries->timer, SD_EVENT_OFF);
	*ret_deliveries = deliveries;
	return 0;
}

struct bus_deliveries *bus_deliveries_free(struct bus_deliveries *deliveries)
{
	if (!deliveries)
		return NULL;
	bus_deliveries_gone(deliveries, NULL);
	sd_event_source_disable_unref(deliveries->timer);
	free(deliveries);
	return NULL;
}

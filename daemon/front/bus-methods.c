/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Request, Release and Reload. It does not decide on requests.
 */
#include <stdio.h>

#include "front/bus-internal.h"
#include "grant.h"
#include "reload.h"
#include "text.h"
#include "util.h"

/* --- Request --- */

static int send_grant(struct bus_exchange *exchange, const struct outcome *outcome)
{
	const struct grant *grant = outcome->grants[0];
	sd_bus_message *reply = NULL;
	int r;

	r = sd_bus_message_new_method_return(exchange->message, &reply);
	if (r >= 0)
		r = sd_bus_message_append(reply, "htt", outcome->fds[0], grant->id, grant->size);
	if (r >= 0)
		r = bus_deliver(exchange->bus_peer, reply, grant->id);
	sd_bus_message_unref(reply);
	return r;
}

static void on_outcome(void *userdata, struct grant_op *op, const struct outcome *outcome)
{
	struct bus_exchange *exchange = userdata;
	struct bus_peer *bus_peer = exchange->bus_peer;
	int r = -ECONNRESET;

	bus_peer->in_flight--;
	if (!bus_peer->gone && outcome->verdict == CCBUF_GRANTED)
		r = send_grant(exchange, outcome);
	else if (!bus_peer->gone)
		r = bus_reply_refusal(
			exchange->message, outcome->verdict, outcome->rule, outcome->reason);
	grant_delivered(op, r < 0 ? r : 0);
	bus_exchange_free(exchange);
}

/* Reads one option of a Request. Returns 0, -ENOENT for an unknown key, -EINVAL for a bad label, or
 * another negative errno. */
static int read_option(sd_bus_message *message, const char *key, void *userdata)
{
	struct request *request = userdata;
	const char *untrusted_label;
	int value, r;

	if (streq(key, "accept-shared") || streq(key, "read-only")) {
		r = sd_bus_message_read(message, "v", "b", &value);
		if (r < 0)
			return r;
		if (key[0] == 'a')
			request->accept_shared = value;
		else
			request->read_only = value;
		return 0;
	}
	if (!streq(key, "label"))
		return -ENOENT;
	r = sd_bus_message_read(message, "v", "s", &untrusted_label);
	if (r < 0)
		return r;
	if (!label_valid(untrusted_label))
		return -EINVAL;
	copy_string(request->label, sizeof(request->label), untrusted_label);
	return 0;
}

static void explain(int error, const char *untrusted_key, char *reason, size_t size)
{
	char shown[65];

	text_fit(untrusted_key, TEXT_NAME | TEXT_VISIBLE, shown, sizeof(shown));
	if (error == -ENOENT)
		snprintf(reason, size,
			"unknown option \"%s\"; there are accept-shared, label and read-only",
			shown);
	else if (error == -EINVAL)
		snprintf(reason, size, "label is not at most %d bytes of printable ASCII",
			LABEL_MAX);
	else
		snprintf(reason, size, "option \"%s\" is of the wrong type", shown);
}

int bus_handle_request(struct bus_peer *bus_peer, sd_bus_message *message)
{
	struct request request = { .count = 1, .transport = TRANSPORT_DBUS };
	struct bus_exchange *exchange;
	const char *untrusted_use, *wrong_key;
	char reason[192];
	int r;

	r = sd_bus_message_read(message, "st", &untrusted_use, &request.size);
	if (r < 0)
		return r;
	if (!use_name_valid(untrusted_use))
		return bus_refuse(bus_peer, message, NULL, CCBUF_MALFORMED,
			"request whose use is not a name");
	copy_string(request.use, sizeof(request.use), untrusted_use);
	r = bus_read_dict(message, read_option, &request, &wrong_key);
	if (r < 0 && wrong_key) {
		explain(r, wrong_key, reason, sizeof(reason));
		return bus_refuse(bus_peer, message, &request, CCBUF_MALFORMED, reason);
	}
	if (r < 0)
		return r;
	/* Without a reply the caller cannot get the buffer. */
	if (!sd_bus_message_get_expect_reply(message))
		return bus_refuse(
			bus_peer, message, &request, CCBUF_MALFORMED, "request without a reply");
	if (bus_peer->takes_no_fds)
		return bus_refuse(bus_peer, message, &request, CCBUF_UNSUPPORTED,
			"this connection to the bus takes no file descriptors, and a buffer is one;"
			" make the D-Bus library negotiate them when it connects");
	if (bus_peer->in_flight >= BUS_IN_FLIGHT_MAX)
		return bus_refuse(bus_peer, message, &request, CCBUF_BUSY,
			"too many requests of this connection are under way");
	exchange = bus_exchange_new(bus_peer, message);
	if (!exchange)
		return -ENOMEM;
	bus_peer->in_flight++;
	r = grant_request(bus_peer->bus->broker, bus_peer->peer, &request, on_outcome, exchange);
	if (r < 0) {
		bus_peer->in_flight--;
		bus_exchange_free(exchange);
	}
	return r;
}

/* --- the other methods --- */

int bus_handle_release(struct bus_peer *bus_peer, sd_bus_message *message)
{
	uint64_t id;
	char reason[64];
	int r;

	r = sd_bus_message_read(message, "t", &id);
	if (r < 0)
		return r;
	r = ledger_release(bus_peer->bus->broker->ledger, bus_peer->peer, id);
	if (r >= 0)
		return sd_bus_reply_method_return(message, "b", r);
	snprintf(reason, sizeof(reason), "this process has no live grant %ju", (uintmax_t)id);
	return bus_refuse(bus_peer, message, NULL, CCBUF_UNKNOWN_GRANT, reason);
}

static void on_reloaded(void *userdata, int result)
{
	struct bus_exchange *exchange = userdata;
	struct bus_peer *bus_peer = exchange->bus_peer;
	cleanup(cleanup_free) char *mistakes = bus_policy_error(bus_peer->bus->broker);

	/* A connection that is gone has no bus any more. */
	if (!bus_peer->gone && result == -EINVAL && mistakes && mistakes[0])
		sd_bus_reply_method_errorf(
			exchange->message, BUS_ERROR "PolicyInvalid", "%s", mistakes);
	else if (!bus_peer->gone && result == -ECANCELED)
		bus_reply_refusal(exchange->message, CCBUF_INTERNAL, NULL, "the daemon stops");
	else if (!bus_peer->gone && result < 0)
		bus_reply_refusal(exchange->message, CCBUF_INTERNAL, NULL,
			mistakes && mistakes[0] ? mistakes : strerror(-result));
	else if (!bus_peer->gone)
		sd_bus_reply_method_return(exchange->message, NULL);
	bus_exchange_free(exchange);
}

int bus_handle_reload(struct bus_peer *bus_peer, sd_bus_message *message)
{
	struct broker *broker = bus_peer->bus->broker;
	struct bus_exchange *exchange;
	int r;

	if (!broker_is_admin(broker, bus_peer->peer))
		return bus_refuse(bus_peer, message, NULL, CCBUF_NOT_PERMITTED,
			"only root and group " ADMIN_GROUP " may reload the policy");
	exchange = bus_exchange_new(bus_peer, message);
	if (!exchange)
		return -ENOMEM;
	r = reload_policy(broker, on_reloaded, exchange);
	if (r < 0)
		bus_exchange_free(exchange);
	return r;
}

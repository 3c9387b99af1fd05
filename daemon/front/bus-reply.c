/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Refusals, and calls that are answered later. It must never send a text that contains a control
 * character.
 */
#include <stdio.h>

#include "front/bus-internal.h"
#include "text.h"
#include "util.h"

void bus_peer_put(struct bus_peer *bus_peer)
{
	if (--bus_peer->refs > 0)
		return;
	peer_unref(bus_peer->peer);
	free(bus_peer->name);
	free(bus_peer);
}

struct bus_exchange *bus_exchange_new(struct bus_peer *bus_peer, sd_bus_message *message)
{
	struct bus_exchange *exchange = malloc(sizeof(*exchange));

	if (!exchange)
		return NULL;
	*exchange = (struct bus_exchange){ bus_peer, sd_bus_message_ref(message) };
	bus_peer->refs++;
	return exchange;
}

void bus_exchange_free(struct bus_exchange *exchange)
{
	if (!exchange)
		return;
	sd_bus_message_unref(exchange->message);
	bus_peer_put(exchange->bus_peer);
	free(exchange);
}

int bus_reply_refusal(
	sd_bus_message *message, enum ccbuf_verdict verdict, const char *rule, const char *reason)
{
	cleanup(cleanup_free) char *words = text_new(reason, TEXT_VISIBLE);
	char name[64];

	if (!words)
		return -ENOMEM;
	snprintf(name, sizeof(name), BUS_ERROR "%s", verdict_error_name(verdict));
	if (rule)
		return sd_bus_reply_method_errorf(message, name, "%s (rule %s)", words, rule);
	return sd_bus_reply_method_errorf(message, name, "%s", words);
}

int bus_refuse(struct bus_peer *bus_peer, sd_bus_message *message, const struct request *request,
	enum ccbuf_verdict verdict, const char *reason)
{
	broker_record_refusal(bus_peer->bus->broker, bus_peer->peer, request, verdict, reason);
	return bus_reply_refusal(message, verdict, NULL, reason);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Revoke: takes a buffer back for an administrator. It must never do so for anybody else.
 */
#include <stdio.h>

#include "front/bus-internal.h"
#include "revoke.h"
#include "util.h"

static int answer(sd_bus_message *message, const struct revocation *revocation)
{
	const struct ccbuf_heap_hold *hold = &revocation->hold;
	sd_bus_message *reply = NULL;
	int r = sd_bus_message_new_method_return(message, &reply);
	struct bus_dict dict = bus_dict(reply, r);

	bus_put_u64(&dict, "grant", revocation->grant);
	bus_put_bool(&dict, "released", revocation->released);
	bus_put_u32(&dict, "mappings", hold->mappings);
	bus_put_u32(&dict, "vmaps", hold->vmaps);
	bus_put_bool(&dict, "busy", hold->busy);
	bus_put_string(&dict, "device", hold->device[0] ? hold->device : NULL);
	return bus_dict_send(&dict);
}

static void on_revoked(void *userdata, const struct revocation *revocation)
{
	struct bus_exchange *exchange = userdata;
	char reason[128];

	/* A connection that is gone has no bus any more. */
	if (!exchange->bus_peer->gone && revocation->result < 0) {
		snprintf(reason, sizeof(reason), "the heap failed: %s",
			strerror(-revocation->result));
		bus_reply_refusal(exchange->message, CCBUF_INTERNAL, NULL, reason);
	} else if (!exchange->bus_peer->gone) {
		(void)answer(exchange->message, revocation);
	}
	bus_exchange_free(exchange);
}

int bus_handle_revoke(struct bus_peer *bus_peer, sd_bus_message *message)
{
	struct broker *broker = bus_peer->bus->broker;
	struct revoke_cause cause = {
		.by = bus_peer->peer,
		.reason = "an administrator asked for it",
	};
	struct bus_exchange *exchange;
	const struct grant *grant;
	char reason[256];
	uint64_t id;
	int r;

	r = sd_bus_message_read(message, "t", &id);
	if (r < 0)
		return r;
	if (!broker_is_admin(broker, bus_peer->peer))
		return bus_refuse(bus_peer, message, NULL, CCBUF_NOT_PERMITTED,
			"only root and group " ADMIN_GROUP " may take a buffer back");
	grant = ledger_find(broker->ledger, id);
	if (!grant) {
		snprintf(reason, sizeof(reason), "there is no grant %ju", (uintmax_t)id);
		return bus_refuse(bus_peer, message, NULL, CCBUF_UNKNOWN_GRANT, reason);
	}
	if (!heap_can_revoke(grant->node)) {
		snprintf(reason, sizeof(reason),
			"heap %s of grant %ju cannot take a buffer back: only a heap of module "
			"ccbuf_heap can; stop the process that has it instead",
			grant->heap, (uintmax_t)id);
		return bus_refuse(bus_peer, message, NULL, CCBUF_UNSUPPORTED, reason);
	}
	exchange = bus_exchange_new(bus_peer, message);
	if (!exchange)
		return -ENOMEM;
	r = revoke_grant(broker, grant, &cause, on_revoked, exchange);
	if (r < 0)
		bus_exchange_free(exchange);
	return r;
}

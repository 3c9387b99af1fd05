/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the D-Bus front end share: front/bus.c (connection), front/bus-io.c (reading
 * it), front/bus-peer.c (who calls), front/bus-calls.c (what waits for its turn),
 * front/bus-delivery.c (what the bus refuses), front/bus-signals.c (signals),
 * front/bus-interface.c, front/bus-methods.c and front/bus-properties.c (the interface),
 * front/bus-list.c (ListGrants), front/bus-why.c (Why), front/bus-revoke.c (Revoke),
 * front/bus-append.c (dictionaries). For nobody else.
 */
#pragma once

#include <sys/queue.h>
#include <systemd/sd-bus.h>

#include "front/bus.h"
#include "unmapped.h"
#include "user/turns.h"

#define BUS_NAME      "org.ccbuf.Broker1"
#define BUS_PATH      "/org/ccbuf/Broker1"
#define BUS_INTERFACE "org.ccbuf.Broker1"
#define BUS_ERROR     "org.ccbuf.Broker1.Error."
#define BUS_PROBE     "org.ccbuf.Probe"

#define BUS_IN_FLIGHT_MAX 64 /* grant requests of one connection under way */
#define BUS_PENDING_MAX	  64 /* calls of one connection that wait */

struct bus {
	struct broker *broker;
	sd_bus *connection; /* NULL while there is no bus */
	sd_bus_slot *object, *name, *acquired, *disconnected, *properties, *gone, *calls;
	bool tells_of_signals; /* that it does not deliver */
	bool owned;	       /* the name is ours: the bus knows who may hear our signals */
	sd_event_source *retry;
	uint64_t since_usec; /* of the last connect, CLOCK_MONOTONIC */
	struct bus_signals *signals;
	struct bus_deliveries *deliveries;
	struct bus_io *io;
	struct unmapped unmapped;
	bool lost;			  /* of no use any more, whatever sd-bus thinks */
	void *peers;			  /* of tsearch(3), by unique name */
	void (*on_ready)(void *userdata); /* NULL once called */
	void *userdata;
};

/* A connection of the bus, by unique name. */
struct bus_peer {
	struct bus *bus;
	char *name;
	pid_t pid; /* as the bus says */
	uid_t uid;
	struct peer *peer; /* NULL until it is identified */
	unsigned int refs; /* one of the bus while connected, one a call under way */
	unsigned int in_flight;
	STAILQ_HEAD(, bus_call) pending; /* until it is known who calls, and then for their turn */
	unsigned int n_pending, n_charged;
	struct turn turn;
	struct bus_listing *listing; /* of the first that waits; NULL for none */
	sd_bus_slot *probe;	     /* whether it takes fds: under way, and they wait */
	bool probed, takes_no_fds;
	sd_bus_slot *credentials;
	struct peer_op *inspection; /* after the credentials */
	struct user *user;	    /* charged for the connection; NULL for nobody yet */
	bool gone;
};

/* A call that is answered later. */
struct bus_exchange {
	struct bus_peer *bus_peer;
	sd_bus_message *message;
};

/* With a reference to each; NULL when out of memory. Free takes NULL. */
struct bus_exchange *bus_exchange_new(struct bus_peer *bus_peer, sd_bus_message *message);
void bus_exchange_free(struct bus_exchange *exchange);

/* What handles a call once its peer is known, in its turn: replies itself, or returns a negative
 * errno, or BUS_LATER to be called again in the next turn. */
#define BUS_LATER 2
typedef int (*bus_handler)(struct bus_peer *bus_peer, sd_bus_message *message);

/* Has a call wait for its turn, or refuses it. Returns as bus_identify(). */
int bus_calls_add(struct bus_peer *bus_peer, sd_bus_message *message, bus_handler handler);
/* A filter: drops calls where the bus takes so few replies that there is no room for more, those
 * that sd-bus would answer by itself, too. */
int bus_calls_filter(sd_bus_message *message, void *userdata, sd_bus_error *error);
/* Whether signals that can be left out may be sent: they must not take the place of replies. */
bool bus_takes_signals(const struct bus *bus);
/* Those that wait may go on now, if nothing else is missing. */
void bus_calls_go(struct bus_peer *bus_peer);
/* A reply to each that waits. */
void bus_calls_refuse(struct bus_peer *bus_peer, enum ccbuf_verdict verdict, const char *reason);
void bus_calls_drop(struct bus_peer *bus_peer);

/* Has the loop read and write the bus's connection, and calls lost when it cannot go on. 0 or a
 * negative errno. */
int bus_io_new(struct bus *bus, void (*lost)(struct bus *bus), struct bus_io **ret_io);
/* After sd-bus has closed it. Takes NULL. */
struct bus_io *bus_io_free(struct bus_io *io);

/* 0 or a negative errno. */
int bus_deliveries_new(struct bus *bus, struct bus_deliveries **ret_deliveries);
/* Takes NULL. */
struct bus_deliveries *bus_deliveries_free(struct bus_deliveries *deliveries);
/* To a new connection, and before its end. */
int bus_deliveries_attach(struct bus_deliveries *deliveries);
void bus_deliveries_detach(struct bus_deliveries *deliveries);
/* Sends a message with an fd; what the bus refuses is undone. 0 or a negative errno. */
int bus_deliver(struct bus_peer *bus_peer, sd_bus_message *message, uint64_t grant);
/* A connection ended, or (NULL) ours: what may not have arrived ends, if nobody has it. */
void bus_deliveries_gone(struct bus_deliveries *deliveries, const struct bus_peer *bus_peer);
/* Finds out whether a connection takes fds; its calls wait meanwhile. 0 or a negative errno. */
int bus_probe(struct bus_peer *bus_peer);

/* Finds out who sent a call, and whether it takes fds if it is answered with some, then has it
 * handled. Suits a vtable's method: returns 1 or a negative errno. */
int bus_identify(
	struct bus *bus, sd_bus_message *message, bus_handler handler, bool answers_with_fds);
void bus_peer_put(struct bus_peer *bus_peer);
void bus_peers_free(struct bus *bus);
/* Callback of a match: a name has no owner any more. */
int bus_peers_on_gone(sd_bus_message *message, void *userdata, sd_bus_error *error);

/* Replies with error org.ccbuf.Broker1.Error.VERDICT; rule may be NULL. */
int bus_reply_refusal(
	sd_bus_message *message, enum ccbuf_verdict verdict, const char *rule, const char *reason);
/* The same, recorded as a refusal of the peer's. */
int bus_refuse(struct bus_peer *bus_peer, sd_bus_message *message, const struct request *request,
	enum ccbuf_verdict verdict, const char *reason);

/* Has the ledger tell what to signal. 0 or a negative errno. */
int bus_signals_new(struct bus *bus, struct bus_signals **ret_signals);
/* Sends what waits, or drops it while the name is not ours. */
void bus_signals_send(struct bus_signals *signals);
/* Sends what waits. Takes NULL. */
struct bus_signals *bus_signals_free(struct bus_signals *signals);

/* Adds the interface to a new connection, and takes it away. 0 or a negative errno. */
int bus_interface_attach(struct bus *bus);
void bus_interface_detach(struct bus *bus);

int bus_handle_request(struct bus_peer *bus_peer, sd_bus_message *message);
int bus_handle_release(struct bus_peer *bus_peer, sd_bus_message *message);
int bus_handle_reload(struct bus_peer *bus_peer, sd_bus_message *message);
int bus_handle_list(struct bus_peer *bus_peer, sd_bus_message *message);
/* Takes NULL. */
struct bus_listing *bus_listing_free(struct bus_listing *listing);
int bus_handle_why(struct bus_peer *bus_peer, sd_bus_message *message);
int bus_handle_revoke(struct bus_peer *bus_peer, sd_bus_message *message);

/* An a{sv} that is being written. The first error stays, and what comes after it does nothing. */
struct bus_dict {
	sd_bus_message *message;
	int r;
};

/* Begins one in a message, if r is not an error already. */
struct bus_dict bus_dict(sd_bus_message *message, int r);
/* Ends it: 0 or the first error. */
int bus_dict_end(struct bus_dict *dict);
/* A name as it came, any bytes: D-Bus gets UTF-8. NULL is left out. */
void bus_put_string(struct bus_dict *dict, const char *key, const char *value);
/* Words of our own, in which names may stand. */
void bus_put_words(struct bus_dict *dict, const char *key, const char *value);
void bus_put_u64(struct bus_dict *dict, const char *key, uint64_t value);
void bus_put_u32(struct bus_dict *dict, const char *key, uint32_t value);
void bus_put_bool(struct bus_dict *dict, const char *key, bool value);
/* One that describes a grant. 0 or a negative errno. */
int bus_append_grant(sd_bus_message *message, const struct grant *grant);
/* A reply that is one dictionary: ends it, and sends it if all went well. Takes the message. */
int bus_dict_send(struct bus_dict *dict);

/* The mistakes of the policy files, a line each, as D-Bus can have them; to be freed. Empty when
 * there are none, NULL when out of memory. */
char *bus_policy_error(const struct broker *broker);
/* Getters of the properties. */
int bus_get_version(sd_bus *connection, const char *path, const char *interface,
	const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error);
int bus_get_platform(sd_bus *connection, const char *path, const char *interface,
	const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error);
int bus_get_policy_digest(sd_bus *connection, const char *path, const char *interface,
	const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error);
int bus_get_policy_error(sd_bus *connection, const char *path, const char *interface,
	const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error);
int bus_get_granted_bytes(sd_bus *connection, const char *path, const char *interface,
	const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error);
int bus_get_grant_count(sd_bus *connection, const char *path, const char *interface,
	const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error);
int bus_get_audit_sequence(sd_bus *connection, const char *path, const char *interface,
	const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error);
int bus_get_heaps(sd_bus *connection, const char *path, const char *interface, const char *property,
	sd_bus_message *reply, void *userdata, sd_bus_error *error);

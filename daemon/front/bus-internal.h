/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shared by the files of the D-Bus front end only: front/bus.c (connection), front/bus-io.c
 * (reading it), front/bus-peer.c (who calls), front/bus-calls.c (waiting calls),
 * front/bus-delivery.c (messages that the bus refuses), front/bus-signals.c (signals),
 * front/bus-interface.c, front/bus-methods.c and front/bus-properties.c (the interface),
 * front/bus-list.c (ListGrants), front/bus-why.c (Why), front/bus-revoke.c (Revoke),
 * front/bus-append.c (dictionaries).
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

#define BUS_IN_FLIGHT_MAX 64 /* Requests of one connection under way */
#define BUS_PENDING_MAX	  64 /* waiting calls of one connection */

struct bus {
	struct broker *broker;
	sd_bus *connection; /* NULL while there is no bus */
	sd_bus_slot *object, *name, *acquired, *disconnected, *properties, *gone, *calls;
	bool tells_of_signals; /* it reports signals that it refuses */
	bool owned;	       /* the name is ours, so the bus knows who may get our signals */
	sd_event_source *retry;
	uint64_t since_usec; /* of the last connect, CLOCK_MONOTONIC */
	struct bus_signals *signals;
	struct bus_deliveries *deliveries;
	struct bus_io *io;
	struct unmapped unmapped;
	bool lost;			  /* it cannot be used any more, whatever sd-bus says */
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
	STAILQ_HEAD(, bus_call)
	pending; /* waiting until it is known who calls, then for their turn */
	unsigned int n_pending, n_charged;
	struct turn turn;
	struct bus_listing *listing; /* of the first waiting call; NULL for none */
	sd_bus_slot *probe;	     /* under way: whether it takes fds; calls wait meanwhile */
	bool probed, takes_no_fds;
	sd_bus_slot *credentials;
	struct peer_op *inspection; /* after the credentials */
	struct user *user;	    /* charged for the connection; NULL while nobody is */
	bool gone;
};

/* A call that is answered later. */
struct bus_exchange {
	struct bus_peer *bus_peer;
	sd_bus_message *message;
};

/* Has a reference to each. NULL when out of memory. Free takes NULL. */
struct bus_exchange *bus_exchange_new(struct bus_peer *bus_peer, sd_bus_message *message);
void bus_exchange_free(struct bus_exchange *exchange);

/* Handles a call of a known peer, in its turn. It replies itself, or returns a negative errno, or
 * BUS_LATER to be called again in the next turn. */
#define BUS_LATER 2
typedef int (*bus_handler)(struct bus_peer *bus_peer, sd_bus_message *message);

/* Queues a call for its turn, or refuses it. Returns as bus_identify(). */
int bus_calls_add(struct bus_peer *bus_peer, sd_bus_message *message, bus_handler handler);
/* A filter: drops calls while the bus takes so few replies that there is no room for more. That
 * includes calls that sd-bus would answer by itself. */
int bus_calls_filter(sd_bus_message *message, void *userdata, sd_bus_error *error);
/* Whether optional signals may be sent: they must not take the room of replies. */
bool bus_takes_signals(const struct bus *bus);
/* Lets the waiting calls go on, if nothing else is missing. */
void bus_calls_go(struct bus_peer *bus_peer);
/* bus_calls_refuse() refuses all waiting calls; bus_calls_drop() drops them without a reply. */
void bus_calls_refuse(struct bus_peer *bus_peer, enum ccbuf_verdict verdict, const char *reason);
void bus_calls_drop(struct bus_peer *bus_peer);

/* Makes the loop read and write the connection to the bus. lost is called when the connection
 * fails. Returns 0 or a negative errno. */
int bus_io_new(struct bus *bus, void (*lost)(struct bus *bus), struct bus_io **ret_io);
/* After sd-bus has closed the connection. Takes NULL. */
struct bus_io *bus_io_free(struct bus_io *io);

/* 0 or a negative errno. */
int bus_deliveries_new(struct bus *bus, struct bus_deliveries **ret_deliveries);
/* Takes NULL. */
struct bus_deliveries *bus_deliveries_free(struct bus_deliveries *deliveries);
/* For a new connection, and before its end. */
int bus_deliveries_attach(struct bus_deliveries *deliveries);
void bus_deliveries_detach(struct bus_deliveries *deliveries);
/* Sends a message with fds; undoes the grant if the bus refuses the message. Returns 0 or a
 * negative errno. */
int bus_deliver(struct bus_peer *bus_peer, sd_bus_message *message, uint64_t grant);
/* A connection ended, or (NULL) ours: grants that may not have arrived end, if nobody holds their
 * buffers. */
void bus_deliveries_gone(struct bus_deliveries *deliveries, const struct bus_peer *bus_peer);
/* Finds out whether a connection takes fds; its calls wait meanwhile. Returns 0 or a negative
 * errno. */
int bus_probe(struct bus_peer *bus_peer);

/* Finds out who sent a call and, if it is answered with fds, whether the sender takes them; then
 * queues the call. As a vtable's method requires, returns 1 or a negative errno. */
int bus_identify(
	struct bus *bus, sd_bus_message *message, bus_handler handler, bool answers_with_fds);
void bus_peer_put(struct bus_peer *bus_peer);
void bus_peers_free(struct bus *bus);
/* Callback of a match: a bus name has lost its owner. */
int bus_peers_on_gone(sd_bus_message *message, void *userdata, sd_bus_error *error);

/* Replies with the error org.ccbuf.Broker1.Error.VERDICT. rule may be NULL. */
int bus_reply_refusal(
	sd_bus_message *message, enum ccbuf_verdict verdict, const char *rule, const char *reason);
/* The same, and records the refusal. */
int bus_refuse(struct bus_peer *bus_peer, sd_bus_message *message, const struct request *request,
	enum ccbuf_verdict verdict, const char *reason);

/* Becomes the ledger's observer. Returns 0 or a negative errno. */
int bus_signals_new(struct bus *bus, struct bus_signals **ret_signals);
/* Sends the waiting signals, or drops them while the name is not ours. */
void bus_signals_send(struct bus_signals *signals);
/* Sends the waiting signals. Takes NULL. */
struct bus_signals *bus_signals_free(struct bus_signals *signals);

/* Adds the interface to a new connection, and removes it. Returns 0 or a negative errno. */
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

/* An a{sv} that is being written. After an error all further calls do nothing; the error stays. */
struct bus_dict {
	sd_bus_message *message;
	int r;
};

/* Begins a dictionary in a message, unless r is an error already. */
struct bus_dict bus_dict(sd_bus_message *message, int r);
/* Ends it. Returns 0 or the first error. */
int bus_dict_end(struct bus_dict *dict);
/* Adds a name from outside with any bytes, converted to UTF-8. NULL is left out. */
void bus_put_string(struct bus_dict *dict, const char *key, const char *value);
/* Adds a text of the daemon's, which may contain names. */
void bus_put_words(struct bus_dict *dict, const char *key, const char *value);
void bus_put_u64(struct bus_dict *dict, const char *key, uint64_t value);
void bus_put_u32(struct bus_dict *dict, const char *key, uint32_t value);
void bus_put_bool(struct bus_dict *dict, const char *key, bool value);
/* Appends a dictionary that describes a grant. Returns 0 or a negative errno. */
int bus_append_grant(sd_bus_message *message, const struct grant *grant);
/* Reads an array of group ids in the place of *ret_groups, which is freed. Returns 0 or a negative
 * errno, and then nothing has changed. */
int bus_read_ids(sd_bus_message *message, gid_t **ret_groups, size_t *ret_count);
/* Reads an a{sv}: entry reads each value. Returns 0 or a negative errno. After an error of entry,
 * *ret_wrong_key is the key, valid as long as the message, else NULL. */
typedef int (*bus_entry)(sd_bus_message *message, const char *key, void *userdata);
int bus_read_dict(
	sd_bus_message *message, bus_entry entry, void *userdata, const char **ret_wrong_key);
/* Ends a reply that is one dictionary, and sends it unless there was an error. Takes the
 * message. */
int bus_dict_send(struct bus_dict *dict);

/* The mistakes of the policy files, one in a line, in UTF-8; the caller frees the text. Empty when
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

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ccbufd on D-Bus for the verbs: replies as JSON, failures in words.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <json-c/json.h>

#define BROKER_NAME	 "org.ccbuf.Broker1"
#define BROKER_PATH	 "/org/ccbuf/Broker1"
#define BROKER_INTERFACE "org.ccbuf.Broker1"
#define BROKER_ERROR	 "org.ccbuf.Broker1.Error."

static inline void cleanup_bus(sd_bus **bus)
{
	sd_bus_flush_close_unref(*bus);
}

static inline void cleanup_message(sd_bus_message **message)
{
	sd_bus_message_unref(*message);
}

/* Connects to the system bus. Returns EXIT_DONE, or the exit code after reporting the failure. */
int broker_open(sd_bus **ret_bus);

/*
 * Calls a method of the broker with a message (borrowed). Returns EXIT_DONE with ret_reply set, or
 * the exit code after reporting the failure: EXIT_REFUSED for a verdict, EXIT_FAILED for the rest.
 */
int broker_call(sd_bus *bus, sd_bus_message *call, bool json, sd_bus_message **ret_reply);

/* A new call of a method, without arguments. Aborts when out of memory. */
sd_bus_message *broker_method(sd_bus *bus, const char *interface, const char *method);

/*
 * Reads one complete value: dictionaries with string keys become objects, arrays arrays, variants
 * their content, numbers numbers, fds null. Returns 0 or a negative errno of sd-bus.
 */
int broker_read(sd_bus_message *message, struct json_object **ret_value);

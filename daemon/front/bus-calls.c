/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls that wait: first until it is known who calls, then for the turn of the caller's user. It
 * must never handle a call at once: all users share one stream from the bus.
 */
#include <stddef.h>

#include "front/bus-internal.h"
#include "user/turns.h"
#include "util.h"

/* Replies that the bus has not taken. With more, calls are refused; with twice as many, they are
 * dropped. */
#define UNSENT_MAX 1024

/* The maximum length of a call: the bytes of its strings and arrays, and some for each value. The
 * longest useful call is a Why about a process with very many groups. */
#define CALL_MAX   65536
#define VALUE_COST 64

struct bus_call {
	STAILQ_ENTRY(bus_call) next;
	sd_bus_message *message;
	bus_handler handler;
};

static void call_free(struct bus_peer *bus_peer, struct bus_call *call)
{
	if (bus_peer->n_charged) {
		user_uncharge(bus_peer->peer->user, USER_CALLS, 1);
		bus_peer->n_charged--;
	}
	bus_peer->n_pending--;
	sd_bus_message_unref(call->message);
	free(call);
}

/* Returns true when the call goes on in a later turn. */
static bool handle(struct bus_peer *bus_peer, struct bus_call *call)
{
	int r = call->handler(bus_peer, call->message);

	if (r == BUS_LATER)
		return true;
	if (r == -ENOMEM)
		bus_refuse(bus_peer, call->message, NULL, CCBUF_INTERNAL, "out of memory");
	else if (r < 0)
		bus_refuse(bus_peer, call->message, NULL, CCBUF_MALFORMED, strerror(-r));
	return false;
}

static bool run(struct turn *turn)
{
	struct bus_peer *bus_peer =
		(struct bus_peer *)((char *)turn - offsetof(struct bus_peer, turn));
	struct bus_call *call = STAILQ_FIRST(&bus_peer->pending);

	/* Not in the list meanwhile: it may be emptied. */
	STAILQ_REMOVE_HEAD(&bus_peer->pending, next);
	if (handle(bus_peer, call))
		STAILQ_INSERT_HEAD(&bus_peer->pending, call, next);
	else
		call_free(bus_peer, call);
	return !STAILQ_EMPTY(&bus_peer->pending) && !bus_peer->probe;
}

void bus_calls_go(struct bus_peer *bus_peer)
{
	if (bus_peer->gone || !bus_peer->peer || bus_peer->probe ||
		STAILQ_EMPTY(&bus_peer->pending))
		return;
	/* The calls that came before the user was known. */
	user_force(bus_peer->peer->user, USER_CALLS, bus_peer->n_pending - bus_peer->n_charged);
	bus_peer->n_charged = bus_peer->n_pending;
	bus_peer->turn.user = bus_peer->peer->user;
	bus_peer->turn.run = run;
	turns_add(bus_peer->bus->broker->turns, &bus_peer->turn);
}

static int measure_string(sd_bus_message *message, char type, size_t *left)
{
	const char *string;
	size_t length;
	int r = sd_bus_message_read_basic(message, type, &string);

	if (r < 0)
		return r;
	length = strnlen(string, *left + 1);
	if (length > *left)
		return -E2BIG;
	*left -= length;
	return 0;
}

static int measure_array(sd_bus_message *message, char type, size_t *left)
{
	const void *bytes;
	size_t size;
	int r = sd_bus_message_read_array(message, type, &bytes, &size);

	if (r < 0)
		return r;
	if (size > *left)
		return -E2BIG;
	*left -= size;
	return 0;
}

/* Measures up to the end of the container. sd-bus limits the depth. */
static int measure(sd_bus_message *message, size_t *left)
{
	const char *contents;
	uint64_t number;
	char type;
	int r;

	while ((r = sd_bus_message_peek_type(message, &type, &contents)) > 0) {
		if (*left < VALUE_COST)
			return -E2BIG;
		*left -= VALUE_COST;
		if (strchr("sog", type)) {
			r = measure_string(message, type, left);
		} else if (type == 'a' && strchr("ynqiuxtd", contents[0]) && !contents[1]) {
			r = measure_array(message, contents[0], left);
		} else if (strchr("arev", type)) {
			r = sd_bus_message_enter_container(message, type, contents);
			if (r >= 0)
				r = measure(message, left);
			if (r >= 0)
				r = sd_bus_message_exit_container(message);
		} else {
			r = sd_bus_message_read_basic(message, type, &number);
		}
		if (r < 0)
			return r;
	}
	return r;
}

/* Checks a call before it waits or takes a turn. Returns 0, -E2BIG, or another negative errno. */
static int check_length(sd_bus_message *message)
{
	size_t left = CALL_MAX;
	int r = measure(message, &left);

	return r < 0 ? r : sd_bus_message_rewind(message, true);
}

static uint64_t unsent(const struct bus *bus)
{
	uint64_t n = 0;

	sd_bus_get_n_queued_write(bus->connection, &n);
	return n;
}

bool bus_takes_signals(const struct bus *bus)
{
	return unsent(bus) <= UNSENT_MAX;
}

int bus_calls_filter(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	(void)error;
	return sd_bus_message_is_method_call(message, NULL, NULL) > 0 &&
	       unsent(userdata) > 2 * (uint64_t)UNSENT_MAX;
}

int bus_calls_add(struct bus_peer *bus_peer, sd_bus_message *message, bus_handler handler)
{
	struct bus_call *call;
	const char *why = NULL;
	int r;

	r = check_length(message);
	if (r < 0)
		return bus_refuse(bus_peer, message, NULL, CCBUF_MALFORMED,
			r == -E2BIG ? "call that is longer than any valid one" : strerror(-r));
	if (unsent(bus_peer->bus) > UNSENT_MAX)
		why = "the bus does not take the replies; try again later";
	else if (bus_peer->n_pending >= BUS_PENDING_MAX)
		why = "too many calls of this connection wait to be answered";
	else if (bus_peer->peer && user_left(bus_peer->peer->user, USER_CALLS) == 0)
		why = "too many calls of this user wait to be answered, over all connections";
	if (why)
		return bus_refuse(bus_peer, message, NULL, CCBUF_BUSY, why);
	call = calloc(1, sizeof(*call));
	if (!call)
		return -ENOMEM;
	call->message = sd_bus_message_ref(message);
	call->handler = handler;
	STAILQ_INSERT_TAIL(&bus_peer->pending, call, next);
	bus_peer->n_pending++;
	bus_calls_go(bus_peer);
	return 1;
}

void bus_calls_refuse(struct bus_peer *bus_peer, enum ccbuf_verdict verdict, const char *reason)
{
	struct bus_call *call;

	STAILQ_FOREACH(call, &bus_peer->pending, next)
	bus_reply_refusal(call->message, verdict, NULL, reason);
}

void bus_calls_drop(struct bus_peer *bus_peer)
{
	struct bus_call *call;

	turns_remove(bus_peer->bus->broker->turns, &bus_peer->turn);
	while ((call = STAILQ_FIRST(&bus_peer->pending))) {
		STAILQ_REMOVE_HEAD(&bus_peer->pending, next);
		call_free(bus_peer, call);
	}
}

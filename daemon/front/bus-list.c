/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ListGrants: a part in each turn, one message at the end. It must never show anybody but
 * administrators the grants of others.
 */
#include "front/bus-internal.h"
#include "util.h"

/* A list of 100,000 grants takes seconds to make, and a bus disconnects the sender of so long a
 * message: a client with so many grants could stop the others. */
#define LISTED_MAX	 1024
#define LISTED_ADMIN_MAX 32768
#define PART		 32 /* grants in one turn: some tenths of a millisecond */

struct bus_listing {
	sd_bus_message *reply;
	struct user *user;	    /* has no other listing under way */
	const struct identity *own; /* whose grants are listed; NULL for all */
	bool own_process;	    /* of the process only, as its user has no uid here */
	size_t max, count, done;
	uint64_t grants[]; /* their numbers; some may be gone in their turn */
};

struct bus_listing *bus_listing_free(struct bus_listing *listing)
{
	if (!listing)
		return NULL;
	listing->user->listing = false;
	user_unref(listing->user);
	sd_bus_message_unref(listing->reply);
	free(listing);
	return NULL;
}

static bool is_listed(const struct bus_listing *listing, const struct identity *identity)
{
	const struct identity *own = listing->own;

	return !own ||
	       (identity->uid == own->uid &&
		       (!listing->own_process || (identity->pid == own->pid &&
							 identity->start_time == own->start_time)));
}

static void note(void *userdata, const struct grant *grant)
{
	struct bus_listing *listing = userdata;

	if (listing->count < listing->max && is_listed(listing, grant_identity(grant)))
		listing->grants[listing->count++] = grant->id;
}

static int begin(struct bus_peer *bus_peer, sd_bus_message *message)
{
	struct broker *broker = bus_peer->bus->broker;
	bool all = broker_is_admin(broker, bus_peer->peer);
	size_t max = all ? LISTED_ADMIN_MAX : LISTED_MAX;
	struct bus_listing *listing;
	int r;

	if (max > ledger_count(broker->ledger))
		max = ledger_count(broker->ledger);
	listing = calloc(1, sizeof(*listing) + max * sizeof(listing->grants[0]));
	if (!listing)
		return -ENOMEM;
	listing->user = user_ref(bus_peer->peer->user);
	listing->user->listing = true;
	if (!all) {
		listing->own = &bus_peer->peer->identity;
		listing->own_process = unmapped_uid(&bus_peer->bus->unmapped, listing->own->uid);
	}
	listing->max = max;
	ledger_each(broker->ledger, note, listing);
	r = sd_bus_message_new_method_return(message, &listing->reply);
	if (r >= 0)
		r = sd_bus_message_open_container(listing->reply, 'a', "a{sv}");
	if (r < 0)
		bus_listing_free(listing);
	else
		bus_peer->listing = listing;
	return r;
}

static int go_on(struct bus_listing *listing, const struct ledger *ledger)
{
	size_t end = listing->done + PART;
	int r = 0;

	for (; r >= 0 && listing->done < listing->count && listing->done < end; listing->done++) {
		const struct grant *grant = ledger_find(ledger, listing->grants[listing->done]);

		if (grant)
			r = bus_append_grant(listing->reply, grant);
	}
	return r;
}

int bus_handle_list(struct bus_peer *bus_peer, sd_bus_message *message)
{
	struct bus_listing *listing = bus_peer->listing;
	int r = 0;

	if (!listing && bus_peer->peer->user->listing)
		return BUS_LATER; /* another listing of the user is being made */
	if (!listing)
		r = begin(bus_peer, message);
	listing = bus_peer->listing;
	if (r >= 0)
		r = go_on(listing, bus_peer->bus->broker->ledger);
	if (r >= 0 && listing->done < listing->count)
		return BUS_LATER;
	if (r >= 0)
		r = sd_bus_message_close_container(listing->reply);
	if (r >= 0)
		r = sd_bus_message_send(listing->reply);
	bus_peer->listing = bus_listing_free(listing);
	return r;
}

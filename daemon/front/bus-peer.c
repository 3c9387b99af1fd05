/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who calls: the connections of the bus and the processes behind them. It must never trust what a
 * caller says about itself; the bus daemon asked the kernel.
 */
#include <fcntl.h>
#include <search.h>
#include <stdio.h>

#include "front/bus-internal.h"
#include "util.h"

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct bus_peer *)a)->name, ((const struct bus_peer *)b)->name);
}

static void uncharge(struct bus_peer *bus_peer)
{
	if (!bus_peer->user)
		return;
	user_disconnect(bus_peer->user, PEER_FDS);
	bus_peer->user = user_unref(bus_peer->user);
}

/* Drops a connection that is gone, or cannot be served. */
static void forget(struct bus_peer *bus_peer)
{
	if (bus_peer->gone)
		return;
	bus_peer->gone = true;
	tdelete(bus_peer, &bus_peer->bus->peers, compare);
	bus_peer->credentials = sd_bus_slot_unref(bus_peer->credentials);
	bus_peer->probe = sd_bus_slot_unref(bus_peer->probe);
	bus_calls_drop(bus_peer);
	bus_peer->listing = bus_listing_free(bus_peer->listing);
	if (bus_peer->peer && peer_alive(bus_peer->peer))
		bus_deliveries_gone(bus_peer->bus->deliveries, bus_peer);
	bus_peer->inspection = peer_cancel(bus_peer->inspection);
	uncharge(bus_peer);
	if (bus_peer->peer)
		ledger_check_peer(bus_peer->bus->broker->ledger, bus_peer->peer);
	bus_peer_put(bus_peer);
}

void bus_peers_free(struct bus *bus)
{
	while (bus->peers)
		forget(*(struct bus_peer **)bus->peers);
}

int bus_peers_on_gone(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct bus *bus = userdata;
	struct bus_peer wanted = { 0 }, **found;
	const char *name, *old, *new;

	(void)error;
	if (sd_bus_message_read(message, "sss", &name, &old, &new) < 0 || new[0])
		return 0;
	wanted.name = (char *)name;
	found = tfind(&wanted, &bus->peers, compare);
	if (found)
		forget(*found);
	return 0;
}

/* --- credentials --- */

static int read_lsm(sd_bus_message *message, char **ret_lsm)
{
	const void *bytes;
	size_t size;
	char *lsm;
	int r;

	r = sd_bus_message_read_array(message, 'y', &bytes, &size);
	if (r < 0)
		return r;
	lsm = strndup(bytes, size);
	if (!lsm)
		return -ENOMEM;
	free(*ret_lsm);
	*ret_lsm = lsm;
	return 0;
}

static int read_entry(sd_bus_message *message, const char *key, void *userdata)
{
	struct peer_claim *claim = userdata;
	const char *contents;
	uint32_t number;
	int fd, r;

	r = sd_bus_message_peek_type(message, NULL, &contents);
	if (r < 0)
		return r;
	r = sd_bus_message_enter_container(message, 'v', contents);
	if (r < 0)
		return r;
	if (streq(key, "UnixUserID") && streq(contents, "u")) {
		r = sd_bus_message_read(message, "u", &claim->uid);
	} else if (streq(key, "ProcessID") && streq(contents, "u")) {
		r = sd_bus_message_read(message, "u", &number);
		if (r >= 0)
			claim->pid = (pid_t)number;
	} else if (streq(key, "UnixGroupIDs") && streq(contents, "au")) {
		r = bus_read_ids(message, &claim->groups, &claim->n_groups);
		claim->groups_known = r >= 0;
	} else if (streq(key, "LinuxSecurityLabel") && streq(contents, "ay")) {
		r = read_lsm(message, &claim->lsm);
	} else if (streq(key, "ProcessFD") && streq(contents, "h")) {
		r = sd_bus_message_read(message, "h", &fd);
		if (r >= 0) {
			close_fd(&claim->pidfd);
			claim->pidfd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		}
	} else {
		r = sd_bus_message_skip(message, contents);
	}
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_claim(sd_bus_message *message, struct peer_claim *claim)
{
	const char *wrong_key;
	int r;

	*claim = (struct peer_claim){ .uid = (uid_t)-1, .gid = (gid_t)-1, .pidfd = -1 };
	r = bus_read_dict(message, read_entry, claim, &wrong_key);
	return r < 0 ? r : claim->uid == (uid_t)-1 || claim->pid <= 0 ? -ENODATA : 0;
}

/* --- calls --- */

/* Charges a user for the connection, if it may have one more; if not, writes why. */
static bool charge(struct bus_peer *bus_peer, struct user *user, char *reason, size_t size)
{
	const struct policy *policy = bus_peer->bus->broker->policy;

	uncharge(bus_peer);
	if (!user_may_connect(
		    user, policy_settings(policy)->connections_per_user, PEER_FDS, reason, size))
		return false;
	user_connect(user, PEER_FDS);
	bus_peer->user = user_ref(user);
	return true;
}

/* Refuses all calls of a connection that is not served. */
static void reject(struct bus_peer *bus_peer, enum ccbuf_verdict verdict, const char *reason)
{
	struct peer bare = { .user = bus_peer->user };

	bare.identity =
		(struct identity){ .pid = bus_peer->pid, .uid = bus_peer->uid, .unseen = true };
	broker_record_refusal(bus_peer->bus->broker, &bare, NULL, verdict, reason);
	bus_calls_refuse(bus_peer, verdict, reason);
	forget(bus_peer);
}

static void reject_unidentified(struct bus_peer *bus_peer, int error, const char *why)
{
	char reason[PEER_WHY_MAX + 64];

	snprintf(reason, sizeof(reason), "the process cannot be identified: %s", why);
	reject(bus_peer, peer_verdict(error), reason);
}

static void on_identified(void *userdata, int result, const char *why, struct peer *peer)
{
	struct bus_peer *bus_peer = userdata;
	char reason[192];

	bus_peer->inspection = NULL;
	if (result < 0) {
		reject_unidentified(bus_peer, result, why);
		return;
	}
	/* The account may differ from that of the uid. */
	if (!charge(bus_peer, peer->user, reason, sizeof(reason))) {
		peer_unref(peer);
		reject(bus_peer, CCBUF_BUSY, reason);
		return;
	}
	bus_peer->peer = peer;
	bus_calls_go(bus_peer);
}

static int on_credentials(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct bus_peer *bus_peer = userdata;
	struct broker *broker = bus_peer->bus->broker;
	struct peer_claim claim = { .pidfd = -1 };
	struct user *user = NULL;
	char reason[192];
	int r;

	(void)error;
	bus_peer->credentials = sd_bus_slot_unref(bus_peer->credentials);
	r = sd_bus_message_is_method_error(message, NULL) ? -ESRCH : read_claim(message, &claim);
	bus_peer->pid = claim.pid;
	bus_peer->uid = claim.uid;
	if (r >= 0)
		r = users_get(broker->users, claim.uid, 0, &user);
	if (r >= 0 && !charge(bus_peer, user, reason, sizeof(reason)))
		reject(bus_peer, CCBUF_BUSY, reason);
	else if (r >= 0)
		r = peer_identify(broker->inspections, broker->users, user, &claim, on_identified,
			bus_peer, &bus_peer->inspection);
	if (r < 0)
		reject_unidentified(bus_peer, r, peer_words(r));
	peer_claim_done(&claim);
	user_unref(user);
	return 1;
}

static int bus_peer_new(struct bus *bus, const char *name, struct bus_peer **ret_peer)
{
	struct bus_peer *bus_peer = calloc(1, sizeof(*bus_peer));
	int r;

	if (!bus_peer)
		return -ENOMEM;
	bus_peer->bus = bus;
	bus_peer->refs = 1;
	STAILQ_INIT(&bus_peer->pending);
	bus_peer->name = strdup(name);
	if (!bus_peer->name || !tsearch(bus_peer, &bus->peers, compare)) {
		free(bus_peer->name);
		free(bus_peer);
		return -ENOMEM;
	}
	/* The answer also shows if the connection is gone already. sd_bus_track_add_name() would
	 * block for an answer of the bus. */
	r = sd_bus_call_method_async(bus->connection, &bus_peer->credentials,
		"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
		"GetConnectionCredentials", on_credentials, bus_peer, "s", name);
	if (r < 0) {
		forget(bus_peer);
		return r;
	}
	*ret_peer = bus_peer;
	return 0;
}

int bus_identify(
	struct bus *bus, sd_bus_message *message, bus_handler handler, bool answers_with_fds)
{
	struct bus_peer wanted = { .name = (char *)sd_bus_message_get_sender(message) };
	struct bus_peer **found, *bus_peer;
	int r;

	if (!wanted.name)
		return -EBADMSG;
	found = tfind(&wanted, &bus->peers, compare);
	bus_peer = found ? *found : NULL;
	if (!bus_peer) {
		r = bus_peer_new(bus, wanted.name, &bus_peer);
		if (r < 0)
			return r;
	}
	if (answers_with_fds && !bus_peer->probed) {
		r = bus_probe(bus_peer);
		if (r < 0)
			return r;
	}
	return bus_calls_add(bus_peer, message, handler);
}

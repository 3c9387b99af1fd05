/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What ends a grant: its peer's release, or the heap's event. It must never trust the peer's
 * release where the daemon can find out whether the buffer is held.
 */
#include <search.h>

#include "ledger/state.h"
#include "util.h"

/* The peer closes its buffer first and releases it then: the heap's event may come before the
 * release. */
static void remember(struct ledger *ledger, const struct grant *grant)
{
	const struct identity *identity = &grant->peer->identity;

	ledger->ended[ledger->ended_next++ % ENDED_MAX] =
		(struct ended){ grant->id, identity->pid, identity->start_time };
}

static bool forget(struct ledger *ledger, const struct peer *peer, uint64_t id)
{
	for (unsigned int i = 0; id && i < ENDED_MAX; i++) {
		struct ended *ended = &ledger->ended[i];

		if (ended->id != id || ended->pid != peer->identity.pid ||
			ended->start_time != peer->identity.start_time)
			continue;
		ended->id = 0;
		return true;
	}
	return false;
}

int ledger_release(struct ledger *ledger, const struct peer *peer, uint64_t id)
{
	struct grant *grant;

	ledger_take(ledger);
	grant = grant_by_id(ledger, id);
	if (forget(ledger, peer, id))
		return 0;
	if (!grant || grant->holder != holder_find(ledger, peer) ||
		(grant->state != GRANT_LIVE && grant->state != GRANT_REVOKED))
		return -ENOENT;
	/* Where holders cannot be counted, the peer's release is enough. */
	grant->returned = true;
	if (ledger->n_records >= RELEASES_MAX)
		return 1;
	return grant_check(ledger, grant, false, "released by the peer") ? 0 : 1;
}

void ledger_undelivered(struct ledger *ledger, uint64_t id, const char *reason)
{
	struct grant *grant = grant_by_id(ledger, id);

	if (!grant || grant->state != GRANT_LIVE)
		return;
	grant->returned = true;
	grant->undelivered = reason;
	(void)grant_check(ledger, grant, false, reason);
}

void ledger_ended(struct ledger *ledger, const struct heap *heap, uint64_t watch)
{
	struct grant wanted = { .node = heap, .watch = watch };
	struct grant *const *found = tfind(&wanted, &ledger->by_watch, grant_compare_watch);
	struct grant *grant = found ? *found : NULL;

	/* The buffer of a request that failed. Before the commit its fd is still ours. */
	if (!grant || !grant_is_out(grant))
		return;
	if (!grant->holder->gone)
		remember(ledger, grant);
	grant_release(ledger, grant,
		grant->state == GRANT_REVOKED ? "revoked"
		: grant->returned	      ? "released by the peer"
					      : "no longer held");
}

void ledger_check_peer(struct ledger *ledger, const struct peer *peer)
{
	struct holder *holder = holder_find(ledger, peer);

	if (holder)
		holder_check(holder, holder->gone || !peer_alive(peer), "no longer held");
}

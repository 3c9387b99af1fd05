/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking again at grants whose holders say nothing: by a timer, and when a limit is reached. It
 * must never take so long that another client notices.
 */
#include <time.h>

#include "ledger-internal.h"
#include "util.h"

#define SWEEP_GRANTS	    1024 /* how many it looks at */
#define PRESSURE_SCAN	    4096 /* grants passed over to find some of an account that is full */
#define PRESSURE_GRANTS	    256	 /* of those, how many are looked at */
#define PRESSURE_GRANTS_MIN 16	 /* when the user has just had a full look */

/* Looks at up to scan grants, the one seen longest ago first, and checks up to limit of those that
 * are charged to account (NULL for all). */
static void sweep_some(struct ledger *ledger, unsigned int scan, unsigned int limit,
	const struct account *account, const char *reason)
{
	struct grant *end = ledger->grants.last;

	while (ledger->grants.first && scan-- > 0 && limit > 0 && ledger_may_record(ledger)) {
		struct grant *grant = ledger->grants.first;
		bool last = grant == end, gone = false;

		if ((!account || &grant->rule->account == account ||
			    &grant->user->account == account) &&
			grant_is_out(grant) && grant->polled) {
			gone = grant_check(ledger, grant, holder_gone(grant->holder), reason);
			limit--;
		}
		if (!gone) {
			grant_list_remove(&ledger->grants, grant);
			grant_list_append(&ledger->grants, grant);
		}
		if (last)
			break;
	}
}

/* A full look costs its user a pause as long as the look, so that asking over and over at a limit
 * cannot take more than half of the daemon's time. */
void sweep_relieve(struct ledger *ledger, const struct account *full, struct user *user)
{
	uint64_t start = ledger_now(CLOCK_MONOTONIC), end;

	if (full == &ledger->total)
		full = NULL;
	if (start < user->pause_usec) {
		sweep_some(ledger, PRESSURE_SCAN, PRESSURE_GRANTS_MIN, full, "no longer held");
		return;
	}
	sweep_some(ledger, PRESSURE_SCAN, PRESSURE_GRANTS, full, "no longer held");
	end = ledger_now(CLOCK_MONOTONIC);
	user->pause_usec = end + (end - start);
}

void sweep_start(struct ledger *ledger)
{
	if (sd_event_source_get_enabled(ledger->timer, NULL) > 0)
		return;
	sd_event_source_set_time_relative(ledger->timer, SWEEP_USEC);
	sd_event_source_set_enabled(ledger->timer, SD_EVENT_ONESHOT);
}

int sweep_on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ledger *ledger = userdata;

	(void)source;
	(void)usec;
	grant_record_rest(ledger);
	sweep_some(ledger, SWEEP_GRANTS, SWEEP_GRANTS, NULL, "no longer held");
	ledger_go_on(ledger);
	if (ledger->n_polled || ledger->unrecorded.first)
		sweep_start(ledger);
	return 0;
}

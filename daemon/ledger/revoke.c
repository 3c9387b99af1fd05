/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Grants to be taken back: finds them by number, goes through them for a review, and marks them. It
 * must never uncharge one: a device may still have its memory mapped.
 */
#include "ledger/state.h"

const struct grant *ledger_find(const struct ledger *ledger, uint64_t id)
{
	const struct grant *grant = grant_by_id(ledger, id);

	return grant && grant_is_out(grant) ? grant : NULL;
}

void ledger_revoked(struct ledger *ledger, uint64_t id)
{
	struct grant *grant = grant_by_id(ledger, id);

	if (!grant || !grant_is_out(grant) || grant->state == GRANT_REVOKED)
		return;
	grant->state = GRANT_REVOKED;
	if (ledger->observer.revoked)
		ledger->observer.revoked(ledger->observer.userdata, grant);
}

void ledger_not_revoked(struct ledger *ledger, uint64_t id)
{
	struct grant *grant = grant_by_id(ledger, id);

	if (grant && grant->state == GRANT_REVOKED)
		grant->state = holder_gone(grant->holder) ? GRANT_ORPHANED : GRANT_LIVE;
}

void ledger_review_start(struct ledger *ledger)
{
	ledger->review++;
	ledger->reviewing = true;
	ledger->review_at = TAILQ_FIRST(&ledger->grants);
}

bool ledger_review(struct ledger *ledger, unsigned int n,
	void (*visit)(void *userdata, const struct grant *grant), void *userdata)
{
	while (n > 0 && ledger->review_at) {
		struct grant *grant = ledger->review_at;

		ledger->review_at = TAILQ_NEXT(grant, in_ledger);
		if (!grant_is_out(grant) || grant->reviewed == ledger->review)
			continue;
		grant->reviewed = ledger->review;
		visit(userdata, grant);
		n--;
	}
	ledger->reviewing = ledger->review_at != NULL;
	return ledger->reviewing;
}

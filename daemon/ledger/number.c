/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The numbers of grants: the one that the audit trail and the peers use, and the heap's number of
 * the buffer. It must never reuse a number that may be in a record.
 */
#include <errno.h>
#include <search.h>

#include "ledger/state.h"

/* Undoes ledger_number() for one grant. */
static void take_number(struct ledger *ledger, struct grant *grant)
{
	if (grant->id)
		tdelete(grant, &ledger->by_id, grant_compare);
	grant->id = 0;
}

static int give_number(struct ledger *ledger, struct grant *grant, const struct buffer_id *buffer)
{
	grant->id = ++ledger->last_id;
	grant->inode = buffer->inode;
	grant->watch = buffer->watch;
	if (!tsearch(grant, &ledger->by_id, grant_compare)) {
		grant->id = grant->watch = 0;
		return -ENOMEM;
	}
	if (grant->watch && !tsearch(grant, &ledger->by_watch, grant_compare_watch)) {
		grant->watch = 0;
		return -ENOMEM;
	}
	return 0;
}

int ledger_number(struct ledger *ledger, struct grant *const *grants, uint32_t count,
	const struct buffer_id *buffers)
{
	ledger->n_numbering += count;
	for (uint32_t i = 0; i < count; i++) {
		if (give_number(ledger, grants[i], &buffers[i]) < 0) {
			ledger_numbered(ledger, grants, count, false);
			return -ENOMEM;
		}
	}
	return 0;
}

void ledger_numbered(
	struct ledger *ledger, struct grant *const *grants, uint32_t count, bool recorded)
{
	ledger->n_numbering -= count;
	for (uint32_t i = 0; i < count; i++) {
		if (!recorded)
			take_number(ledger, grants[i]);
		else if (grants[i]->id > ledger->recorded_id)
			ledger->recorded_id = grants[i]->id;
	}
	/* Numbers that are in no record are reused. Otherwise, while the disk is full, the numbers
	 * would run ahead of the trail, and the next start would repeat some. */
	if (ledger->n_numbering == 0)
		ledger->last_id = ledger->recorded_id;
}

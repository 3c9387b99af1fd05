/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copies of grants, for what is reported later. A copy is charged to nothing and is in no list.
 */
#include "ledger/state.h"
#include "util.h"

struct snapshot {
	struct grant grant; /* first: callers get a pointer to it */
	char strings[];
};

struct grant *grant_snapshot(const struct grant *grant)
{
	size_t heap = strlen(grant->heap) + 1, rule_name = strlen(grant->rule_name) + 1;
	struct snapshot *snapshot = malloc(sizeof(*snapshot) + heap + rule_name);

	if (!snapshot)
		return NULL;
	snapshot->grant = *grant;
	snapshot->grant.fd = -1;
	snapshot->grant.heap = memcpy(snapshot->strings, grant->heap, heap);
	snapshot->grant.rule_name = memcpy(snapshot->strings + heap, grant->rule_name, rule_name);
	snapshot->grant.rule = NULL;
	snapshot->grant.user = NULL;
	snapshot->grant.holder = NULL;
	snapshot->grant.node = NULL;
	peer_ref(snapshot->grant.peer);
	return &snapshot->grant;
}

struct grant *grant_snapshot_free(struct grant *grant)
{
	struct snapshot *snapshot = (struct snapshot *)grant;

	if (!snapshot)
		return NULL;
	peer_unref(grant->peer);
	free(snapshot);
	return NULL;
}

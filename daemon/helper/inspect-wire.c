/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What both sides of an inspection compute in the same way.
 */
#include "helper/inspect-wire.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;

	return (x > y) - (x < y);
}

void inspect_hash_groups(gid_t *groups, size_t count, char hash[static CHAIN_HASH_TEXT])
{
	size_t n = 0;

	if (count)
		qsort(groups, count, sizeof(*groups), compare);
	for (size_t i = 0; i < count; i++)
		if (n == 0 || groups[n - 1] != groups[i])
			groups[n++] = groups[i];
	sha256_text(groups, n * sizeof(*groups), hash);
}

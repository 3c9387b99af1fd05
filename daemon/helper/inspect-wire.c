/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Functions that both sides of an inspection share.
 */
#include "helper/inspect-wire.h"

#include <string.h>

/* Shell's sort: qsort() allocates, for which an inspector has no call. Quick with what is sorted
 * but for a few, as the kernel's lists are. */
static void sort(gid_t *groups, size_t count)
{
	size_t gap = 1;

	while (gap < count / 3)
		gap = 3 * gap + 1;
	for (; gap > 0; gap /= 3) {
		for (size_t i = gap; i < count; i++) {
			gid_t group = groups[i];
			size_t at = i;

			for (; at >= gap && groups[at - gap] > group; at -= gap)
				groups[at] = groups[at - gap];
			groups[at] = group;
		}
	}
}

void inspect_hash_groups(gid_t *groups, size_t count, char hash[static CHAIN_HASH_TEXT])
{
	size_t n = 0;

	sort(groups, count);
	for (size_t i = 0; i < count; i++)
		if (n == 0 || groups[n - 1] != groups[i])
			groups[n++] = groups[i];
	sha256_text(groups, n * sizeof(*groups), hash);
}

/* --- answers --- */

bool inspect_answer_valid(const struct inspect_answer *untrusted_answer, size_t size)
{
	const char *text = untrusted_answer->texts;
	size_t left;

	if (size < sizeof(*untrusted_answer) ||
		memchr(untrusted_answer->groups, 0, sizeof(untrusted_answer->groups)) == NULL)
		return false;
	left = size - sizeof(*untrusted_answer);
	if (untrusted_answer->kind == INSPECT_NOTICE)
		return left == 0;
	if (untrusted_answer->error > 0)
		return false;
	for (int i = 0; i < INSPECT_TEXTS; i++) {
		size_t n = untrusted_answer->sizes[i];

		if (n > left || (n && strnlen(text, n) != n - 1))
			return false;
		text += n;
		left -= n;
	}
	return left == 0;
}

const char *inspect_answer_text(const struct inspect_answer *answer, enum inspect_text which)
{
	const char *text = answer->texts;

	for (int i = 0; i < (int)which; i++)
		text += answer->sizes[i];
	return answer->sizes[which] ? text : NULL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guesses which word was meant by an unknown one. A guess is only part of a message, and changes no
 * meaning.
 */
#include "policy-internal.h"

#define WORD_MAX 64 /* bytes; no guess for longer words */

size_t policy_guess_distance(const char *a, const char *b, size_t limit)
{
	size_t na = strlen(a), nb = strlen(b);
	size_t rows[3][WORD_MAX + 1]; /* the last three rows of the edit-distance table */

	if (na > WORD_MAX || nb > WORD_MAX)
		return limit + 1;
	for (size_t j = 0; j <= nb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t *row = rows[i % 3], *up = rows[(i + 2) % 3], *upper = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t best = up[j - 1] + (a[i - 1] != b[j - 1]);

			if (up[j] + 1 < best)
				best = up[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				upper[j - 2] + 1 < best)
				best = upper[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[na % 3][nb] > limit ? limit + 1 : rows[na % 3][nb];
}

const char *policy_guess(const char *untrusted_word, const char *const *candidates)
{
	/* a third of the letters may be wrong: enough for a typing mistake, too few for another
	 * word */
	size_t limit = (strlen(untrusted_word) + 2) / 3, best = limit + 1;
	const char *guess = NULL;

	for (; *candidates; candidates++) {
		size_t distance = policy_guess_distance(untrusted_word, *candidates, limit);

		if (distance < best) {
			best = distance;
			guess = *candidates;
		}
	}
	return guess;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tables for people. It must never be what a script reads: that is what --json is for.
 */
#include "output.h"

#include <stdio.h>

#define COLUMNS_MAX 16

/* Characters on the screen of an escaped text, near enough: one for each code point. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

static char *cell(struct json_object *rows, size_t row, size_t column)
{
	struct json_object *cells = json_object_array_get_idx(rows, row);
	const char *text = json_object_get_string(json_object_array_get_idx(cells, column));

	return escape(text ? text : "", text ? strlen(text) : 0, ESCAPE_TEXT);
}

void say_table(struct json_object *rows)
{
	size_t n_rows = json_object_array_length(rows);
	size_t n = json_object_array_length(json_object_array_get_idx(rows, 0));
	size_t widths[COLUMNS_MAX] = { 0 }, last = 0;
	bool filled[COLUMNS_MAX] = { 0 };

	if (n > COLUMNS_MAX)
		n = COLUMNS_MAX;
	for (size_t row = 0; row < n_rows; row++)
		for (size_t i = 0; i < n; i++) {
			cleanup(cleanup_free) char *text = cell(rows, row, i);
			size_t width = width_of(text);

			if (width > widths[i])
				widths[i] = width;
			filled[i] = filled[i] || (row > 0 && width > 0);
			if (filled[i] && i > last)
				last = i;
		}
	for (size_t row = 0; row < n_rows; row++) {
		for (size_t i = 0; i <= last; i++) {
			cleanup(cleanup_free) char *text = cell(rows, row, i);

			if (!filled[i])
				continue;
			fputs(text, stdout);
			if (i < last)
				printf("%*s", (int)(widths[i] - width_of(text)) + 2, "");
		}
		putchar('\n');
	}
}

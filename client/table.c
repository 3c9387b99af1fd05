/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tables for people; scripts use --json.
 */
#include "output.h"

#include <locale.h>
#include <stdio.h>
#include <wchar.h>

#define COLUMNS_MAX 16

/* The columns of a text on the screen: two for a wide character, none for a combining mark. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	while (*text) {
		uint32_t c = 0;
		size_t length = text_decode(text, &c);
		int columns = wcwidth((wchar_t)c);

		/* A character that the system does not know yet takes one column. */
		width += columns < 0 ? 1 : (size_t)columns;
		text += length;
	}
	return width;
}

static char *cell(struct json_object *rows, size_t row, size_t column)
{
	struct json_object *cells = json_object_array_get_idx(rows, row);
	const char *text = json_object_get_string(json_object_array_get_idx(cells, column));

	return escape(text ? text : "", TEXT_VISIBLE);
}

static void put_table(struct json_object *rows)
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
			filled[i] = filled[i] || (row > 0 && *text);
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

void say_table(struct json_object *rows)
{
	/* Whatever the caller's locale is, the text is UTF-8. */
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0), before = (locale_t)0;

	if (utf8)
		before = uselocale(utf8);
	put_table(rows);
	if (utf8) {
		uselocale(before);
		freelocale(utf8);
	}
}

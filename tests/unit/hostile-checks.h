/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What must be true of text that was shown, judged by other means than the product's own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hostile.h"
#include "runner.h"
#include "util.h"

/* UTF-8 by its grammar: the next character, or -1. Steps behind it. */
static inline int64_t next_character(const unsigned char **p)
{
	static const struct {
		unsigned char first, last, second_first, second_last, length;
	} rows[] = {
		{ 0x01, 0x7f, 0, 0, 1 },
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	const unsigned char *s = *p;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t c = rows[i].length == 1 ? s[0] : s[0] & (0x7f >> rows[i].length);

		if (s[0] < rows[i].first || s[0] > rows[i].last)
			continue;
		if (rows[i].length > 1 &&
			(s[1] < rows[i].second_first || s[1] > rows[i].second_last))
			return -1;
		for (size_t k = 1; k < rows[i].length; k++) {
			if ((s[k] & 0xc0) != 0x80)
				return -1;
			c = c << 6 | (s[k] & 0x3f);
		}
		*p = s + rows[i].length;
		return c;
	}
	return -1;
}

/* UTF-8, as a D-Bus library takes it: without noncharacters. */
static inline bool is_utf8(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p) {
		int64_t c = next_character(&p);

		if (c < 0 || (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe)
			return false;
	}
	return true;
}

/* UTF-8, one line, and nothing of it is for the terminal or cannot be seen. The lists are of those
 * kinds that the hostile texts have. */
static inline bool is_safe(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	if (!is_utf8(text))
		return false;
	while (*p) {
		int64_t c = next_character(&p);

		if (c < 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad || c == 0x61c ||
			(c >= 0x2000 && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) ||
			(c >= 0x205f && c <= 0x206f) || c == 0x3000 || c == 0x3164 ||
			(c >= 0xe000 && c <= 0xf8ff) || (c >= 0xfe00 && c <= 0xfe0f) ||
			c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
			(c >= 0xe0000 && c <= 0xe0fff) || c >= 0xf0000)
			return false;
	}
	return true;
}

static inline int hex_digits(const char *text, int n, uint32_t *ret_value)
{
	*ret_value = 0;
	for (int i = 0; i < n; i++) {
		if (!text[i] || !strchr("0123456789abcdef", text[i]))
			return 0;
		*ret_value = *ret_value << 4 |
			     (uint32_t)(strchr("0123456789abcdef", text[i]) - "0123456789abcdef");
	}
	return n;
}

static inline size_t put_utf8(char *to, uint32_t c)
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	if (n == 1) {
		to[0] = (char)c;
		return 1;
	}
	for (size_t i = n; i-- > 1; c >>= 6)
		to[i] = (char)(0x80 | (c & 0x3f));
	to[0] = (char)(0xff << (8 - n) | c);
	return n;
}

/* The bytes that a text in the form TEXT_NAME stands for, as the header says. */
static inline char *read_back(const char *text)
{
	char *bytes = malloc(4 * strlen(text) + 1), *at = bytes;
	uint32_t value;

	while (*text) {
		int n = 0;

		if (text[0] == '\\' && text[1] == 'x' && hex_digits(text + 2, 2, &value) &&
			(value < 0x20 || value == 0x5c || value >= 0x7f)) {
			*at++ = (char)value;
			text += 4;
			continue;
		}
		if (text[0] == '\\' && text[1] == 'u')
			n = hex_digits(text + 2, 4, &value);
		else if (text[0] == '\\' && text[1] == 'U')
			n = hex_digits(text + 2, 8, &value);
		if (n) {
			at += put_utf8(at, value);
			text += 2 + n;
		} else {
			*at++ = *text++;
		}
	}
	*at = 0;
	return bytes;
}

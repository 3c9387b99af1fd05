/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes text from outside safe to show. It must never let two different texts become the same, nor
 * read beyond the NUL.
 */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>

static const char digits[] = "0123456789abcdef";

size_t text_decode(const char *untrusted_text, uint32_t *ret_character)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)untrusted_text;
	size_t length = s[0] < 0x80   ? 1
			: s[0] < 0xc2 ? 0
			: s[0] < 0xe0 ? 2
			: s[0] < 0xf0 ? 3
			: s[0] < 0xf5 ? 4
				      : 0;
	uint32_t c;

	if (length < 2) {
		*ret_character = s[0];
		return length;
	}
	c = s[0] & (0x7fu >> length);
	/* The NUL is not a continuation byte, so this stops there. */
	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_character = c;
	return length;
}

bool text_visible(uint32_t character)
{
	/* In order. */
	static const struct {
		uint32_t first, last;
	} unseen[] = {
		{ 0x7f, 0xa0 },	  /* DEL, C1, no-break space */
		{ 0xad, 0xad },	  /* soft hyphen */
		{ 0x34f, 0x34f }, /* grapheme joiner */
		{ 0x600, 0x605 }, /* Arabic signs that enclose digits, and the like */
		{ 0x61c, 0x61c }, /* Arabic letter mark */
		{ 0x6dd, 0x6dd }, { 0x70f, 0x70f }, { 0x890, 0x891 }, { 0x8e2, 0x8e2 },
		{ 0x115f, 0x1160 }, /* Hangul fillers */
		{ 0x1680, 0x1680 }, /* Ogham space */
		{ 0x17b4, 0x17b5 }, /* invisible Khmer vowels */
		{ 0x180b, 0x180f }, /* Mongolian selectors */
		{ 0x2000, 0x200f }, /* spaces, zero width, direction */
		{ 0x2028, 0x202f }, /* line ends, direction, narrow space */
		{ 0x205f, 0x206f }, /* space, word joiner, invisible operators, isolates */
		{ 0x2800, 0x2800 }, /* Braille pattern without dots */
		{ 0x3000, 0x3000 }, /* ideographic space */
		{ 0x3164, 0x3164 }, /* Hangul filler */
		{ 0xe000, 0xf8ff }, /* private use */
		{ 0xfe00, 0xfe0f }, /* variation selectors */
		{ 0xfeff, 0xfeff }, /* byte order mark */
		{ 0xffa0, 0xffa0 }, /* Hangul filler */
		{ 0xfff0, 0xfffc }, /* annotations, object replacement */
		{ 0x110bd, 0x110bd }, { 0x110cd, 0x110cd },
		{ 0x13430, 0x1343f },  /* hieroglyph format */
		{ 0x1bca0, 0x1bca3 },  /* shorthand format */
		{ 0x1d173, 0x1d17a },  /* musical format */
		{ 0xe0000, 0xe0fff },  /* tags, variation selectors */
		{ 0xf0000, 0x10ffff }, /* private use */
	};

	if (character < 0x7f)
		return character >= 0x20;
	for (size_t i = 0; i < ARRAY_SIZE(unseen) && unseen[i].first <= character; i++)
		if (character <= unseen[i].last)
			return false;
	return true;
}

/* Characters that a library on the way would lose: sd-bus rejects noncharacters, and json-c takes
 * the pair of escapes of some characters for two halves. */
static bool lost_on_the_way(uint32_t c)
{
	return (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe ||
	       (c > 0xffff && (c & 0xf800) == 0xd800 && !text_visible(c));
}

/* The number of n lower-case hex digits, or -1. */
static int64_t number(const char *text, size_t n)
{
	int64_t value = 0;

	for (size_t i = 0; i < n; i++) {
		const char *digit = text[i] ? strchr(digits, text[i]) : NULL;

		if (!digit)
			return -1;
		value = value << 4 | (digit - digits);
	}
	return value;
}

/* Whether the backslash at the beginning would read like that of an escape. */
static bool reads_as_escape(const char *text)
{
	int64_t byte;

	if (text[1] == 'u')
		return number(text + 2, 4) >= 0;
	if (text[1] == 'U')
		return number(text + 2, 8) >= 0;
	byte = text[1] == 'x' ? number(text + 2, 2) : -1;
	return byte >= 0 && (byte < 0x20 || byte == '\\' || byte >= 0x7f);
}

static void put_hex(char *to, char letter, uint32_t value, unsigned int n)
{
	*to++ = '\\';
	*to++ = letter;
	while (n-- > 0)
		*to++ = digits[value >> (4 * n) & 15];
}

static size_t put_byte(char *to, unsigned char byte, bool json)
{
	/* In JSON a backslash is two. */
	if (json)
		*to++ = '\\';
	put_hex(to, 'x', byte, 2);
	return json ? 5 : 4;
}

static size_t put_unseen(char *to, uint32_t c, bool json)
{
	if (json && c > 0xffff) {
		put_hex(to, 'u', 0xd800 + ((c - 0x10000) >> 10), 4);
		put_hex(to + 6, 'u', 0xdc00 + ((c - 0x10000) & 0x3ff), 4);
		return 12;
	}
	if (!json && c < 0x80)
		return put_byte(to, (unsigned char)c, false);
	put_hex(to, c > 0xffff ? 'U' : 'u', c, c > 0xffff ? 8 : 4);
	return c > 0xffff ? 10 : 6;
}

size_t text_step(const char **untrusted_text, unsigned int form, char to[static TEXT_STEP_MAX])
{
	const char *s = *untrusted_text;
	bool json = form & (TEXT_JSON_STRING | TEXT_JSON);
	uint32_t c = 0;
	size_t length = text_decode(s, &c);

	if (!length || lost_on_the_way(c)) {
		(*untrusted_text)++;
		return put_byte(to, (unsigned char)*s, json);
	}
	*untrusted_text += length;
	if (c == '\\' && (form & TEXT_NAME) && reads_as_escape(s))
		return put_byte(to, '\\', json);
	if ((form & TEXT_JSON_STRING) && (c == '"' || c == '\\')) {
		to[0] = '\\';
		to[1] = (char)c;
		return 2;
	}
	if (c == '\n' && (form & TEXT_JOINED)) {
		memcpy(to, "; ", 2);
		return 2;
	}
	if ((json || (form & TEXT_VISIBLE)) && !text_visible(c) &&
		!(c == '\n' && (form & TEXT_LINES)))
		return put_unseen(to, c, json);
	memcpy(to, s, length);
	return length;
}

/* The number of leading bytes that no form changes. */
static size_t plain(const char *text)
{
	const char *p = text;

	while (*p >= 0x20 && *p < 0x7f && *p != '\\' && *p != '"')
		p++;
	return (size_t)(p - text);
}

bool text_stays(const char *untrusted_text, unsigned int form)
{
	char to[TEXT_STEP_MAX];

	while (*(untrusted_text += plain(untrusted_text))) {
		const char *from = untrusted_text;
		size_t length = text_step(&untrusted_text, form, to);

		if (length != (size_t)(untrusted_text - from) || memcmp(from, to, length))
			return false;
	}
	return true;
}

char *text_new(const char *untrusted_text, unsigned int form)
{
	char to[TEXT_STEP_MAX], *text, *at;
	size_t size = 1;

	for (const char *p = untrusted_text; *p;)
		size += text_step(&p, form, to);
	text = malloc(size);
	if (!text)
		return NULL;
	for (at = text; *untrusted_text;) {
		size_t length = text_step(&untrusted_text, form, to);

		memcpy(at, to, length);
		at += length;
	}
	*at = 0;
	return text;
}

const char *text_fit(const char *untrusted_text, unsigned int form, char *buffer, size_t size)
{
	char to[TEXT_STEP_MAX];
	size_t length = 0, room = 0;

	while (*untrusted_text) {
		size_t n = text_step(&untrusted_text, form, to);

		/* The dots still fit after this, so a cut could be here. */
		if (length + sizeof("...") <= size)
			room = length;
		if (length + n >= size) {
			memcpy(buffer + room, "...", sizeof("..."));
			return buffer;
		}
		memcpy(buffer + length, to, n);
		length += n;
	}
	buffer[length] = 0;
	return buffer;
}

/* Where to cut a longer text: at length or before, not within a character or an escape. */
static size_t whole(const char *text, size_t length)
{
	size_t at = length, n;
	uint32_t c;

	while (at > 0 && length - at < 3 && (text[at] & 0xc0) == 0x80)
		at--;
	if (at + text_decode(text + at, &c) <= length)
		at = length;
	for (size_t back = 1; back < 10 && back <= at; back++) {
		const char *p = text + at - back;

		if (*p != '\\')
			continue;
		n = p[1] == 'x' ? 4 : p[1] == 'u' ? 6 : p[1] == 'U' ? 10 : 0;
		return back < n && number(p + 2, back > 2 ? back - 2 : 0) >= 0 ? at - back : at;
	}
	return at;
}

void text_format(char *buffer, size_t size, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(buffer, size, format, arguments);
	va_end(arguments);
	if (length < 0 || size < sizeof("..."))
		buffer[0] = 0;
	else if ((size_t)length >= size)
		memcpy(buffer + whole(buffer, size - sizeof("...")), "...", sizeof("..."));
}

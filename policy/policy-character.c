/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Describes misplaced characters: which one it is, as many look alike, and what to write instead.
 * It corrects none.
 */
#include <stdio.h>

#include "policy-internal.h"
#include "text.h"

/* Names characters that are blank but not a space, and those that some programs take for the end of
 * a line. */
static const char *blank_name(uint32_t c)
{
	switch (c) {
	case '\v':
		return "vertical tab";
	case '\f':
		return "form feed";
	case '\r':
		return "carriage return without line feed";
	case 0x85:
		return "next line";
	case 0xa0:
		return "no-break space";
	case 0x202f:
		return "narrow no-break space";
	case 0x2028:
		return "line separator";
	case 0x2029:
		return "paragraph separator";
	case 0x3000:
		return "ideographic space";
	case 0x1680:
	case 0x205f:
		return "a kind of space";
	default:
		return c >= 0x2000 && c <= 0x200a ? "a kind of space" : NULL;
	}
}

static bool ends_line(uint32_t c)
{
	return c == '\v' || c == '\f' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

/* Characters of JSON, and those that look like them. The first row has double quotes. */
static const struct {
	char plain;
	uint16_t others[12];
} lookalikes[] = {
	{ '"', { 0x201c, 0x201d, 0x201e, 0x201f, 0x2033, 0x2036, 0xab, 0xbb, 0x301d, 0x301e,
		       0xff02 } },
	{ '"', { 0x2018, 0x2019, 0x201b, 0x2032, 0x275b, 0x275c, 0x275d, 0x275e, 0xff07 } },
	{ ':', { 0xff1a, 0x2236, 0xa789 } },
	{ ',', { 0xff0c, 0x201a, 0x3001, 0x60c } },
	{ '{', { 0xff5b } },
	{ '}', { 0xff5d } },
	{ '[', { 0xff3b } },
	{ ']', { 0xff3d } },
	{ '/', { 0xff0f, 0x2044 } },
	{ '-', { 0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2212, 0xff0d } },
};

/* The character that it looks like, by the first rows of the table; 0 when there is none. */
static char alike(uint32_t c, size_t rows)
{
	for (size_t i = 0; c && i < rows; i++)
		for (size_t k = 0; k < ARRAY_SIZE(lookalikes[i].others); k++)
			if (c == lookalikes[i].others[k])
				return lookalikes[i].plain;
	return c >= 0xff10 && c <= 0xff19 ? (char)('0' + (c - 0xff10)) : 0;
}

static void say(
	char reason[static POLICY_CHARACTER_MAX], uint32_t c, const char *what, const char *advice)
{
	snprintf(reason, POLICY_CHARACTER_MAX, "U+%04X (%s) %s", c, what, advice);
}

bool policy_character_outside(const char *untrusted_text, char reason[static POLICY_CHARACTER_MAX])
{
	char itself[5] = "", advice[64], plain;
	uint32_t c = 0;
	size_t length = text_decode(untrusted_text, &c);

	if (!length) {
		snprintf(reason, POLICY_CHARACTER_MAX,
			"the byte 0x%02x is no UTF-8; save the file as UTF-8",
			(unsigned char)*untrusted_text);
		return false;
	}
	if (!c) {
		copy_string(reason, POLICY_CHARACTER_MAX, "a NUL byte; a policy is plain text");
		return false;
	}
	if ((c >= 0x20 && c < 0x7f) || c == '\t' || c == '\n' || c == '\r')
		return true;
	memcpy(itself, untrusted_text, length);
	plain = alike(c, ARRAY_SIZE(lookalikes));
	if (plain) {
		snprintf(advice, sizeof(advice), "is not allowed here; write %c", plain);
		say(reason, c, itself, advice);
	} else if (blank_name(c)) {
		say(reason, c, blank_name(c),
			ends_line(c) ? "is not allowed here; write a line feed"
				     : "is not allowed here; write a space");
	} else if (!text_visible(c)) {
		say(reason, c, c < 0x20 || c == 0x7f ? "control character" : "cannot be seen",
			"is not allowed here; delete it");
	} else {
		say(reason, c, itself, "is not allowed here; text stands in double quotes");
	}
	return false;
}

/* The number behind \u; 0x10000 when there is none. */
static uint32_t escaped(const char *text)
{
	char digits[5] = "";

	if (text[0] != '\\' || text[1] != 'u' ||
		strspn(text + 2, "0123456789abcdefABCDEF") < sizeof(digits) - 1)
		return 0x10000;
	memcpy(digits, text + 2, sizeof(digits) - 1);
	return (uint32_t)strtoul(digits, NULL, 16);
}

/* An escape with the number of a surrogate: valid are only two in a row, for one character. */
static size_t surrogates(const char *text, uint32_t first, char reason[static POLICY_CHARACTER_MAX])
{
	uint32_t second = first < 0xdc00 ? escaped(text + 6) : 0;

	if ((second & 0x1fc00) != 0xdc00) {
		snprintf(reason, POLICY_CHARACTER_MAX,
			"\\u%04x is half of a character; write the character itself", first);
		return 0;
	}
	/* json-c takes the number of the pair for another surrogate. */
	if (((first & 0x3f) << 10 & 0xf800) == 0xd800) {
		snprintf(reason, POLICY_CHARACTER_MAX,
			"\\u%04x\\u%04x is not supported; write the character itself", first,
			second);
		return 0;
	}
	return 12;
}

size_t policy_character_in_string(
	const char *untrusted_text, char reason[static POLICY_CHARACTER_MAX])
{
	uint32_t c = 0, number = escaped(untrusted_text);
	size_t length = text_decode(untrusted_text, &c);

	if (!length)
		policy_character_outside(untrusted_text, reason);
	else if ((number & 0x1f800) == 0xd800)
		length = surrogates(untrusted_text, number, reason);
	else if (c == '\\' && (untrusted_text[1] == '"' || untrusted_text[1] == '\\'))
		length = 2;
	return length;
}

bool policy_character_in_comment(
	const char *untrusted_text, char reason[static POLICY_CHARACTER_MAX])
{
	uint32_t c = 0;

	/* A comment may have another encoding. A carriage return at the end of the file ends no
	 * comment. */
	if (!text_decode(untrusted_text, &c) || !ends_line(c) ||
		(c == '\r' && (untrusted_text[1] == '\n' || !untrusted_text[1])))
		return true;
	say(reason, c, blank_name(c),
		"in a // comment ends it for some programs, for others not; write a line feed, or "
		"delete it");
	return false;
}

bool policy_character_quote(const char *untrusted_text, char reason[static POLICY_CHARACTER_MAX])
{
	char itself[5] = "";
	uint32_t c = 0;
	size_t length = text_decode(untrusted_text, &c);

	if (length < 2 || alike(c, 1) != '"')
		return false;
	memcpy(itself, untrusted_text, length);
	say(reason, c, itself, "does not end a string; write \"");
	return true;
}

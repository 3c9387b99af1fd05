/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What ccbuf-client prints: escaping, lines, JSON, refusals. It must never let a control character
 * through that it did not write itself.
 */
#include "output.h"

#include <stdarg.h>
#include <stdio.h>

#include "client.h"
#include "verdict.h"

/* Decodes one character. Its length in bytes, or 0 when the bytes are not UTF-8. */
static size_t decode(const unsigned char *p, size_t left, uint32_t *ret_character)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = p[0] < 0x80		? 1
			: (p[0] & 0xe0) == 0xc0 ? 2
			: (p[0] & 0xf0) == 0xe0 ? 3
			: (p[0] & 0xf8) == 0xf0 ? 4
						: 0;
	uint32_t c;

	if (!length || length > left)
		return 0;
	c = length == 1 ? p[0] : p[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_character = c;
	return length;
}

/* Characters that move a cursor, start a sequence or hide what stands where. */
static bool harmful(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

char *escape(const char *untrusted_text, size_t length, enum escape how)
{
	const unsigned char *p = (const unsigned char *)untrusted_text, *end = p + length;
	size_t size = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		abort();
	while (p < end) {
		uint32_t c = 0;
		size_t n = decode(p, (size_t)(end - p), &c);

		if (n == 0) {
			if (how == ESCAPE_JSON)
				fputs("\\ufffd", out);
			else
				fprintf(out, "\\x%02x", *p);
			n = 1;
		} else if (harmful(c) && !(how == ESCAPE_JSON && c == '\n')) {
			fprintf(out, c < 0x100 && how == ESCAPE_TEXT ? "\\x%02x" : "\\u%04x", c);
		} else {
			fwrite(p, 1, n, out);
		}
		p += n;
	}
	if (fclose(out))
		abort();
	return text;
}

static void line(FILE *to, const char *prefix, const char *format, va_list arguments)
	printf_like(3, 0);
static void line(FILE *to, const char *prefix, const char *format, va_list arguments)
{
	cleanup(cleanup_free) char *text = NULL, *escaped = NULL;
	int length = vasprintf(&text, format, arguments);

	if (length < 0)
		abort();
	escaped = escape(text, (size_t)length, ESCAPE_TEXT);
	fprintf(to, "%s%s\n", prefix, escaped);
}

void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	line(stdout, "", format, arguments);
	va_end(arguments);
}

void complain(const char *format, ...)
{
	va_list arguments;

	/* In the order in which it happened, where both go to the same place. */
	fflush(stdout);
	va_start(arguments, format);
	line(stderr, "ccbuf-client: ", format, arguments);
	va_end(arguments);
}

void say_json(struct json_object *object, bool indented)
{
	cleanup(cleanup_free) char *escaped = NULL;
	size_t length;
	const char *text = json_object_to_json_string_length(object,
		JSON_C_TO_STRING_NOSLASHESCAPE |
			(indented ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED
				  : JSON_C_TO_STRING_PLAIN),
		&length);

	escaped = escape(text, length, ESCAPE_JSON);
	puts(escaped);
}

int finish(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	complain("cannot write the output: %m");
	return EXIT_FAILED;
}

/* Whether a reason says "rule NAME" already, in quotes or not: a name alone may be part of any
 * word.
 */
static bool names_rule(const char *reason, const char *rule)
{
	size_t length = strlen(rule);

	for (const char *p = reason; (p = strstr(p, "rule ")); p++) {
		const char *name = p + strlen("rule ");

		name += *name == '"';
		if (strncmp(name, rule, length) == 0 &&
			(!name[length] || strchr("\" ,;:)", name[length])))
			return true;
	}
	return false;
}

int say_refusal(unsigned int verdict, const char *rule, const char *reason, bool json)
{
	const char *name = verdict_name(verdict), *words = verdict_words(verdict);

	if (!name)
		name = "unknown";
	if (!words)
		words = "A later version of ccbuf may know this verdict.";
	if (json) {
		cleanup(cleanup_json) struct json_object *object = json_object_new_object();

		json_object_object_add(object, "verdict", json_object_new_string(name));
		json_object_object_add(object, "code", json_object_new_uint64(verdict));
		if (rule && *rule)
			json_object_object_add(object, "rule", json_object_new_string(rule));
		json_object_object_add(object, "reason", json_object_new_string(reason));
		json_object_object_add(object, "words", json_object_new_string(words));
		say_json(object, false);
	}
	if (rule && *rule && !names_rule(reason, rule))
		complain("refused (%s): %s (rule %s)", name, reason, rule);
	else
		complain("refused (%s): %s", name, reason);
	complain("%s", words);
	return finish(EXIT_REFUSED);
}

const char *member_text(struct json_object *object, const char *key)
{
	const char *text = json_object_get_string(json_object_object_get(object, key));

	return text ? text : "";
}

uint64_t member_number(struct json_object *object, const char *key)
{
	return json_object_get_uint64(json_object_object_get(object, key));
}

bool member_true(struct json_object *object, const char *key)
{
	return json_object_get_boolean(json_object_object_get(object, key));
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What ccbuf-client prints: escaping, lines, JSON, refusals. It must never let a control character
 * from outside through.
 */
#include "output.h"

#include <stdarg.h>
#include <stdio.h>

#include "client.h"
#include "verdict.h"

char *escape(const char *untrusted_text, unsigned int form)
{
	char *text = text_new(untrusted_text, form);

	if (!text)
		abort();
	return text;
}

/* The texts that shown_name() returned: few, as plain names need no copy. */
struct kept {
	struct kept *next;
	char *text;
};

const char *shown_name(const char *untrusted_name)
{
	static struct kept *all;
	struct kept *kept;

	if (text_stays(untrusted_name, TEXT_NAME | TEXT_VISIBLE))
		return untrusted_name;
	kept = malloc(sizeof(*kept));
	if (!kept)
		abort();
	*kept = (struct kept){ all, escape(untrusted_name, TEXT_NAME | TEXT_VISIBLE) };
	all = kept;
	return kept->text;
}

struct json_object *json_name(const char *untrusted_name)
{
	cleanup(cleanup_free) char *text = escape(untrusted_name, TEXT_NAME);

	return json_object_new_string(text);
}

char *format_text(const char *format, va_list arguments)
{
	char *text;

	if (vasprintf(&text, format, arguments) < 0)
		abort();
	return text;
}

static void line(FILE *to, const char *prefix, const char *format, va_list arguments)
	printf_like(3, 0);
static void line(FILE *to, const char *prefix, const char *format, va_list arguments)
{
	cleanup(cleanup_free) char *text = format_text(format, arguments);
	cleanup(cleanup_free) char *escaped = escape(text, TEXT_VISIBLE);

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

	/* Keeps the order where both go to the same place. */
	fflush(stdout);
	va_start(arguments, format);
	line(stderr, "ccbuf-client: ", format, arguments);
	va_end(arguments);
}

void say_json(struct json_object *object, bool indented)
{
	const char *text = json_object_to_json_string_ext(
		object, JSON_C_TO_STRING_NOSLASHESCAPE |
				(indented ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED
					  : JSON_C_TO_STRING_PLAIN));
	cleanup(cleanup_free) char *escaped = escape(text, TEXT_JSON | TEXT_LINES);

	puts(escaped);
}

int finish(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	complain("cannot write the output: %m");
	return EXIT_FAILED;
}

/* Whether a reason contains "rule NAME" already, in quotes or not: a name alone may be part of any
 * word. */
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

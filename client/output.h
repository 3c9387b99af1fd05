/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What ccbuf-client prints. All text for people passes through here, so no byte from outside
 * reaches a terminal as a control character.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <json-c/json.h>

#include "text.h"
#include "util.h"

static inline void cleanup_json(struct json_object **object)
{
	json_object_put(*object);
}

/* A formatted text, for the caller to free. */
char *format_text(const char *format, va_list arguments) printf_like(1, 0);

/* Text in a form of text.h, for the caller to free. */
char *escape(const char *untrusted_text, unsigned int form);

/* A name from outside (an argument, a path) for a message: all of it is visible, and it differs
 * from every other name. Texts of ccbufd contain such names already. Valid until the end of the
 * process. */
const char *shown_name(const char *untrusted_name);
/* The same as a JSON string. */
struct json_object *json_name(const char *untrusted_name);

/* Print one line without invisible characters: to stdout; or to stderr after "ccbuf-client: ". */
void say(const char *format, ...) printf_like(1, 2);
void complain(const char *format, ...) printf_like(1, 2);

/* Prints an object to stdout: on one line, or indented. */
void say_json(struct json_object *object, bool indented);

/*
 * Prints rows (an array of arrays of strings, the first one the headings) in columns. Columns
 * without any content below the heading are left out.
 */
void say_table(struct json_object *rows);

/* Flushes stdout. Returns code, or EXIT_FAILED after reporting that something could not be
 * written. */
int finish(int code);

/* Prints a refusal: in words to stderr and, with json, as an object to stdout. rule may be empty or
 * NULL; the reason may name it, too. EXIT_REFUSED. */
int say_refusal(unsigned int verdict, const char *rule, const char *reason, bool json);

/* A member of an object as a string ("" when it has none), number or truth value. */
const char *member_text(struct json_object *object, const char *key);
uint64_t member_number(struct json_object *object, const char *key);
bool member_true(struct json_object *object, const char *key);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What ccbuf-client prints. Everything that people read passes through here, and with it the rule
 * that no byte from outside reaches a terminal as a control character.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <json-c/json.h>

#include "util.h"

static inline void cleanup_json(struct json_object **object)
{
	json_object_put(*object);
}

/*
 * The text with control characters (C0, DEL, C1, and those that turn the direction of text) and
 * invalid UTF-8 escaped: as \xNN and \uNNNN for people, as JSON escapes in a JSON text, whose line
 * feeds stay. The caller frees it.
 */
enum escape { ESCAPE_TEXT, ESCAPE_JSON };
char *escape(const char *untrusted_text, size_t length, enum escape how);

/* Print one line, escaped as a whole, to stdout, and to stderr after "ccbuf-client: ". */
void say(const char *format, ...) printf_like(1, 2);
void complain(const char *format, ...) printf_like(1, 2);

/* Prints an object to stdout: on one line, or indented. */
void say_json(struct json_object *object, bool indented);

/*
 * Prints rows (an array of arrays of strings, the first one the headings) in columns. Columns
 * without any content below the heading are left out.
 */
void say_table(struct json_object *rows);

/* Flushes stdout. code, or EXIT_FAILED, complained, when something could not be written. */
int finish(int code);

/* Tells a refusal: on stderr in words, and on stdout as an object if json. EXIT_REFUSED. rule may
 * be empty or NULL; the reason may name it too. */
int say_refusal(unsigned int verdict, const char *rule, const char *reason, bool json);

/* A member of an object as a string ("" when it has none), number or truth value. */
const char *member_text(struct json_object *object, const char *key);
uint64_t member_number(struct json_object *object, const char *key);
bool member_true(struct json_object *object, const char *key);

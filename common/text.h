/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text from outside, and the one form in which all of ccbuf shows it.
 *
 * What others can name (paths, cgroups, units, labels, files, keys) is any bytes but NUL. Bytes
 *that are no text, and characters that nobody can see, are written as escapes:
 *
 *	\xNN		a byte that is no UTF-8, or a control character of ASCII
 *	\uNNNN		another character that cannot be seen; \UNNNNNNNN beyond U+FFFF
 *	\x5c		a backslash that would begin what reads like one of these
 *
 * The digits are lower-case. A backslash else is itself, as the names of systemd's units hold them
 * (foo\x2dbar: \x2d is none of the above). So two names that differ are never written alike, unless
 * they were cut, and text that is plain stays as it is, byte for byte.
 *
 * All texts end with a NUL. Nothing here looks at the locale.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

/* What becomes of a text; flags. 0 makes it valid UTF-8, and no more. */
enum text_form {
	/* A name as it came: backslashes that would begin an escape are escaped. Never for text of
	 * our own, which may hold escapes already. */
	TEXT_NAME = 1 << 0,
	/* Characters that cannot be seen are escaped: one line that a terminal can be sent. */
	TEXT_VISIBLE = 1 << 1,
	/* To stand within the quotes of a JSON string, on one line. What cannot be seen is escaped
	 * as JSON has it, so that the string's value is the text in the form 0 or TEXT_NAME. */
	TEXT_JSON_STRING = 1 << 2,
	/* The text is JSON, quotes and all, as a library wrote it. */
	TEXT_JSON = 1 << 3,
	/* Line feeds stay: the text has lines of its own. */
	TEXT_LINES = 1 << 4,
	/* Line feeds become "; ". */
	TEXT_JOINED = 1 << 5,
};

/* The length of the UTF-8 sequence that a text begins with: 1 to 4 (a NUL is one of 1), or 0 when
 * it is not well-formed: cut, overlong, a surrogate, beyond U+10FFFF. */
size_t text_decode(const char *untrusted_text, uint32_t *ret_character);

/*
 * Whether a character can be shown as it is. Not so: what moves the cursor or begins a sequence
 * (C0, DEL, C1), ends a line (U+2028, U+2029), turns or joins what stands beside it (Unicode's
 * category Cf: the bidirectional controls, zero-width characters, tags, interlinear annotations),
 * picks another shape without showing (variation selectors, in which text can be hidden), is blank
 * but no space (U+00A0, U+3000, fillers), or looks as some font will have it (private use). Letters
 * that look like others, marks that are piled up and characters not assigned yet are shown: all of
 * these depend on who reads.
 */
bool text_visible(uint32_t character);

#define TEXT_STEP_MAX 12 /* bytes that one character can become */
/* Writes what the first character of a text (or byte, where it is no UTF-8) becomes, and moves the
 * text behind it. Returns the bytes written, without a NUL. Not at the end of the text.
 * Noncharacters (U+FFFE) and a part of private use count as bytes that are no UTF-8, as libraries
 * on the way would lose them. */
size_t text_step(const char **untrusted_text, unsigned int form, char to[static TEXT_STEP_MAX]);

/* Whether the form leaves all of a text as it is. */
bool text_stays(const char *untrusted_text, unsigned int form);

/* The text in a form, to be freed; NULL when out of memory. */
char *text_new(const char *untrusted_text, unsigned int form);

/* The text in a form, as far as it fits a buffer of size bytes (at least 4), NUL included. What
 * does not fit is replaced by "...", never in the middle of a character or of an escape. Returns
 * the buffer. */
const char *text_fit(const char *untrusted_text, unsigned int form, char *buffer, size_t size);

/* snprintf() that cuts as text_fit() does, to at least 4 bytes. What is put in stays as it is. */
void text_format(char *buffer, size_t size, const char *format, ...) printf_like(3, 4);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text from outside, and the one form in which all of ccbuf shows it.
 *
 * Names that others choose (paths, cgroups, units, labels, files, keys) may have any bytes but NUL.
 * Bytes that are not text, and invisible characters, are written as escapes:
 *
 *	\xNN		a byte that is not UTF-8, or a control character of ASCII
 *	\uNNNN		another invisible character; \UNNNNNNNN beyond U+FFFF
 *	\x5c		a backslash that would begin one of these
 *
 * The digits are lower-case. Any other backslash stands for itself, as names of systemd units
 * contain some (foo\x2dbar: \x2d is none of the above). So two different names are never written
 * alike, unless they were cut, and plain text does not change.
 *
 * All texts end with a NUL. Nothing here looks at the locale.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

/* How a text is written; flags. 0 only makes it valid UTF-8. */
enum text_form {
	/* A name from outside: backslashes that would begin an escape are escaped. Not for text of
	 * our own, which may contain escapes already. */
	TEXT_NAME = 1 << 0,
	/* Invisible characters are escaped: the result is one line that is safe for a terminal. */
	TEXT_VISIBLE = 1 << 1,
	/* For use within the quotes of a JSON string, on one line. Invisible characters become JSON
	 * escapes, so that the value of the string is the text in the form 0 or TEXT_NAME. */
	TEXT_JSON_STRING = 1 << 2,
	/* The text is complete JSON, as a library wrote it. */
	TEXT_JSON = 1 << 3,
	/* Line feeds stay: the text has lines of its own. */
	TEXT_LINES = 1 << 4,
	/* Line feeds become "; ". */
	TEXT_JOINED = 1 << 5,
};

/* The length of the UTF-8 sequence at the beginning of a text: 1 to 4 (1 for a NUL), or 0 when it
 * is not well-formed: cut, overlong, a surrogate, beyond U+10FFFF. */
size_t text_decode(const char *untrusted_text, uint32_t *ret_character);

/*
 * Whether a character can be shown as it is. False for characters that move the cursor or begin a
 * sequence (C0, DEL, C1); end a line (U+2028, U+2029); change the direction or joining of their
 * neighbours (Unicode's category Cf: bidirectional controls, zero-width characters, tags,
 * interlinear annotations); select another shape invisibly (variation selectors, which can hide
 * text); are blank but not a space (U+00A0, U+3000, fillers); or look as a font decides (private
 * use). Letters that look like others, stacked marks and unassigned characters are shown: their
 * look depends on the reader.
 */
bool text_visible(uint32_t character);

#define TEXT_STEP_MAX 12 /* bytes that one character can become */
/* Writes the form of the first character of a text (or byte, where it is not UTF-8), and moves the
 * text past it. Returns the number of bytes written, without a NUL. Not to be called at the end of
 * the text. Noncharacters (U+FFFE) and a part of private use count as bytes that are not UTF-8, as
 * libraries would lose them. */
size_t text_step(const char **untrusted_text, unsigned int form, char to[static TEXT_STEP_MAX]);

/* Whether the form leaves a text unchanged. */
bool text_stays(const char *untrusted_text, unsigned int form);

/* The text in a form; the caller frees it. NULL when out of memory. */
char *text_new(const char *untrusted_text, unsigned int form);

/* Writes the text in a form, as far as it fits a buffer of size bytes (at least 4), NUL included.
 * The rest is replaced by "...", never in the middle of a character or an escape. Returns the
 * buffer. */
const char *text_fit(const char *untrusted_text, unsigned int form, char *buffer, size_t size);

/* snprintf() that cuts as text_fit() does; size is at least 4. The arguments are not escaped. */
void text_format(char *buffer, size_t size, const char *format, ...) printf_like(3, 4);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Explains why the trail cannot be opened or written.
 */
#pragma once

#include <stddef.h>

/* Room for the words; long names are cut. */
#define AUDIT_TROUBLE_TEXT 512

/* Writes what is wrong with the file path, for which user, and what to do. error is the negative
 * errno of opening or writing it. It looks at the files, so it may block. */
void audit_trouble_words(const char *path, int error, char *text, size_t size);

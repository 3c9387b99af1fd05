/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Why the trail cannot be had, in words.
 */
#pragma once

#include <stddef.h>

/* Room for the words; long names are cut. */
#define AUDIT_TROUBLE_TEXT 512

/* What is wrong with the file path, given the negative errno of opening or writing it, for whom,
 * and what to do. It looks at the files, so it may block. */
void audit_trouble_words(const char *path, int error, char *text, size_t size);

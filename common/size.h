/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sizes as people write them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * "4096", "64K", "256M", "2G", "1T" (powers of 1024; an "iB" after the letter is allowed) to bytes.
 * No sign, no fraction, no white space. Returns 0; -EINVAL for another form; -ERANGE when it does
 * not fit 64 bits.
 */
int size_parse(const char *untrusted_text, uint64_t *ret_bytes);

#define SIZE_TEXT_MAX 32
/* The exact inverse with the largest unit that divides it: 65536 gives "64K". Returns text. */
const char *size_format(uint64_t bytes, char text[static SIZE_TEXT_MAX]);

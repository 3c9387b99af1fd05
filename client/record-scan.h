/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a line of the trail has the form that ccbufd writes: one JSON object, nothing beside it,
 * no key twice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Levels of nested objects and arrays. */
#define RECORD_SCAN_DEPTH 8
/* Keys of one object. */
#define RECORD_SCAN_KEYS 64

bool record_scan(const char *untrusted_line, size_t length);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events as JSON text: the part of a record that does not depend on its place in the chain.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "audit/fields.h"

/* Texts from outside are cut at this many bytes of a record. U+2026 marks the cut; the SHA-256 of a
 * whole name follows. Groups beyond the maximum are left out, and "gids-cut":true says so. */
#define AUDIT_FORMAT_TEXT_MAX	4096
#define AUDIT_FORMAT_GROUPS_MAX 1024
/* The maximum of a body. */
#define AUDIT_FORMAT_BODY_MAX (128u << 10)

struct audit_format {
	char boot[33];	    /* boot id, hex */
	int64_t second;	    /* the second that text shows; -1 for none */
	char text[32];	    /* "2026-11-21T05:12:50" */
	size_t text_length; /* 19 until the year 10000 */
};

/* Reads the boot id: 0 or a negative errno. */
int audit_format_init(struct audit_format *format);

/*
 * Writes the body of a record, from "time" to the closing brace and a newline, without a NUL. It is
 * one line of valid JSON, whatever the bytes from outside are. Both clocks are in microseconds. At
 * most REQUEST_COUNT_MAX buffers. Returns the bytes written.
 */
size_t audit_format_body(struct audit_format *format, const struct audit_fields *fields,
	uint64_t realtime, uint64_t boottime, char body[static AUDIT_FORMAT_BODY_MAX]);

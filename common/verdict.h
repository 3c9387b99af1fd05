/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The outcome of a request: enum ccbuf_verdict of ccbuf.h, in words. The numbers and the names are
 * stable: they are the codes of the socket protocol and of the audit trail, and (in CamelCase) the
 * last part of the D-Bus error name org.ccbuf.Broker1.Error.NAME.
 *
 * A refusal is a verdict, not an error: functions that fail themselves return a negative errno.
 */
#pragma once

#include <stdbool.h>

#include "ccbuf.h"

/* One more than the last: of an event, no verdict or not one only. */
#define VERDICT_MAX_ (CCBUF_INTERNAL + 1)

/* "granted", "unknown-use", ...; NULL for a number that is no verdict. Never freed. */
const char *verdict_name(unsigned int verdict);

/* The same in CamelCase for a D-Bus error name: "UnknownUse". NULL for a number that is none. */
const char *verdict_error_name(unsigned int verdict);

/* What the verdict means and what to do, as one sentence. NULL for a number that is none. */
const char *verdict_words(unsigned int verdict);

/* The verdict of a name ("unknown-use") or an error name ("UnknownUse"); -1 for any other. */
int verdict_from_name(const char *name);

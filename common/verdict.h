/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The outcome of a request. The numbers and the names are stable: they are the codes of the socket
 * protocol, of libccbuf's enum ccbuf_verdict and of the audit trail, and (in CamelCase) the last
 * part of the D-Bus error name org.ccbuf.Broker1.Error.NAME. New ones are added at the end.
 *
 * A refusal is a verdict, not an error: functions that fail themselves return a negative errno.
 */
#pragma once

#include <stdbool.h>

enum verdict {
	VERDICT_GRANTED = 0,
	VERDICT_MALFORMED = 1,	      /* the request could not be understood */
	VERDICT_UNKNOWN_USE = 2,      /* no use of that name that the peer may have */
	VERDICT_DENIED = 3,	      /* a deny rule matched */
	VERDICT_NO_RULE = 4,	      /* no rule matched: default deny */
	VERDICT_CONSENT_REQUIRED = 5, /* shared memory asked for without accept-shared */
	VERDICT_BAD_SIZE = 6,	      /* size or count is zero or overflows */
	VERDICT_BUFFER_LIMIT = 7,     /* one buffer is larger than the rule allows */
	VERDICT_BYTES_LIMIT = 8,      /* the bytes of a rule, user or of all would exceed a limit */
	VERDICT_BUFFERS_LIMIT = 9,    /* likewise the number of buffers */
	VERDICT_RATE_LIMIT = 10,      /* too many requests a second */
	VERDICT_HEAP_UNAVAILABLE = 11, /* the heap is not there, or its exposure is not known */
	VERDICT_OUT_OF_MEMORY = 12,    /* the heap has no such amount of memory now */
	VERDICT_AUDIT_FAILED = 13,     /* the record could not be written, nothing was handed out */
	VERDICT_IDENTITY_CHANGED = 14, /* the peer died, or is another program than at connect */
	VERDICT_BUSY = 15,	       /* too many requests of this peer are in flight */
	VERDICT_UNSUPPORTED = 16,      /* the heap cannot do what is asked: an option, or revoke */
	VERDICT_UNKNOWN_GRANT = 17,    /* no live grant of the peer, or (revoke) none at all */
	VERDICT_NOT_PERMITTED = 18,    /* the call is for root and group ccbuf-admin */
	VERDICT_INTERNAL = 19,	       /* the daemon failed; its journal says why */
	VERDICT_MAX_
};

/* "granted", "unknown-use", ...; NULL for a number that is no verdict. Never freed. */
const char *verdict_name(unsigned int verdict);

/* The same in CamelCase for a D-Bus error name: "UnknownUse". NULL for a number that is none. */
const char *verdict_error_name(unsigned int verdict);

/* What it means and what to do, as one sentence. NULL for a number that is none. */
const char *verdict_words(unsigned int verdict);

/* The verdict of a name ("unknown-use") or of an error name ("UnknownUse"); -1 when neither. */
int verdict_from_name(const char *name);

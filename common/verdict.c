/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names and texts of the verdicts.
 */
#include "verdict.h"

#include <stddef.h>

#include "util.h"

struct verdict_text {
	const char *name;
	const char *error_name;
	const char *words;
};

static const struct verdict_text texts[VERDICT_MAX_] = {
	[CCBUF_GRANTED] = { "granted", "Granted", "A rule of the policy allows this." },
	[CCBUF_MALFORMED] = { "malformed", "Malformed",
		"The request could not be understood; client and daemon may be of different "
		"versions." },
	[CCBUF_UNKNOWN_USE] = { "unknown-use", "UnknownUse",
		"There is no such use for this process; uses are defined in the policy." },
	[CCBUF_DENIED] = { "denied", "Denied", "A rule of the policy denies this." },
	[CCBUF_NO_RULE] = { "no-rule", "NoRule",
		"No rule of the policy allows this process that use." },
	[CCBUF_CONSENT_REQUIRED] = { "consent-required", "ConsentRequired",
		"The host can read this memory; ask again with accept-shared if that is meant." },
	[CCBUF_BAD_SIZE] = { "bad-size", "BadSize",
		"The size or the number of buffers is zero or too large to count." },
	[CCBUF_BUFFER_LIMIT] = { "buffer-limit", "BufferLimit",
		"The buffer exceeds the rule's size limit." },
	[CCBUF_BYTES_LIMIT] = { "bytes-limit", "BytesLimit",
		"The memory granted would exceed a limit; release some or raise the limit." },
	[CCBUF_BUFFERS_LIMIT] = { "buffers-limit", "BuffersLimit",
		"The number of buffers would exceed a limit; release some or raise the limit." },
	[CCBUF_RATE_LIMIT] = { "rate-limit", "RateLimit",
		"Requests come faster than the rule allows; wait and ask again." },
	[CCBUF_HEAP_UNAVAILABLE] = { "heap-unavailable", "HeapUnavailable",
		"The heap of this use is not available; ccbuf-client doctor says more." },
	[CCBUF_OUT_OF_MEMORY] = { "out-of-memory", "OutOfMemory",
		"The heap does not have that amount of memory now." },
	[CCBUF_AUDIT_FAILED] = { "audit-failed", "AuditFailed",
		"The audit record could not be written, so nothing was handed out." },
	[CCBUF_IDENTITY_CHANGED] = { "identity-changed", "IdentityChanged",
		"The process is no longer the one that connected; connect again." },
	[CCBUF_BUSY] = { "busy", "Busy",
		"Too many requests are in flight; wait for replies before asking again." },
	[CCBUF_UNSUPPORTED] = { "unsupported", "Unsupported",
		"The heap of the buffer cannot do what is requested." },
	[CCBUF_UNKNOWN_GRANT] = { "unknown-grant", "UnknownGrant",
		"There is no such grant, or it belongs to another process." },
	[CCBUF_NOT_PERMITTED] = { "not-permitted", "NotPermitted",
		"Only root and members of group ccbuf-admin may do this." },
	[CCBUF_INTERNAL] = { "internal", "Internal",
		"The daemon failed; its journal says why (journalctl -u ccbufd)." },
};

static const struct verdict_text *find(unsigned int verdict)
{
	return verdict < VERDICT_MAX_ ? &texts[verdict] : NULL;
}

const char *verdict_name(unsigned int verdict)
{
	return find(verdict) ? find(verdict)->name : NULL;
}

const char *verdict_error_name(unsigned int verdict)
{
	return find(verdict) ? find(verdict)->error_name : NULL;
}

const char *verdict_words(unsigned int verdict)
{
	return find(verdict) ? find(verdict)->words : NULL;
}

int verdict_from_name(const char *name)
{
	for (int i = 0; i < VERDICT_MAX_; i++)
		if (streq(texts[i].name, name) || streq(texts[i].error_name, name))
			return i;
	return -1;
}

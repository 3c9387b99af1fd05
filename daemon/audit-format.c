/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events to JSON, by hand because it is on the path of every grant. It must never let a byte from
 * outside end a string, a record or a line, nor change how a terminal shows the trail.
 */
#include "audit-format.h"

#include <assert.h>
#include <systemd/sd-id128.h>
#include <time.h>

#include "chain.h"
#include "text.h"
#include "util.h"

/* Where the next byte goes. There is always room: every part has a maximum, and
 * AUDIT_FORMAT_BODY_MAX is more than their sum. */
struct out {
	char *at;
};

#define LITERAL(out, text) bytes(out, text, sizeof(text) - 1)

static void bytes(struct out *out, const char *from, size_t length)
{
	memcpy(out->at, from, length);
	out->at += length;
}

static void decimal(struct out *out, uint64_t value)
{
	char digits[20], *p = digits + sizeof(digits);

	do {
		*--p = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	bytes(out, p, (size_t)(digits + sizeof(digits) - p));
}

/* Bytes that stand for themselves. */
static bool plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* A name that is cut is told from others by its hash. */
static void cut(struct out *out, const char *untrusted_text, unsigned int form)
{
	char hash[CHAIN_HASH_TEXT];

	LITERAL(out, "\\u2026");
	if (!(form & TEXT_NAME))
		return;
	/* What a copy keeps; the kernel's paths are not as long. */
	sha256_text(untrusted_text, strnlen(untrusted_text, AUDIT_FORMAT_TEXT_MAX + 1), hash);
	LITERAL(out, "sha256:");
	bytes(out, hash, sizeof(hash) - 1);
}

static void string(struct out *out, const char *untrusted_text, unsigned int form)
{
	const char *s = untrusted_text, *run, *limit = out->at + AUDIT_FORMAT_TEXT_MAX;

	*out->at++ = '"';
	for (;;) {
		size_t left = out->at < limit ? (size_t)(limit - out->at) : 0;
		const char *rest; /* s stays in a register */

		for (run = s; left && plain((unsigned char)*s); s++)
			left--;
		bytes(out, run, (size_t)(s - run));
		if (!*s)
			break;
		if (!left) {
			cut(out, untrusted_text, form);
			break;
		}
		rest = s;
		out->at += text_step(&rest, form | TEXT_JSON_STRING, out->at);
		s = rest;
	}
	*out->at++ = '"';
}

/* The key in the form ,"key": */
#define FORM(out, key, text, form)                                                                 \
	do {                                                                                       \
		if (text) {                                                                        \
			LITERAL(out, ",\"" key "\":");                                             \
			string(out, text, form);                                                   \
		}                                                                                  \
	} while (0)

/* Words of our own, in which names are escaped already. */
#define TEXT(out, key, text) FORM(out, key, text, 0)
/* As it came. */
#define NAME(out, key, text) FORM(out, key, text, TEXT_NAME)

#define NUMBER(out, key, value)                                                                    \
	do {                                                                                       \
		LITERAL(out, ",\"" key "\":");                                                     \
		decimal(out, value);                                                               \
	} while (0)

#define BOOLEAN(out, key, value)                                                                   \
	do {                                                                                       \
		if (value)                                                                         \
			LITERAL(out, ",\"" key "\":true");                                         \
		else                                                                               \
			LITERAL(out, ",\"" key "\":false");                                        \
	} while (0)

static void clocks(
	struct audit_format *format, struct out *out, uint64_t realtime, uint64_t boottime)
{
	int64_t second = (int64_t)(realtime / 1000000);
	uint32_t fraction = (uint32_t)(realtime % 1000000);
	struct tm tm;

	if (second != format->second) {
		time_t t = second;

		format->text_length = gmtime_r(&t, &tm)
					      ? strftime(format->text, sizeof(format->text),
							"%Y-%m-%dT%H:%M:%S", &tm)
					      : 0;
		format->second = second;
	}
	LITERAL(out, "\"time\":\"");
	bytes(out, format->text, format->text_length);
	*out->at++ = '.';
	for (uint32_t digit = 100000; digit; digit /= 10)
		*out->at++ = (char)('0' + fraction / digit % 10);
	LITERAL(out, "Z\"");
	NUMBER(out, "boottime", boottime);
	LITERAL(out, ",\"boot\":\"");
	bytes(out, format->boot, sizeof(format->boot) - 1);
	*out->at++ = '"';
}

/* The value of "peer" or "by". */
static void process(struct out *out, const struct identity *identity)
{
	size_t n = identity->n_groups < AUDIT_FORMAT_GROUPS_MAX ? identity->n_groups
								: AUDIT_FORMAT_GROUPS_MAX;

	LITERAL(out, "{\"uid\":");
	decimal(out, identity->uid);
	/* Without a process there is a user only: refusals counted together. */
	if (identity->pid > 0) {
		LITERAL(out, ",\"gids\":[");
		decimal(out, identity->gid);
		for (size_t i = 0; i < n; i++) {
			if (identity->groups[i] == identity->gid)
				continue;
			*out->at++ = ',';
			decimal(out, identity->groups[i]);
		}
		*out->at++ = ']';
		if (n < identity->n_groups)
			LITERAL(out, ",\"gids-cut\":true");
		NUMBER(out, "pid", (uint64_t)identity->pid);
	}
	/* Of one that was turned away nobody knows more. */
	if (identity->pid > 0 && !identity->unseen) {
		NUMBER(out, "start", identity->start_time);
		NAME(out, "exe", identity->exe);
		NAME(out, "unit", identity->unit);
		NAME(out, "slice", identity->slice);
		NAME(out, "cgroup", identity->cgroup);
		NAME(out, "label", identity->label);
		BOOLEAN(out, "container", identity->container);
		if (identity->strong)
			LITERAL(out, ",\"identity\":\"strong\"");
		else
			LITERAL(out, ",\"identity\":\"weak\"");
	}
	*out->at++ = '}';
}

static void buffers(struct out *out, const struct audit_event *event)
{
	if (!event->n_buffers)
		return;
	assert(event->n_buffers <= REQUEST_COUNT_MAX);
	LITERAL(out, ",\"buffers\":[");
	for (size_t i = 0; i < event->n_buffers; i++) {
		if (i)
			*out->at++ = ',';
		LITERAL(out, "{\"grant\":");
		decimal(out, event->buffers[i].grant);
		NUMBER(out, "inode", event->buffers[i].inode);
		*out->at++ = '}';
	}
	*out->at++ = ']';
}

static void range(struct out *out, const struct audit_range *records)
{
	LITERAL(out, "{\"first\":");
	decimal(out, records->first);
	NUMBER(out, "last", records->last);
	*out->at++ = '}';
}

static void ranges(struct out *out, const struct audit_event *event)
{
	if (event->n_missing) {
		assert(event->n_missing <= AUDIT_RANGES_MAX);
		LITERAL(out, ",\"missing\":[");
		for (size_t i = 0; i < event->n_missing; i++) {
			if (i)
				*out->at++ = ',';
			range(out, &event->missing[i]);
		}
		*out->at++ = ']';
	}
	if (event->deleted) {
		LITERAL(out, ",\"deleted\":");
		range(out, event->deleted);
	}
}

/* The verdict of an event, NULL when it has none. */
static const char *verdict_of(const struct audit_event *event)
{
	switch (event->kind) {
	case AUDIT_GRANT:
	case AUDIT_DENY:
	case AUDIT_UNDELIVERED:
	case AUDIT_POLICY:
		return verdict_name(event->verdict);
	case AUDIT_ERROR:
	case AUDIT_REVOKE:
		return event->verdict == VERDICT_GRANTED ? NULL : verdict_name(event->verdict);
	case AUDIT_START:
	case AUDIT_STOP:
	case AUDIT_RELEASE:
	case AUDIT_ORPHAN:
	case AUDIT_LEAK:
	case AUDIT_KIND_MAX_:
		break;
	}
	return NULL;
}

int audit_format_init(struct audit_format *format)
{
	sd_id128_t boot;
	int r;

	r = sd_id128_get_boot(&boot);
	if (r < 0)
		return r;
	sd_id128_to_string(boot, format->boot);
	format->second = -1;
	format->text_length = 0;
	return 0;
}

size_t audit_format_body(struct audit_format *format, const struct audit_event *event,
	uint64_t realtime, uint64_t boottime, char body[static AUDIT_FORMAT_BODY_MAX])
{
	const struct request *request = event->request;
	const char *use = request && request->use[0] ? request->use : event->use;
	const char *verdict = verdict_of(event);
	struct out out = { .at = body };

	clocks(format, &out, realtime, boottime);
	TEXT(&out, "event", audit_kind_name(event->kind));
	if (event->peer) {
		LITERAL(&out, ",\"peer\":");
		process(&out, event->peer);
	}
	if (event->by) {
		LITERAL(&out, ",\"by\":");
		process(&out, event->by);
	}
	TEXT(&out, "use", use);
	if (request) {
		NAME(&out, "label", request->label[0] ? request->label : NULL);
		BOOLEAN(&out, "accept-shared", request->accept_shared);
		BOOLEAN(&out, "read-only", request->read_only);
		TEXT(&out, "transport", transport_name(request->transport));
	}
	TEXT(&out, "heap", event->heap);
	if (event->exposure != EXPOSURE_UNKNOWN)
		TEXT(&out, "exposure", exposure_name(event->exposure));
	if (event->size || request)
		NUMBER(&out, "size", event->size ? event->size : request->size);
	if (request || event->n_buffers)
		NUMBER(&out, "count", request ? request->count : event->n_buffers);
	buffers(&out, event);
	TEXT(&out, "rule", event->rule);
	TEXT(&out, "verdict", verdict);
	TEXT(&out, "reason", event->reason);
	TEXT(&out, "policy", event->policy);
	if (event->repeated > 1)
		NUMBER(&out, "repeated", event->repeated);
	ranges(&out, event);
	LITERAL(&out, "}\n");
	return (size_t)(out.at - body);
}

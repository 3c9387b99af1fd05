/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events to JSON, by hand because it is on the path of every grant. It must never let a byte from
 * outside end a string, a record or a line, nor change how a terminal shows the trail: what is not
 * plain text leaves as \uXXXX.
 */
#include "audit-format.h"

#include <assert.h>
#include <systemd/sd-id128.h>
#include <time.h>

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

static void unicode(struct out *out, uint32_t c)
{
	static const char hex[] = "0123456789abcdef";

	LITERAL(out, "\\u");
	for (int shift = 12; shift >= 0; shift -= 4)
		*out->at++ = hex[c >> shift & 15];
}

/* Code points that move the cursor, the line or the direction of writing. */
static bool misleading(uint32_t c)
{
	return (c >= 0x80 && c < 0xa0) || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

/* The length of the well-formed UTF-8 sequence (of two bytes or more) that s begins with, 0 when
 * there is none. The terminating NUL is no continuation byte and so ends every check in time. */
static size_t sequence(const unsigned char *s, uint32_t *ret_c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
	uint32_t c;

	if (!length)
		return 0;
	c = s[0] & (0xffu >> (length + 1));
	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret_c = c;
	return length;
}

/* Bytes that stand for themselves. */
static bool plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static const unsigned char *escape(struct out *out, const unsigned char *s)
{
	uint32_t c = 0;
	size_t length;

	if (*s == '"' || *s == '\\') {
		*out->at++ = '\\';
		*out->at++ = (char)*s;
		return s + 1;
	}
	if (*s < 0x80) {
		unicode(out, *s);
		return s + 1;
	}
	length = sequence(s, &c);
	if (!length) {
		unicode(out, 0xfffd);
		return s + 1;
	}
	if (misleading(c))
		unicode(out, c);
	else
		bytes(out, (const char *)s, length);
	return s + length;
}

static void string(struct out *out, const char *untrusted_text)
{
	const unsigned char *s = (const unsigned char *)untrusted_text, *run;
	const char *limit = out->at + AUDIT_FORMAT_TEXT_MAX;

	*out->at++ = '"';
	for (;;) {
		size_t left = out->at < limit ? (size_t)(limit - out->at) : 0;

		for (run = s; left && plain(*s); s++)
			left--;
		bytes(out, (const char *)run, (size_t)(s - run));
		if (!*s)
			break;
		if (!left) {
			unicode(out, 0x2026);
			break;
		}
		s = escape(out, s);
	}
	*out->at++ = '"';
}

/* The key in the form ,"key": */
#define TEXT(out, key, text)                                                                       \
	do {                                                                                       \
		if (text) {                                                                        \
			LITERAL(out, ",\"" key "\":");                                             \
			string(out, text);                                                         \
		}                                                                                  \
	} while (0)

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
		NUMBER(out, "start", identity->start_time);
		TEXT(out, "exe", identity->exe);
		TEXT(out, "unit", identity->unit);
		TEXT(out, "slice", identity->slice);
		TEXT(out, "cgroup", identity->cgroup);
		TEXT(out, "label", identity->label);
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
		TEXT(&out, "label", request->label[0] ? request->label : NULL);
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
	LITERAL(&out, "}\n");
	return (size_t)(out.at - body);
}

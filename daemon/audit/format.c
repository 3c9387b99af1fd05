/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fields to JSON, by hand because every grant needs it. It must never let a byte from outside end a
 * string, a record or a line, nor change how a terminal shows the trail.
 */
#include "audit/format.h"

#include <assert.h>
#include <systemd/sd-id128.h>
#include <time.h>

#include "chain.h"
#include "text.h"
#include "util.h"

/* The place of the next byte. There is always room: every part has a maximum, and
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

/* Whether a byte needs no escape. */
static bool plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* The hash distinguishes a cut name from others. */
static void cut(struct out *out, const char *untrusted_text, unsigned int form)
{
	char hash[CHAIN_HASH_TEXT];

	LITERAL(out, "\\u2026");
	if (!(form & TEXT_NAME))
		return;
	/* As much as a copy keeps; the kernel's paths are shorter. */
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

static void key(struct out *out, const char *name)
{
	*out->at++ = '"';
	bytes(out, name, strlen(name));
	LITERAL(out, "\":");
}

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
	LITERAL(out, "Z\",\"boottime\":");
	decimal(out, boottime);
	LITERAL(out, ",\"boot\":\"");
	bytes(out, format->boot, sizeof(format->boot) - 1);
	*out->at++ = '"';
}

static void groups(struct out *out, const struct audit_field *field)
{
	size_t n =
		field->number < AUDIT_FORMAT_GROUPS_MAX ? field->number : AUDIT_FORMAT_GROUPS_MAX;
	const gid_t *others = field->at;

	*out->at++ = '[';
	decimal(out, field->gid);
	for (size_t i = 0; i < n; i++) {
		if (others[i] == field->gid)
			continue;
		*out->at++ = ',';
		decimal(out, others[i]);
	}
	*out->at++ = ']';
	if (n < field->number)
		LITERAL(out, ",\"gids-cut\":true");
}

/* {"first":1,"second":2} */
static void pair(struct out *out, const char *first, uint64_t one, const char *second, uint64_t two)
{
	*out->at++ = '{';
	key(out, first);
	decimal(out, one);
	*out->at++ = ',';
	key(out, second);
	decimal(out, two);
	*out->at++ = '}';
}

static void buffers(struct out *out, const struct audit_field *field)
{
	const struct audit_buffer *buffer = field->at;

	assert(field->number <= REQUEST_COUNT_MAX);
	for (size_t i = 0; i < field->number; i++) {
		*out->at++ = i ? ',' : '[';
		pair(out, "grant", buffer[i].grant, "inode", buffer[i].inode);
	}
	*out->at++ = ']';
}

static void ranges(struct out *out, const struct audit_field *field)
{
	const struct audit_range *range = field->at;

	assert(field->number <= AUDIT_RANGES_MAX);
	for (size_t i = 0; i < field->number; i++) {
		*out->at++ = i ? ',' : '[';
		pair(out, "first", range[i].first, "last", range[i].last);
	}
	*out->at++ = ']';
}

static void value(struct out *out, const struct audit_field *field)
{
	const struct audit_range *range = field->at;

	switch (field->type) {
	case AUDIT_NUMBER:
		decimal(out, field->number);
		break;
	case AUDIT_BOOLEAN:
		if (field->number)
			LITERAL(out, "true");
		else
			LITERAL(out, "false");
		break;
	case AUDIT_WORDS:
		string(out, field->at, 0);
		break;
	case AUDIT_NAME:
		string(out, field->at, TEXT_NAME);
		break;
	case AUDIT_GROUPS:
		groups(out, field);
		break;
	case AUDIT_BUFFERS:
		buffers(out, field);
		break;
	case AUDIT_RANGES:
		ranges(out, field);
		break;
	case AUDIT_RANGE:
		pair(out, "first", range->first, "last", range->last);
		break;
	}
}

/* Writes what separates two fields, each of which may be part of an object. */
static void between(struct out *out, enum audit_object before, enum audit_object now)
{
	static const char *const objects[] = { [AUDIT_PEER] = "peer", [AUDIT_BY] = "by" };

	if (before != now && before != AUDIT_RECORD)
		*out->at++ = '}';
	*out->at++ = ',';
	if (before != now && now != AUDIT_RECORD) {
		key(out, objects[now]);
		*out->at++ = '{';
	}
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

size_t audit_format_body(struct audit_format *format, const struct audit_fields *fields,
	uint64_t realtime, uint64_t boottime, char body[static AUDIT_FORMAT_BODY_MAX])
{
	enum audit_object in = AUDIT_RECORD;
	struct out out = { .at = body };

	clocks(format, &out, realtime, boottime);
	for (size_t i = 0; i < fields->n; i++) {
		const struct audit_field *field = &fields->all[i];

		between(&out, in, field->in);
		in = field->in;
		key(&out, field->key);
		value(&out, field);
	}
	if (in != AUDIT_RECORD)
		*out.at++ = '}';
	LITERAL(&out, "}\n");
	return (size_t)(out.at - body);
}

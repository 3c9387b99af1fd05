/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text and the fields of a journal entry. It runs in the journal's thread only. It must never
 * pass on a byte that controls a terminal: MESSAGE is shown as it is, and so are the fields in the
 * catalog's text.
 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "audit/message.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

#include "size.h"
#include "text.h"
#include "util.h"

#define FIELDS_MAX     (AUDIT_FIELDS_MAX + 5 + 2 * REQUEST_COUNT_MAX)
#define FIELD_NAME_MAX 32
/* Room for all fields but the long texts, each at its maximum. */
#define ROOM	    (12u << 10)
#define MESSAGE_MAX 1024

struct message {
	struct iovec fields[FIELDS_MAX];
	int n;
	char *owned[FIELDS_MAX]; /* long texts */
	int n_owned;
	size_t used;
	char room[ROOM];
};

static printf_like(2, 3) void add(struct message *message, const char *format, ...)
{
	char *at = message->room + message->used;
	size_t left = ROOM - message->used;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(at, left, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	if ((size_t)length >= left) {
		va_start(arguments, format);
		length = vasprintf(&at, format, arguments);
		va_end(arguments);
		if (length < 0)
			return;
		message->owned[message->n_owned++] = at;
	} else {
		message->used += (size_t)length;
	}
	message->fields[message->n++] = (struct iovec){ .iov_base = at, .iov_len = (size_t)length };
}

static void add_form(
	struct message *message, const char *field, const char *text, unsigned int form)
{
	cleanup(cleanup_free) char *escaped = NULL;

	if (!text || !text[0])
		return;
	if (!text_stays(text, form)) {
		escaped = text_new(text, form);
		text = escaped ? escaped : "?";
	}
	add(message, "%s=%s", field, text);
}

/* Adds a text of the daemon's; names in it are escaped already. */
static void add_text(struct message *message, const char *field, const char *text)
{
	add_form(message, field, text, TEXT_VISIBLE | TEXT_LINES);
}

/* Adds a name from outside, not escaped. */
static void add_name(struct message *message, const char *field, const char *untrusted_name)
{
	add_form(message, field, untrusted_name, TEXT_NAME | TEXT_VISIBLE);
}

/* "?" for NULL. */
static const char *shown(const char *untrusted_name, char *buffer, size_t size)
{
	return text_fit(
		untrusted_name ? untrusted_name : "?", TEXT_NAME | TEXT_VISIBLE, buffer, size);
}

static const char *text_of(const struct audit_fields *fields, const char *key)
{
	return audit_fields_text(fields, AUDIT_RECORD, key);
}

/* "user 1000, process 17 (mpi@3.service)" */
static void whom(const struct audit_fields *fields, enum audit_object in, char *text, size_t size)
{
	const char *program = audit_fields_text(fields, in, "unit");
	uint64_t pid = audit_fields_number(fields, in, "pid");
	uint64_t uid = audit_fields_number(fields, in, "uid");
	char name[128];

	if (!program)
		program = audit_fields_text(fields, in, "exe");
	if (in == AUDIT_PEER && !fields->has_uid)
		snprintf(text, size, "an unknown peer");
	else if (!pid)
		snprintf(text, size, "user %" PRIu64, uid);
	else if (program)
		text_format(text, size, "user %" PRIu64 ", process %" PRIu64 " (%s)", uid, pid,
			shown(program, name, sizeof(name)));
	else
		snprintf(text, size, "user %" PRIu64 ", process %" PRIu64, uid, pid);
}

/* "2 buffers of 64K of heap system_cc_shared (shared)" */
static void what(const struct audit_fields *fields, char *text, size_t size)
{
	const char *heap = text_of(fields, "heap"), *exposure = text_of(fields, "exposure");
	uint64_t n = audit_fields_number(fields, AUDIT_RECORD, "count");
	char bytes[SIZE_TEXT_MAX], name[128];

	n = n ? n : 1;
	text_format(text, size, "%" PRIu64 " %s of %s%s%s%s%s%s", n, n == 1 ? "buffer" : "buffers",
		size_format(audit_fields_number(fields, AUDIT_RECORD, "size"), bytes),
		heap ? " of heap " : "", heap ? shown(heap, name, sizeof(name)) : "",
		exposure ? " (" : "", exposure ? exposure : "", exposure ? ")" : "");
}

static void words(const struct audit_fields *fields, char *text, size_t size)
{
	char who[256], by[256] = "the policy", goods[256], reason[512], use[80], rule[80], heap[80],
		       bytes[SIZE_TEXT_MAX];
	const char *why = text_of(fields, "reason");

	whom(fields, AUDIT_PEER, who, sizeof(who));
	if (audit_fields_number(fields, AUDIT_BY, "pid"))
		whom(fields, AUDIT_BY, by, sizeof(by));
	what(fields, goods, sizeof(goods));
	shown(text_of(fields, "use"), use, sizeof(use));
	shown(text_of(fields, "rule"), rule, sizeof(rule));
	shown(text_of(fields, "heap"), heap, sizeof(heap));
	switch (fields->kind) {
	case AUDIT_START:
		text_format(text, size, "ccbufd started");
		break;
	case AUDIT_STOP:
		text_format(text, size, "ccbufd stops");
		break;
	case AUDIT_POLICY:
		text_format(text, size,
			fields->verdict == CCBUF_GRANTED ? "Policy loaded"
			: text_of(fields, "policy")
				? "Policy refused, the one before stays in force"
				: "Policy refused, and there is none from before");
		break;
	case AUDIT_GRANT:
		text_format(text, size, "Granted %s to %s for use %s by rule %s", goods, who, use,
			rule);
		break;
	case AUDIT_DENY:
		if (fields->repeated > 1)
			text_format(text, size, "Refused %" PRIu64 " more requests of %s",
				fields->repeated, who);
		else
			text_format(text, size, "Refused a request of %s for use %s", who, use);
		break;
	case AUDIT_UNDELIVERED:
		text_format(text, size, "Could not deliver %s to %s, freed again", goods, who);
		break;
	case AUDIT_RELEASE:
		text_format(text, size, "Released %s, granted to %s", goods, who);
		break;
	case AUDIT_ORPHAN:
		text_format(text, size, "Still held although its owner is gone: %s, granted to %s",
			goods, who);
		break;
	case AUDIT_REVOKE:
		text_format(text, size, "Takes back %s, granted to %s, for %s", goods, who, by);
		break;
	case AUDIT_LEAK:
		text_format(text, size,
			"%s of heap %s could not be made private again and are lost",
			size_format(audit_fields_number(fields, AUDIT_RECORD, "size"), bytes),
			heap);
		break;
	case AUDIT_ERROR:
	case AUDIT_KIND_MAX_:
		text_format(text, size,
			fields->verdict == CCBUF_AUDIT_FAILED
				? "Audit trail cannot be written, nothing is handed out"
				: "ccbufd failed at something");
		break;
	}
	if (why && *why) {
		size_t length = strlen(text);

		text_fit(why, TEXT_VISIBLE | TEXT_JOINED, reason, sizeof(reason));
		text_format(text + length, size - length, ": %s", reason);
	}
}

/* "CCBUF_BY_UID" */
static void name_of(const struct audit_field *field, char name[static FIELD_NAME_MAX])
{
	char *at = name;

	snprintf(
		name, FIELD_NAME_MAX, "CCBUF_%s%s", field->in == AUDIT_BY ? "BY_" : "", field->key);
	for (; *at; at++)
		*at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
}

static void add_field(struct message *message, const struct audit_field *field)
{
	const struct audit_buffer *buffers = field->at;
	char name[FIELD_NAME_MAX];

	name_of(field, name);
	switch (field->type) {
	case AUDIT_NUMBER:
	case AUDIT_BOOLEAN:
		add(message, "%s=%" PRIu64, name, field->number);
		break;
	case AUDIT_WORDS:
		add_text(message, name, field->at);
		break;
	case AUDIT_NAME:
		add_name(message, name, field->at);
		break;
	case AUDIT_BUFFERS:
		for (size_t i = 0; i < field->number; i++) {
			add(message, "CCBUF_GRANT=%" PRIu64, buffers[i].grant);
			add(message, "CCBUF_INODE=%" PRIu64, buffers[i].inode);
		}
		break;
	case AUDIT_GROUPS:
	case AUDIT_RANGES:
	case AUDIT_RANGE:
		break;
	}
}

static void send_out(struct message *message)
{
	(void)sd_journal_sendv(message->fields, message->n);
	for (int i = 0; i < message->n_owned; i++)
		free(message->owned[i]);
}

void audit_message_send(const struct audit_copy *copy)
{
	const struct audit_fields *fields = &copy->fields;
	struct message message;
	struct chain chain = { 0 };
	char text[MESSAGE_MAX], hash[CHAIN_HASH_TEXT];

	message.n = message.n_owned = 0;
	message.used = 0;
	words(fields, text, sizeof(text));
	add(&message, "MESSAGE=%s", text);
	add(&message, "PRIORITY=%d", audit_event_priority(fields->kind, fields->verdict));
	add(&message, "MESSAGE_ID=%s", audit_event_id(fields->kind, fields->verdict));
	if (copy->sequence) {
		memcpy(chain.hash, copy->hash, sizeof(chain.hash));
		chain_hash_text(&chain, hash);
		add(&message, "CCBUF_SEQ=%" PRIu64, copy->sequence);
		add(&message, "CCBUF_HASH=%s", hash);
	}
	for (size_t i = 0; i < fields->n; i++)
		if (fields->all[i].journal)
			add_field(&message, &fields->all[i]);
	send_out(&message);
}

void audit_message_dropped(const struct audit_lost *dropped)
{
	char whose[AUDIT_LOST_TEXT];
	struct message message;

	message.n = message.n_owned = 0;
	message.used = 0;
	audit_lost_whose(dropped, whose);
	add(&message,
		"MESSAGE=%" PRIu64 " events are in the audit trail but not in the journal, which "
		"did not take them in time%s",
		dropped->total, whose);
	add(&message, "PRIORITY=%d", LOG_WARNING);
	add(&message, "MESSAGE_ID=%s", AUDIT_JOURNAL_DROPPED);
	add(&message, "CCBUF_DROPPED=%" PRIu64, dropped->total);
	send_out(&message);
}

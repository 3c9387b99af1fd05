/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The words and fields of a journal entry. It runs in the journal's thread only. It must never pass
 * on a byte that a terminal obeys: MESSAGE is shown as it is, and so are the fields by the catalog.
 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "audit-message.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

#include "audit-journal.h"
#include "size.h"
#include "text.h"
#include "util.h"

#define FIELDS_MAX (36 + 2 * REQUEST_COUNT_MAX)
/* All fields but the long texts, and each of those at its longest. */
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

/* Words of our own, in which names are escaped already. */
static void add_text(struct message *message, const char *field, const char *text)
{
	add_form(message, field, text, TEXT_VISIBLE | TEXT_LINES);
}

/* As it came. */
static void add_name(struct message *message, const char *field, const char *untrusted_name)
{
	add_form(message, field, untrusted_name, TEXT_NAME | TEXT_VISIBLE);
}

static const char *shown(const char *untrusted_name, char *buffer, size_t size)
{
	return text_fit(untrusted_name, TEXT_NAME | TEXT_VISIBLE, buffer, size);
}

static const char *use_of(const struct audit_event *event)
{
	return event->request && event->request->use[0] ? event->request->use : event->use;
}

/* "user 1000, process 17 (mpi@3.service)" */
static void whom(const struct identity *peer, char *text, size_t size)
{
	char name[128];

	if (!peer)
		snprintf(text, size, "an unknown peer");
	else if (peer->pid <= 0)
		snprintf(text, size, "user %u", peer->uid);
	else if (peer->unit || peer->exe)
		text_format(text, size, "user %u, process %d (%s)", peer->uid, (int)peer->pid,
			shown(peer->unit ? peer->unit : peer->exe, name, sizeof(name)));
	else
		snprintf(text, size, "user %u, process %d", peer->uid, (int)peer->pid);
}

/* "2 buffers of 64K of heap system_cc_shared (shared)" */
static void what(const struct audit_event *event, char *text, size_t size)
{
	uint64_t each = event->size ? event->size : event->request ? event->request->size : 0;
	uint64_t n = event->n_buffers ? event->n_buffers
		     : event->request ? event->request->count
				      : 1;
	char bytes[SIZE_TEXT_MAX], name[128];

	text_format(text, size, "%" PRIu64 " %s of %s%s%s%s%s%s", n, n == 1 ? "buffer" : "buffers",
		size_format(each, bytes), event->heap ? " of heap " : "",
		event->heap ? shown(event->heap, name, sizeof(name)) : "",
		event->exposure ? " (" : "", event->exposure ? exposure_name(event->exposure) : "",
		event->exposure ? ")" : "");
}

static void words(const struct audit_event *event, char *text, size_t size)
{
	char who[256], by[256], goods[256], reason[512], use[80], rule[80], bytes[SIZE_TEXT_MAX];
	const char *why = event->reason && event->reason[0]
				  ? text_fit(event->reason, TEXT_VISIBLE | TEXT_JOINED, reason,
					    sizeof(reason))
				  : NULL;

	whom(event->peer, who, sizeof(who));
	whom(event->by, by, sizeof(by));
	what(event, goods, sizeof(goods));
	shown(use_of(event) ? use_of(event) : "?", use, sizeof(use));
	shown(event->rule ? event->rule : "?", rule, sizeof(rule));
	switch (event->kind) {
	case AUDIT_START:
		text_format(text, size, "ccbufd started");
		break;
	case AUDIT_STOP:
		text_format(text, size, "ccbufd stops");
		break;
	case AUDIT_POLICY:
		text_format(text, size,
			event->verdict == VERDICT_GRANTED ? "Policy loaded"
			: event->policy ? "Policy refused, the one before stays in force"
					: "Policy refused, and there is none from before");
		break;
	case AUDIT_GRANT:
		text_format(text, size, "Granted %s to %s for use %s by rule %s", goods, who, use,
			rule);
		break;
	case AUDIT_DENY:
		if (event->repeated > 1)
			text_format(text, size, "Refused %" PRIu64 " more requests of %s",
				event->repeated, who);
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
		text_format(text, size, "Takes back %s, granted to %s, for %s", goods, who,
			event->by ? by : "the policy");
		break;
	case AUDIT_LEAK:
		text_format(text, size,
			"%s of heap %s could not be made private again and are lost",
			size_format(event->size, bytes),
			shown(event->heap ? event->heap : "?", use, sizeof(use)));
		break;
	case AUDIT_ERROR:
	case AUDIT_KIND_MAX_:
		text_format(text, size,
			event->verdict == VERDICT_AUDIT_FAILED
				? "Audit trail cannot be written, nothing is handed out"
				: "ccbufd failed at something");
		break;
	}
	if (why) {
		size_t length = strlen(text);

		text_format(text + length, size - length, ": %s", why);
	}
}

static int priority(const struct audit_event *event)
{
	switch (event->kind) {
	case AUDIT_START:
	case AUDIT_STOP:
	case AUDIT_GRANT:
	case AUDIT_RELEASE:
		return LOG_INFO;
	case AUDIT_DENY:
		return LOG_NOTICE;
	case AUDIT_POLICY:
		return event->verdict == VERDICT_GRANTED ? LOG_NOTICE : LOG_ERR;
	case AUDIT_REVOKE:
	case AUDIT_UNDELIVERED:
	case AUDIT_ORPHAN:
		return LOG_WARNING;
	case AUDIT_ERROR:
		return event->verdict == VERDICT_AUDIT_FAILED ? LOG_CRIT : LOG_ERR;
	case AUDIT_LEAK:
	case AUDIT_KIND_MAX_:
		break;
	}
	return LOG_CRIT;
}

static void add_peer(struct message *message, const struct identity *peer)
{
	add(message, "CCBUF_UID=%u", peer->uid);
	if (peer->pid > 0)
		add(message, "CCBUF_PID=%d", (int)peer->pid);
	add_name(message, "CCBUF_EXE", peer->exe);
	add_name(message, "CCBUF_UNIT", peer->unit);
}

static void add_by(struct message *message, const struct identity *by)
{
	add(message, "CCBUF_BY_UID=%u", by->uid);
	add(message, "CCBUF_BY_PID=%d", (int)by->pid);
	add_name(message, "CCBUF_BY_EXE", by->exe);
	add_name(message, "CCBUF_BY_UNIT", by->unit);
}

static void add_event(struct message *message, const struct audit_event *event)
{
	const struct request *request = event->request;
	uint64_t size = event->size ? event->size : request ? request->size : 0;

	if (event->peer)
		add_peer(message, event->peer);
	if (event->by)
		add_by(message, event->by);
	add_text(message, "CCBUF_USE", use_of(event));
	if (request) {
		add_name(message, "CCBUF_LABEL", request->label);
		add_text(message, "CCBUF_TRANSPORT", transport_name(request->transport));
	}
	add_text(message, "CCBUF_HEAP", event->heap);
	if (event->exposure != EXPOSURE_UNKNOWN)
		add_text(message, "CCBUF_EXPOSURE", exposure_name(event->exposure));
	if (size || request)
		add(message, "CCBUF_SIZE=%" PRIu64, size);
	if (request || event->n_buffers)
		add(message, "CCBUF_COUNT=%zu", request ? request->count : event->n_buffers);
	for (size_t i = 0; i < event->n_buffers; i++) {
		add(message, "CCBUF_GRANT=%" PRIu64, event->buffers[i].grant);
		add(message, "CCBUF_INODE=%" PRIu64, event->buffers[i].inode);
	}
	add_text(message, "CCBUF_RULE", event->rule);
	if (event->kind == AUDIT_GRANT || event->kind == AUDIT_UNDELIVERED ||
		event->verdict != VERDICT_GRANTED)
		add_text(message, "CCBUF_VERDICT", verdict_name(event->verdict));
	add_text(message, "CCBUF_REASON", event->reason);
	add_text(message, "CCBUF_POLICY", event->policy);
	if (event->repeated > 1)
		add(message, "CCBUF_REPEATED=%" PRIu64, event->repeated);
}

static void send_out(struct message *message)
{
	(void)sd_journal_sendv(message->fields, message->n);
	for (int i = 0; i < message->n_owned; i++)
		free(message->owned[i]);
}

void audit_message_send(const struct audit_copy *copy)
{
	struct message message;
	struct chain chain = { 0 };
	char text[MESSAGE_MAX], hash[CHAIN_HASH_TEXT];

	message.n = message.n_owned = 0;
	message.used = 0;
	words(&copy->event, text, sizeof(text));
	add(&message, "MESSAGE=%s", text);
	add(&message, "PRIORITY=%d", priority(&copy->event));
	add(&message, "MESSAGE_ID=%s", audit_journal_id(&copy->event));
	add(&message, "CCBUF_EVENT=%s", audit_kind_name(copy->event.kind));
	if (copy->sequence) {
		memcpy(chain.hash, copy->hash, sizeof(chain.hash));
		chain_hash_text(&chain, hash);
		add(&message, "CCBUF_SEQ=%" PRIu64, copy->sequence);
		add(&message, "CCBUF_HASH=%s", hash);
	}
	add_event(&message, &copy->event);
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

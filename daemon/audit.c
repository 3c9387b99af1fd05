/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The audit trail as the daemon sees it: takes events, sees to it that they are in the file, says
 * so. It must never say so of a record that is not, nor out of order.
 *
 * Everything here runs in the event loop. Records wait in one list. Once in each iteration of the
 * loop the list goes out: in written mode by a write right here, because handing it to a thread
 * takes longer than the write; when a sync or a rotation is due, to the writer thread, together
 * with the file, and what comes meanwhile waits for the next turn (group commit). `busy` says that
 * the thread has the file; nothing here touches it then.
 */
#include "audit.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>

#include "audit-copy.h"
#include "audit-file.h"
#include "audit-fold.h"
#include "audit-format.h"
#include "audit-journal.h"
#include "audit-writer.h"
#include "util.h"

/* Records that wait, those with the thread included. */
#define WAITING_RECORDS 8192
#define WAITING_BYTES	(16u << 20)
/* Room beyond that for the records that the trail makes itself. */
#define WAITING_OWN 1024

#define LAST_TURNS 3

struct audit {
	struct audit_file *file;
	struct audit_writer *writer;
	struct audit_journal *journal; /* NULL for none */
	struct audit_fold *fold;
	sd_event_source *turn;	   /* deferred: something waits */
	sd_event_source *finished; /* the thread has something to take back */
	struct audit_format format;
	enum policy_durability durability;
	struct audit_list waiting;
	bool waiting_sync; /* one of them was appended in synced mode */
	bool busy;
	size_t busy_count, busy_bytes;
	bool closing;
	uint64_t sequence;  /* of the last record that is as durable as asked */
	uint64_t unwritten; /* events whose record failed since the last that did not */
	int unwritten_error;
	char body[AUDIT_FORMAT_BODY_MAX];
};

const char *audit_kind_name(enum audit_kind kind)
{
	static const char *const names[AUDIT_KIND_MAX_] = {
		[AUDIT_START] = "start",
		[AUDIT_STOP] = "stop",
		[AUDIT_POLICY] = "policy",
		[AUDIT_GRANT] = "grant",
		[AUDIT_DENY] = "deny",
		[AUDIT_UNDELIVERED] = "undelivered",
		[AUDIT_RELEASE] = "release",
		[AUDIT_ORPHAN] = "orphan",
		[AUDIT_REVOKE] = "revoke",
		[AUDIT_LEAK] = "leak",
		[AUDIT_ERROR] = "error",
	};

	assert((unsigned int)kind < AUDIT_KIND_MAX_);
	return names[kind];
}

static uint64_t microseconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static bool full(const struct audit *audit, size_t own)
{
	return audit->waiting.count + audit->busy_count >= WAITING_RECORDS + own ||
	       (!own && audit->waiting.bytes + audit->busy_bytes >= WAITING_BYTES);
}

/* Queues a record, without body when event is NULL. */
static int queue(
	struct audit *audit, const struct audit_event *event, audit_done done, void *userdata)
{
	struct audit_record *record;
	size_t length = 0;

	if (event)
		length = audit_format_body(&audit->format, event, microseconds(CLOCK_REALTIME),
			microseconds(CLOCK_BOOTTIME), audit->body);
	record = malloc(sizeof(*record) + AUDIT_PREFIX_MAX + length);
	if (!record)
		return -ENOMEM;
	record->done = done;
	record->userdata = userdata;
	record->copy = event && audit->journal ? audit_copy_new(event) : NULL;
	record->length = length;
	record->events = event && event->repeated > 1 ? event->repeated : 1;
	memcpy(record->line + AUDIT_PREFIX_MAX, audit->body, length);
	if (!audit->waiting.first && !audit->busy)
		sd_event_source_set_enabled(audit->turn, SD_EVENT_ONESHOT);
	audit_list_push(&audit->waiting, record);
	audit->waiting_sync = audit->waiting_sync || (event && audit->durability == POLICY_SYNCED);
	return 0;
}

static bool queue_counted(void *userdata, const struct audit_event *event)
{
	struct audit *audit = userdata;

	return !full(audit, WAITING_OWN) && queue(audit, event, NULL, NULL) >= 0;
}

static printf_like(2, 3) void queue_error(struct audit *audit, const char *format, ...)
{
	cleanup(cleanup_free) char *reason = NULL;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vasprintf(&reason, format, arguments);
	va_end(arguments);
	if (length < 0) {
		reason = NULL;
		return;
	}
	(void)queue_counted(audit, &(struct audit_event){ .kind = AUDIT_ERROR, .reason = reason });
}

/* Tells the journal, as the trail cannot, that a record could not be written. */
static void unwritten(struct audit *audit, const struct audit_record *record)
{
	const struct audit_event event = {
		.kind = AUDIT_ERROR,
		.verdict = VERDICT_AUDIT_FAILED,
		.reason = strerror(-record->result),
	};

	if (audit->unwritten == 0 && audit->journal)
		audit_journal_push(audit->journal, audit_copy_new(&event));
	audit->unwritten += record->events;
	audit->unwritten_error = record->result;
}

static void written(struct audit *audit, struct audit_record *record)
{
	if (audit->unwritten) {
		uint64_t count = audit->unwritten;

		audit->unwritten = 0;
		queue_error(audit, "%" PRIu64 " events could not be recorded: %s", count,
			strerror(-audit->unwritten_error));
	}
	if (!audit->journal)
		return;
	if (record->copy) {
		record->copy->sequence = record->sequence;
		memcpy(record->copy->hash, record->hash, sizeof(record->hash));
	}
	audit_journal_push(audit->journal, steal_pointer(&record->copy));
}

/* The end of every record. */
static void finish(struct audit *audit, struct audit_list *list)
{
	struct audit_record *record;

	/* Callers first: they reply. */
	for (record = list->first; record; record = record->next) {
		if (record->length && record->result >= 0)
			audit->sequence = record->sequence;
		if (record->done)
			record->done(record->userdata, record->result);
	}
	while ((record = audit_list_pop(list))) {
		if (record->result < 0)
			unwritten(audit, record);
		else if (record->length)
			written(audit, record);
		free(record->copy);
		free(record);
	}
}

static void check_maintenance(struct audit *audit)
{
	uint64_t first_left = audit->file->first_left;
	int r = audit->file->maintenance;

	audit->file->first_left = 0;
	if (first_left)
		queue_error(audit,
			"the records before %" PRIu64 " were deleted: only %u older files are kept",
			first_left, audit->file->keep);
	if (r >= 0)
		return;
	audit->file->maintenance = 0;
	queue_error(audit, "the audit file could not be rotated or an old one not deleted: %s",
		strerror(-r));
}

/* One turn: the list that waits goes out, now or by the thread. */
static void turn(struct audit *audit)
{
	struct audit_list list = audit->waiting;
	bool sync = audit->waiting_sync;

	assert(!audit->busy);
	if (!list.first)
		return;
	audit->waiting = (struct audit_list){ 0 };
	audit->waiting_sync = false;
	if (!audit->closing && list.bytes &&
		(sync || audit_file_rotates(
				 audit->file, list.bytes + list.count * AUDIT_PREFIX_MAX))) {
		audit->busy = true;
		audit->busy_count = list.count;
		audit->busy_bytes = list.bytes;
		audit_writer_hand(audit->writer, audit->file, &list, sync);
		return;
	}
	audit_file_write(audit->file, &list, sync);
	finish(audit, &list);
	check_maintenance(audit);
}

static int on_turn(sd_event_source *source, void *userdata)
{
	struct audit *audit = userdata;

	(void)source;
	if (!audit->busy)
		turn(audit);
	return 0;
}

/* Takes back what the thread did, with wait until it did. The disk gets the next list before the
 * callers hear of this one; a list that is written right here has to come after them. */
static void take_back(struct audit *audit, bool wait)
{
	struct audit_list list;

	if (!audit_writer_take(audit->writer, wait, &list))
		return;
	audit->busy = false;
	audit->busy_count = audit->busy_bytes = 0;
	check_maintenance(audit);
	if (audit->waiting_sync && !audit->closing)
		turn(audit);
	else if (audit->waiting.first)
		sd_event_source_set_enabled(audit->turn, SD_EVENT_ONESHOT);
	finish(audit, &list);
}

static int on_finished(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source;
	(void)fd;
	(void)events;
	take_back(userdata, false);
	return 0;
}

/* What was found when the file was opened goes into the trail first. */
static void report(struct audit *audit, struct audit_file_report *found)
{
	if (found->aside)
		queue_error(audit,
			"the audit file did not end in a valid record; it is now %s and a new "
			"chain begins",
			found->aside);
	if (found->cut)
		queue_error(audit, "an incomplete last record of %" PRIu64 " bytes was cut off",
			found->cut);
	if (found->missing)
		queue_error(audit, "the audit file was gone, though older ones are there");
	if (found->unchained)
		queue_error(audit, "the newest older audit file does not end in a valid record; "
				   "a new chain begins");
	free(found->aside);
}

int audit_new(sd_event *loop, const struct audit_settings *settings, struct audit **ret_audit)
{
	struct audit_file_report found = { 0 };
	struct audit *audit;
	int r;

	audit = calloc(1, sizeof(*audit));
	if (!audit)
		return -ENOMEM;
	audit->durability = POLICY_SYNCED;
	r = audit_format_init(&audit->format);
	if (r < 0)
		goto fail;
	r = audit_fold_new(loop, settings->fold_after, settings->fold_usec, queue_counted, audit,
		&audit->fold);
	if (r < 0)
		goto fail;
	r = sd_event_add_defer(loop, &audit->turn, on_turn, audit);
	if (r < 0)
		goto fail;
	sd_event_source_set_enabled(audit->turn, SD_EVENT_OFF);
	r = audit_writer_new(&audit->writer);
	if (r < 0)
		goto fail;
	r = sd_event_add_io(loop, &audit->finished, audit_writer_fd(audit->writer), EPOLLIN,
		on_finished, audit);
	if (r < 0)
		goto fail;
	if (settings->journal) {
		r = audit_journal_new(&audit->journal);
		if (r < 0)
			goto fail;
	}
	r = audit_file_open(
		settings->path, settings->rotate_bytes, settings->keep, &found, &audit->file);
	if (r < 0)
		goto fail;
	audit->sequence = audit->file->chain.sequence;
	report(audit, &found);
	*ret_audit = audit;
	return 0;
fail:
	audit_free(audit);
	return r;
}

struct audit *audit_free(struct audit *audit)
{
	struct audit_record *record;

	if (!audit)
		return NULL;
	if (audit->file) {
		audit_fold_flush(audit->fold);
		audit->closing = true;
		if (audit->busy)
			take_back(audit, true);
		/* A turn may leave a record of what failed in it, but not for ever. */
		for (int i = 0; i < LAST_TURNS; i++)
			turn(audit);
		(void)audit_file_sync(audit->file);
	}
	while ((record = audit_list_pop(&audit->waiting))) {
		free(record->copy);
		free(record);
	}
	sd_event_source_disable_unref(audit->turn);
	sd_event_source_disable_unref(audit->finished);
	audit_fold_free(audit->fold);
	audit_writer_free(audit->writer);
	audit_journal_free(audit->journal);
	audit_file_close(audit->file);
	free(audit);
	return NULL;
}

void audit_set_durability(struct audit *audit, enum policy_durability durability)
{
	audit->durability = durability;
}

int audit_append(
	struct audit *audit, const struct audit_event *event, audit_done done, void *userdata)
{
	if (audit->closing || full(audit, 0))
		return -ENOBUFS;
	/* A stop is the last word: what is only counted yet comes before it. */
	if (event->kind == AUDIT_STOP)
		audit_fold_flush(audit->fold);
	/* Only who waits for it needs a place in the queue: a flood must not fill it. */
	if (audit_fold_take(audit->fold, event))
		return done ? queue(audit, NULL, done, userdata) : 0;
	return queue(audit, event, done, userdata);
}

uint64_t audit_sequence(const struct audit *audit)
{
	return audit->sequence;
}

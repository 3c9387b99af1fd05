/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The audit trail as the daemon uses it: takes events, has them written, and tells their callers.
 * It must never report a record as written that is not, nor report records out of order.
 *
 * Everything here runs in the event loop. Records wait in one list, which goes out once in each
 * iteration of the loop. In written mode it is written here, because handing it to a thread takes
 * longer than the write. When a sync, a rotation or a check of the file is due, the writer thread
 * gets the list together with the file; records that come meanwhile wait for the next turn (group
 * commit). While `busy` is set the thread has the file, and nothing here touches it.
 *
 * A check of the file is due before a list when something happened to the file's name. The kernel
 * does not report every such change, so a check is also due LOOK_USEC after the last one, and
 * LOOK_USEC after a list that went out without one. What others do to the file is found by then.
 */
#include "audit/audit.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/epoll.h>

#include "audit/fold.h"
#include "audit/journal.h"
#include "audit/open.h"
#include "audit/record.h"
#include "audit/say.h"
#include "audit/stall.h"
#include "audit/watch.h"
#include "audit/writer.h"
#include "util.h"

/* Records that wait, including those that the thread has. */
#define WAITING_RECORDS AUDIT_RECORD_WAITING
#define WAITING_BYTES	AUDIT_WAITING_BYTES
/* Room beyond that for the records that the trail makes itself. */
#define WAITING_OWN 1024

#define LAST_TURNS 3

#define LOOK_USEC      UINT64_C(100000)
#define LOOK_FAIL_USEC UINT64_C(1000000) /* the last record could not be written */
#define LOOK_IDLE_USEC UINT64_C(5000000) /* nothing was written since the last check */
#define LOOK_ACCURACY  UINT64_C(20000)
#define HEARD_BURST    1000

/* How long the disk may take. */
#define STALL_MSEC	10000
#define STALL_STOP_MSEC 2000 /* at a stop, for a disk that already took longer */

struct audit {
	struct audit_file *file;
	struct audit_writer *writer;
	struct audit_journal *journal; /* NULL for none */
	struct audit_fold *fold;
	sd_event_source *turn;	   /* deferred: something waits */
	sd_event_source *finished; /* the thread has finished a list */
	sd_event_source *look;	   /* time to check the file */
	sd_event_source *heard;	   /* others changed the folder; NULL without a watch */
	sd_event_source *stall;	   /* the thread takes too long */
	struct audit_maker maker;
	enum policy_durability durability;
	struct audit_list waiting;
	bool waiting_sync; /* one of the waiting records was appended in synced mode */
	bool busy;
	size_t busy_count, busy_bytes;
	struct audit_record *busy_first;
	bool stalled; /* nobody waits for the thread any more */
	bool closing;
	bool failing; /* the last record that was written failed */
	bool busy_sync, busy_look;
	bool look_due, look_soon;
	bool looked_now;   /* the waiting records come back from a check; they are written without
			      another */
	uint64_t looked;   /* time of the last check, CLOCK_MONOTONIC */
	uint64_t sequence; /* of the last record that is as durable as asked */
	struct audit_say say;
	char trouble[AUDIT_TROUBLE_TEXT];
};

static bool full(const struct audit *audit, size_t own)
{
	return audit->waiting.count + audit->busy_count >= WAITING_RECORDS + own ||
	       (!own && audit->waiting.bytes + audit->busy_bytes >= WAITING_BYTES);
}

static int queue(
	struct audit *audit, const struct audit_fields *fields, audit_done done, void *userdata)
{
	struct audit_record *record = audit_record_new(&audit->maker, fields, done, userdata);

	if (!record)
		return -ENOMEM;
	if (audit_record_charge(record, fields) < 0) {
		audit_record_free(record);
		return -EUSERS;
	}
	if (!audit->waiting.first && !audit->busy)
		sd_event_source_set_enabled(audit->turn, SD_EVENT_ONESHOT);
	audit_list_push(&audit->waiting, record);
	audit->waiting_sync = audit->waiting_sync || (fields && audit->durability == POLICY_SYNCED);
	return 0;
}

static void lose(struct audit *audit, const struct audit_fields *fields, int error)
{
	audit_lost_add(
		&audit->say.lost, fields->has_uid ? &fields->uid : NULL, fields->repeated, error);
}

/* Returns true also when the record fails while the trail is closed: there is no later try. */
static bool queue_counted(void *userdata, const struct audit_fields *fields)
{
	struct audit *audit = userdata;
	int r = full(audit, WAITING_OWN) ? -ENOBUFS : queue(audit, fields, NULL, NULL);

	if (r < 0 && audit->closing)
		lose(audit, fields, r);
	return r >= 0 || audit->closing;
}

/* The trail's own records go before all that wait. */
static void speak_first(struct audit *audit)
{
	struct audit_list own = { 0 };

	audit_say_all(&audit->say, &audit->maker, &own);
	if (own.first && audit->durability == POLICY_SYNCED)
		audit->waiting_sync = true;
	audit_list_put_before(&audit->waiting, &own);
}

/* Reports in the journal that a record could not be written, as the trail cannot say so. */
static void unwritten(struct audit *audit, const struct audit_record *record)
{
	const struct audit_event event = {
		.kind = AUDIT_ERROR,
		.verdict = CCBUF_AUDIT_FAILED,
		.reason = audit->trouble[0] ? audit->trouble : strerror(-record->result),
	};
	struct audit_fields fields;

	if (!audit->failing && audit->journal) {
		audit_fields_of(&event, &fields);
		audit_journal_push(audit->journal, NULL, audit_copy_new(&fields));
	}
	audit->failing = true;
	if (!record->not_lost || audit->closing)
		audit_lost_add(&audit->say.lost, record->has_uid ? &record->uid : NULL,
			record->events, record->result);
}

static void written(struct audit *audit, struct audit_record *record)
{
	audit->failing = false;
	if (!audit->journal)
		return;
	if (record->copy) {
		record->copy->sequence = record->sequence;
		memcpy(record->copy->hash, record->hash, sizeof(record->hash));
	}
	audit_journal_push(audit->journal, record->has_uid ? &record->uid : NULL,
		steal_pointer(&record->copy));
}

/* Every record ends here. */
static void finish(struct audit *audit, struct audit_list *list)
{
	struct audit_record *record;

	/* Callers first: clients wait for them. */
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
		audit_record_free(record);
	}
}

static uint64_t now_of(const struct audit *audit)
{
	uint64_t now = 0;

	sd_event_now(sd_event_source_get_event(audit->look), CLOCK_MONOTONIC, &now);
	return now;
}

/* Sets the time of the next check, if nothing else causes one. */
static void look_later(struct audit *audit, bool looked)
{
	uint64_t usec = audit->failing ? LOOK_FAIL_USEC : looked ? LOOK_IDLE_USEC : LOOK_USEC;

	if (!looked && audit->look_soon)
		return;
	audit->look_soon = !looked;
	sd_event_source_set_time(audit->look, now_of(audit) + usec);
	sd_event_source_set_enabled(audit->look, SD_EVENT_ONESHOT);
}

static enum audit_writer_look wants_look(struct audit *audit)
{
	if (audit->looked_now)
		return AUDIT_WRITER_LOOKED;
	if (audit->look_due || audit->closing || audit->file->prune ||
		now_of(audit) >= audit->looked + LOOK_USEC)
		return AUDIT_WRITER_LOOK;
	return AUDIT_WRITER_LOOK_IF_ODD;
}

/* The findings of a check go into the trail before the records that it held back. */
static void put_back(struct audit *audit, struct audit_list *list, bool sync)
{
	audit_list_put_before(&audit->waiting, list);
	audit->waiting_sync = audit->waiting_sync || sync;
	audit->looked_now = true;
}

/* Takes the notes and the trouble of the file after a write or a check. */
static void take_news(struct audit *audit)
{
	audit_say_take(&audit->say, audit->file);
	copy_string(audit->trouble, sizeof(audit->trouble), audit->file->trouble);
}

/* Writes the list here: the file is in order. */
static void write_out(struct audit *audit, struct audit_list *list)
{
	audit_file_write(audit->file, list, false);
	take_news(audit);
	finish(audit, list);
	look_later(audit, false);
}

static bool nothing_to_do(const struct audit *audit)
{
	return !audit->waiting.first && !audit->look_due && !audit->say.prune && !audit->closing;
}

static void hand(
	struct audit *audit, struct audit_list *list, bool sync, enum audit_writer_look look)
{
	audit->busy = true;
	audit->busy_count = list->count;
	audit->busy_bytes = list->bytes;
	audit->busy_first = list->first;
	audit->busy_sync = sync;
	audit->busy_look = look == AUDIT_WRITER_LOOK;
	sd_event_source_set_time(audit->stall, now_of(audit) + STALL_MSEC * UINT64_C(1000));
	sd_event_source_set_enabled(audit->stall, SD_EVENT_ONESHOT);
	audit_writer_hand(audit->writer, audit->file, list, sync, look);
}

/* One turn: writes the waiting list, or hands it to the thread. */
static void turn(struct audit *audit)
{
	enum audit_writer_look look;
	struct audit_list list;
	bool sync;

	assert(!audit->busy);
	if (nothing_to_do(audit))
		return;
	speak_first(audit);
	list = audit->waiting;
	sync = audit->waiting_sync;
	audit->waiting = (struct audit_list){ 0 };
	audit->waiting_sync = false;
	if (audit->say.lost.total || audit->say.telling.total || audit->file->lost.total)
		audit->file->lost = audit_say_lost(&audit->say);
	audit->file->prune = audit->say.prune ? audit->say.prune : audit->file->prune;
	audit->say.prune = 0;
	look = wants_look(audit);
	audit->looked_now = audit->look_due = false;
	if (look == AUDIT_WRITER_LOOK)
		audit->looked = now_of(audit);
	if (!sync && !audit->closing && !audit->file->served && look != AUDIT_WRITER_LOOK &&
		!audit_file_rotates(audit->file, list.bytes + list.count * AUDIT_PREFIX_MAX) &&
		audit_file_fits(audit->file)) {
		write_out(audit, &list);
		return;
	}
	hand(audit, &list, sync, look);
}

static int on_turn(sd_event_source *source, void *userdata)
{
	struct audit *audit = userdata;

	(void)source;
	if (!audit->busy)
		turn(audit);
	return 0;
}

/* Fails what clients wait for, until the disk answers. */
static int on_stall(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct audit *audit = userdata;

	(void)source;
	(void)usec;
	audit->stalled = true;
	snprintf(audit->trouble, sizeof(audit->trouble),
		"the file system of the audit trail does not answer (for %u s); check it",
		STALL_MSEC / 1000);
	audit_stall_busy(audit->busy_first);
	audit_stall_waiting(&audit->waiting);
	return 0;
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct audit *audit = userdata;

	(void)source;
	(void)usec;
	audit->look_due = true;
	if (!audit->busy)
		turn(audit);
	return 0;
}

static int on_heard(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct audit *audit = userdata;

	(void)source;
	(void)events;
	if (!audit_watch_heard(fd, audit->file->name))
		return 0;
	audit->look_due = true;
	if (!audit->busy)
		turn(audit);
	return 0;
}

/* Takes back the thread's list, if it is finished within a time. The thread gets the next list
 * before the callers hear of this one; a list that is written here comes after them. */
static void take_back(struct audit *audit, unsigned int msec)
{
	struct audit_list list;
	bool written;

	if (!audit_writer_take(audit->writer, msec, &list, &written))
		return;
	sd_event_source_set_enabled(audit->stall, SD_EVENT_OFF);
	audit->busy = audit->stalled = false;
	audit->busy_count = audit->busy_bytes = 0;
	take_news(audit);
	if (!written)
		put_back(audit, &list, audit->busy_sync);
	if ((audit->waiting_sync || !written) && !audit->closing)
		turn(audit);
	else if (!nothing_to_do(audit))
		sd_event_source_set_enabled(audit->turn, SD_EVENT_ONESHOT);
	finish(audit, &list);
	look_later(audit, audit->busy_look);
}

static int on_finished(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source;
	(void)fd;
	(void)events;
	take_back(userdata, 0);
	return 0;
}

static int add_sources(struct audit *audit, sd_event *loop)
{
	int r;

	r = sd_event_add_defer(loop, &audit->turn, on_turn, audit);
	if (r >= 0)
		r = sd_event_source_set_enabled(audit->turn, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(loop, &audit->look, CLOCK_MONOTONIC, UINT64_MAX,
			LOOK_ACCURACY, on_look, audit);
	if (r >= 0)
		r = sd_event_add_time(
			loop, &audit->stall, CLOCK_MONOTONIC, UINT64_MAX, 0, on_stall, audit);
	if (r >= 0)
		r = sd_event_source_set_enabled(audit->stall, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_io(loop, &audit->finished, audit_writer_fd(audit->writer), EPOLLIN,
			on_finished, audit);
	return r;
}

static int listen_to_changes(struct audit *audit, sd_event *loop)
{
	int r;

	if (audit->file->watch < 0)
		return 0;
	r = sd_event_add_io(loop, &audit->heard, audit->file->watch, EPOLLIN, on_heard, audit);
	/* Before any turn: a change to the file that came before a request is seen before its
	 * record. */
	if (r >= 0)
		r = sd_event_source_set_priority(audit->heard, SD_EVENT_PRIORITY_IMPORTANT);
	/* If somebody creates and removes files all the time, the check is by the clock only. */
	if (r >= 0)
		r = sd_event_source_set_ratelimit(audit->heard, LOOK_USEC, HEARD_BURST);
	return r;
}

/* The findings come first, and the events lost before the last stop. */
static void begin(struct audit *audit)
{
	audit->sequence = audit->file->chain.sequence;
	audit->looked = now_of(audit);
	audit_lost_merge(&audit->say.lost, &audit->file->lost);
	take_news(audit);
	if (audit->say.notes || audit->say.lost.total) {
		audit->look_due = true;
		sd_event_source_set_enabled(audit->turn, SD_EVENT_ONESHOT);
	}
	look_later(audit, true);
}

int audit_new(sd_event *loop, const struct audit_settings *settings, struct audit **ret_audit)
{
	struct audit *audit;
	int r;

	audit = calloc(1, sizeof(*audit));
	if (!audit)
		return -ENOMEM;
	audit->durability = POLICY_SYNCED;
	audit->maker.copies = settings->journal;
	r = audit_format_init(&audit->maker.format);
	if (r >= 0)
		r = audit_fold_new(loop, settings->fold_after, settings->fold_usec, queue_counted,
			audit, &audit->fold);
	if (r >= 0)
		r = audit_writer_new(&audit->writer);
	if (r >= 0)
		r = add_sources(audit, loop);
	if (r >= 0 && settings->journal)
		r = audit_journal_new(&audit->journal);
	if (r >= 0)
		r = audit_open(
			settings->path, settings->rotate_bytes, settings->keep, &audit->file);
	if (r >= 0)
		r = listen_to_changes(audit, loop);
	if (r < 0) {
		audit_free(audit);
		return r;
	}
	begin(audit);
	*ret_audit = audit;
	return 0;
}

/* Waits for the thread, for a limited time. */
static bool thread_ended(struct audit *audit)
{
	if (audit->busy)
		take_back(audit, audit->stalled ? STALL_STOP_MSEC : STALL_MSEC);
	return !audit->busy;
}

/* The thread keeps what it has: the file, its list. */
static int give_up(struct audit *audit)
{
	audit_stall_left(audit->busy_first);
	audit_file_fail(&audit->waiting, -ETIMEDOUT);
	finish(audit, &audit->waiting);
	audit_say_done(&audit->say);
	audit->file = NULL;
	audit->writer = NULL;
	return -ETIMEDOUT;
}

int audit_close(struct audit *audit)
{
	struct audit_list none = { 0 };
	bool written;

	audit->closing = true;
	audit_fold_flush(audit->fold);
	if (!thread_ended(audit))
		return give_up(audit);
	/* A turn may leave a record of its own failure. The number of turns is limited. */
	for (int i = 0; i < LAST_TURNS; i++) {
		turn(audit);
		if (!thread_ended(audit))
			return give_up(audit);
	}
	audit_file_fail(&audit->waiting, -EIO);
	finish(audit, &audit->waiting);
	audit_say_done(&audit->say);
	audit->file->lost = audit_say_lost(&audit->say);
	audit_writer_hand(audit->writer, audit->file, &none, true, AUDIT_WRITER_END);
	audit->file = NULL;
	if (audit_writer_take(audit->writer, STALL_MSEC, &none, &written))
		return 0;
	audit->writer = NULL;
	return -ETIMEDOUT;
}

struct audit *audit_free(struct audit *audit)
{
	if (!audit)
		return NULL;
	if (audit->file)
		(void)audit_close(audit);
	sd_event_source_disable_unref(audit->turn);
	sd_event_source_disable_unref(audit->finished);
	sd_event_source_disable_unref(audit->look);
	sd_event_source_disable_unref(audit->heard);
	sd_event_source_disable_unref(audit->stall);
	audit_fold_free(audit->fold);
	audit_writer_free(audit->writer);
	audit_journal_free(audit->journal);
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
	int r = audit->closing || full(audit, 0) ? -ENOBUFS : 0;
	struct audit_fields fields;
	bool late;

	audit_fields_of(event, &fields);
	if (r >= 0) {
		/* The record of the stop is the last: counted refusals go before it. */
		if (event->kind == AUDIT_STOP)
			audit_fold_flush(audit->fold);
		if (audit->stalled && event->kind == AUDIT_GRANT)
			return -ETIMEDOUT;
		late = audit->stalled && done && event->kind == AUDIT_DENY;
		/* Only refusals that a client waits for take a place in the queue: a flood must not
		 * fill it. */
		if (audit_fold_take(audit->fold, &fields))
			r = done && !late ? queue(audit, NULL, done, userdata) : 0;
		else
			r = queue(audit, &fields, late ? NULL : done, userdata);
		if (r >= 0)
			return late ? -ETIMEDOUT : 0;
	}
	if (r < 0 && (!event->not_lost || audit->closing))
		lose(audit, &fields, r);
	return r;
}

const char *audit_why_not(const struct audit *audit)
{
	return audit->trouble;
}

uint64_t audit_sequence(const struct audit *audit)
{
	return audit->sequence;
}

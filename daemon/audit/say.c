/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records of the trail about itself. It must never drop a note that is not written yet.
 */
#include "audit/say.h"

#include <inttypes.h>
#include <stdio.h>

static void lose_note(struct audit_say *say, struct audit_note *note, int error)
{
	audit_lost_add(&say->lost, NULL, 1, error);
	free(note);
}

void audit_say_take(struct audit_say *say, struct audit_file *file)
{
	struct audit_note **at = &say->notes;

	if (file->notes_lost)
		audit_lost_add(&say->lost, NULL, file->notes_lost, -ENOMEM);
	file->notes_lost = 0;
	while (*at)
		at = &(*at)->next;
	while (file->notes) {
		struct audit_note *note = file->notes;

		file->notes = note->next;
		note->next = NULL;
		if (say->n_notes == AUDIT_SAY_NOTES) {
			lose_note(say, note, -ENOBUFS);
			continue;
		}
		note->say = say;
		*at = note;
		at = &note->next;
		say->n_notes++;
	}
}

struct audit_lost audit_say_lost(const struct audit_say *say)
{
	struct audit_lost lost = say->telling;

	audit_lost_merge(&lost, &say->lost);
	return lost;
}

static void on_note_done(void *userdata, int result)
{
	struct audit_note *note = userdata, **at;
	struct audit_say *say = note->say;

	/* Also when there was no room for the record: the deletion makes some. */
	if (note->deleted.last && note->deleted.last >= say->prune)
		say->prune = note->deleted.last + 1;
	note->under_way = false;
	if (result < 0)
		return;
	for (at = &say->notes; *at != note;)
		at = &(*at)->next;
	*at = note->next;
	say->n_notes--;
	free(note);
}

static void on_lost_done(void *userdata, int result)
{
	struct audit_say *say = userdata;

	say->under_way = false;
	if (result < 0)
		audit_lost_merge(&say->lost, &say->telling);
	say->telling = (struct audit_lost){ 0 };
}

static bool say_event(struct audit_maker *maker, const struct audit_event *event, audit_done done,
	void *userdata, struct audit_list *list)
{
	struct audit_fields fields;
	struct audit_record *record;

	audit_fields_of(event, &fields);
	record = audit_record_new(maker, &fields, done, userdata);
	if (!record)
		return false;
	/* Nothing is lost with this record: the note stays. */
	record->events = 0;
	audit_list_push(list, record);
	return true;
}

static const char *why(int error)
{
	switch (error) {
	case 0:
		return "reason unknown";
	case -ENOBUFS:
		return "too many records waited";
	case -EUSERS:
		return "too many records of one user waited";
	}
	return strerror(-error);
}

static void say_lost(struct audit_say *say, struct audit_maker *maker, struct audit_list *list)
{
	char reason[AUDIT_LOST_TEXT + 256], whose[AUDIT_LOST_TEXT];
	const struct audit_event event = { .kind = AUDIT_ERROR, .reason = reason };

	if (say->under_way || !say->lost.total)
		return;
	audit_lost_whose(&say->lost, whose);
	snprintf(reason, sizeof(reason), "%" PRIu64 " event%s could not be recorded: %s%s",
		say->lost.total, say->lost.total == 1 ? "" : "s", why(say->lost.error), whose);
	if (!say_event(maker, &event, on_lost_done, say, list))
		return;
	say->under_way = true;
	say->telling = say->lost;
	say->lost = (struct audit_lost){ 0 };
}

void audit_say_all(struct audit_say *say, struct audit_maker *maker, struct audit_list *list)
{
	for (struct audit_note *note = say->notes; note; note = note->next) {
		const struct audit_event event = {
			.kind = AUDIT_ERROR,
			.reason = note->text,
			.missing = note->missing,
			.n_missing = note->n_missing,
			.deleted = note->deleted.last ? &note->deleted : NULL,
		};

		if (!note->under_way)
			note->under_way = say_event(maker, &event, on_note_done, note, list);
	}
	say_lost(say, maker, list);
}

void audit_say_done(struct audit_say *say)
{
	while (say->notes) {
		struct audit_note *note = say->notes;

		say->notes = note->next;
		lose_note(say, note, -EIO);
	}
	say->n_notes = 0;
}

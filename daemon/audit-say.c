/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records of the trail about itself. It must never forget what is not written yet.
 */
#include "audit-say.h"

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

	/* Also when there was no room for the record: then it makes some. */
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

static void say_lost(struct audit_say *say, audit_say_record record, void *userdata)
{
	char reason[AUDIT_LOST_TEXT + 256], whose[AUDIT_LOST_TEXT];
	struct audit_event event = { .kind = AUDIT_ERROR, .not_lost = true, .reason = reason };

	if (say->under_way || !say->lost.total)
		return;
	audit_lost_whose(&say->lost, whose);
	snprintf(reason, sizeof(reason), "%" PRIu64 " event%s could not be recorded: %s%s",
		say->lost.total, say->lost.total == 1 ? "" : "s",
		say->lost.error ? strerror(-say->lost.error) : "reason unknown", whose);
	if (record(userdata, &event, on_lost_done, say) < 0)
		return;
	say->under_way = true;
	say->telling = say->lost;
	say->lost = (struct audit_lost){ 0 };
}

void audit_say_all(struct audit_say *say, audit_say_record record, void *userdata)
{
	for (struct audit_note *note = say->notes; note; note = note->next) {
		struct audit_event event = {
			.kind = AUDIT_ERROR,
			.not_lost = true,
			.reason = note->text,
			.missing = note->missing,
			.n_missing = note->n_missing,
			.deleted = note->deleted.last ? &note->deleted : NULL,
		};

		if (!note->under_way)
			note->under_way = record(userdata, &event, on_note_done, note) >= 0;
	}
	say_lost(say, record, userdata);
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

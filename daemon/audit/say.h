/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The trail's own records: notes on its file, and how many events were lost. Each is kept until its
 * record is durable.
 */
#pragma once

#include "audit/file.h"

/* Maximum of notes that wait. More are counted as lost. */
#define AUDIT_SAY_NOTES 256

struct audit_say {
	struct audit_note *notes;
	size_t n_notes;
	struct audit_lost lost;	   /* not recorded yet */
	struct audit_lost telling; /* in a record that is under way */
	bool under_way;
	uint64_t prune; /* older files that end before this record may be deleted; 0 for none */
};

/* Takes all notes of the file, and the number of those that were lost. */
void audit_say_take(struct audit_say *say, struct audit_file *file);

/* All lost events that are in no record yet. */
struct audit_lost audit_say_lost(const struct audit_say *say);

/* Makes a record of everything that is not under way, and appends it to a list. */
void audit_say_all(struct audit_say *say, struct audit_maker *maker, struct audit_list *list);

/* Ends it: notes that are not recorded count as lost, and are freed. */
void audit_say_done(struct audit_say *say);

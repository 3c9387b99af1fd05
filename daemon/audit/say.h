/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the trail has to say for itself: notes on its file, and how many events were lost. Each is
 * kept until its record is as durable as any.
 */
#pragma once

#include "audit/file.h"

/* Notes that wait; what is beyond is counted as lost. */
#define AUDIT_SAY_NOTES 256

struct audit_say {
	struct audit_note *notes;
	size_t n_notes;
	struct audit_lost lost;	   /* not said yet */
	struct audit_lost telling; /* in a record that is under way */
	bool under_way;
	uint64_t prune; /* older files that end before this record may go; 0 for none */
};

/* Takes all notes of the file and what is lost of them. */
void audit_say_take(struct audit_say *say, struct audit_file *file);

/* All that was lost and is in no record yet. */
struct audit_lost audit_say_lost(const struct audit_say *say);

/* Makes a record of everything that is not under way, into a list. */
void audit_say_all(struct audit_say *say, struct audit_maker *maker, struct audit_list *list);

/* Nothing will be said any more: notes that were not count as lost, and are freed. */
void audit_say_done(struct audit_say *say);

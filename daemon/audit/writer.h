/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The thread that waits for the disk. The event loop hands it the file together with one list of
 * records, and must not touch either until it takes both back.
 */
#pragma once

#include <stdbool.h>

#include "audit/file.h"

struct audit_writer;

/* Starts the thread, all signals blocked in it. 0, -ENOMEM, -EAGAIN, -EMFILE, -ENFILE. */
int audit_writer_new(struct audit_writer **ret_writer);
/* Joins the thread. Nothing may be handed over at that time. Takes NULL. */
struct audit_writer *audit_writer_free(struct audit_writer *writer);

/* Readable when there is something to take back. */
int audit_writer_fd(const struct audit_writer *writer);

/* Whether to check the file first (audit_look()). */
enum audit_writer_look {
	AUDIT_WRITER_LOOK_IF_ODD, /* if the file is not as the last write left it */
	AUDIT_WRITER_LOOK,
	AUDIT_WRITER_LOOKED, /* like the first, but write whatever is found */
	AUDIT_WRITER_END,    /* syncs and closes the file, which must not be used any more */
};

/* Hands over the file and the records; the list may be empty. Only one list at a time. */
void audit_writer_hand(struct audit_writer *writer, struct audit_file *file,
	struct audit_list *list, bool sync, enum audit_writer_look look);

/*
 * Takes back the records and the file. Waits up to msec milliseconds; returns false when they are
 * not ready. *ret_written is false when no record was tried, because the check found something that
 * has to be recorded first.
 */
bool audit_writer_take(struct audit_writer *writer, unsigned int msec, struct audit_list *ret_list,
	bool *ret_written);

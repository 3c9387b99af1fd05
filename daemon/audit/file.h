/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file of the trail and its chain. Whoever holds the pointer owns the state: there is no lock,
 * and the struct is handed from thread to thread as a whole.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "audit/record.h"
#include "audit/recover.h"
#include "audit/state.h"
#include "audit/trouble.h"
#include "util.h"

#define AUDIT_NOTE_TEXT 640

struct audit_say;

/* Something found or done that an error record is to say. */
struct audit_note {
	struct audit_note *next;
	struct audit_range missing[AUDIT_RANGES_MAX];
	size_t n_missing;
	struct audit_range
		deleted; /* records to be deleted once this is recorded; last 0 for none */
	char text[AUDIT_NOTE_TEXT];
	/* For audit/say.c: */
	struct audit_say *say;
	bool under_way; /* its record is under way */
};

struct audit_file {
	char *path;	      /* as it was given */
	char *folder_path;    /* of the folder of the file */
	char *name;	      /* of the file in that folder */
	int folder;	      /* where the file is */
	int lock;	      /* of the state, see audit/state.h */
	int fd;		      /* O_APPEND */
	int watch;	      /* of the folder, see audit/watch.h; the event loop reads from it */
	struct chain chain;   /* as of the last record in the trail */
	uint64_t first;	      /* sequence number that the file begins with */
	uint64_t size;	      /* bytes of whole records */
	size_t last_length;   /* of the last line, its newline included; 0 when it is not known */
	uint64_t rotate_size; /* the file is rotated before it grows beyond this; UINT64_MAX for
				 never */
	uint64_t rotate_bytes;
	unsigned int keep;
	bool unclean;	   /* the bytes beyond size could not be cut off yet */
	uint64_t unsynced; /* records since the last fdatasync */
	bool astray;	   /* the file cannot be put back at its name; noted */
	bool served; /* the file system may not answer (FUSE, a network): for the writer thread only
		      */
	bool unsaved;	  /* the state could not be written; noted */
	uint64_t deleted; /* the daemon itself deleted the records up to this one */
	uint64_t missing; /* missing records between files that the trail has already reported */
	struct audit_state saved;
	/* Set by the owner: */
	struct audit_lost lost; /* kept for a later start */
	uint64_t prune;		/* older files that end before this record are deleted */
	/* Taken by the owner: */
	struct audit_note *notes;	  /* in the order of the events; freed with free() */
	uint64_t notes_lost;		  /* notes dropped when out of memory */
	char trouble[AUDIT_TROUBLE_TEXT]; /* why nothing can be written; "" when it can */
};

/* Syncs the file and its state. */
void audit_file_end(struct audit_file *file);
/* Takes NULL. */
struct audit_file *audit_file_close(struct audit_file *file);

/* Adds a note and returns it, to be filled. NULL when out of memory; it is then counted. */
struct audit_note *audit_file_note(struct audit_file *file, const char *format, ...)
	printf_like(2, 3);

/* Whether writing so many bytes would rotate the file. */
bool audit_file_rotates(const struct audit_file *file, size_t bytes);

/* Whether the open file is as the last write left it and has a name. If not, call audit_look()
 * before the next write. Quick: looks up no name. */
bool audit_file_fits(const struct audit_file *file);

/*
 * Writes the records of a list in order, and fills result, sequence and hash of each (only result
 * for those without a body). Afterwards the file has all records with result 0 and nothing of those
 * that failed; synced if so asked. The list is not changed. Then writes the state, if it has
 * changed.
 */
void audit_file_write(struct audit_file *file, struct audit_list *list, bool sync);

/* Gives all records of a list the same result, but 0 to those without a body. */
void audit_file_fail(struct audit_list *list, int result);

/* Syncs what was written unsynced. 0 or a negative errno. */
int audit_file_sync(struct audit_file *file);

/* --- for audit/open.c and audit/look.c --- */

/* Notes which records are missing, and why. */
void audit_file_note_gaps(struct audit_file *file, const struct audit_gaps *gaps, const char *why);

/* Starts a new, empty file, which is open as fd. */
void audit_file_begin(struct audit_file *file);
/* Cuts off what a failed write left. 0 or a negative errno. */
int audit_file_cut_back(struct audit_file *file);
/* Writes the state, if it has changed, for a later start. */
void audit_file_save(struct audit_file *file);

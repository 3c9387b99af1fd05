/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file of the trail and the chain that goes through it. Whoever holds the pointer owns the
 * state: there is no lock in here, the struct is handed from thread to thread as a whole.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "audit-record.h"

struct audit_file {
	int folder;	      /* the folder of the file */
	int fd;		      /* O_APPEND, holds an exclusive flock */
	char *name;	      /* of the file in its folder */
	struct chain chain;   /* as of the last record in the file */
	uint64_t first;	      /* sequence number that the file begins with */
	uint64_t size;	      /* bytes of whole records */
	uint64_t rotate_size; /* rotated before it grows beyond this; UINT64_MAX for never */
	uint64_t rotate_bytes;
	unsigned int keep;
	bool unclean;	   /* what is beyond size could not be cut off yet */
	uint64_t unsynced; /* records since the last fdatasync */
	/* What the owner reads, and clears: */
	uint64_t first_left; /* of a deletion: the first record that is still there; 0 for none */
	int maintenance;     /* why a rotation or a deletion last failed */
};

/* What the file looked like when it was opened, for the records that say so. */
struct audit_file_report {
	uint64_t cut;	/* bytes of an incomplete last line that were cut off */
	char *aside;	/* the name that a damaged file now has; freed by the caller */
	bool missing;	/* there are rotated files, but the file itself was gone */
	bool unchained; /* the last rotated file does not end in a record: a new chain begins */
};

/*
 * Opens or creates the file, locks it, and finds where the chain goes on. 0, or: -ENOENT no folder;
 * -EACCES; -EBUSY locked by another; -ELOOP a symbolic link; -EINVAL no regular file; -ENOMEM; what
 * the file system says. A new chain begins with a previous hash of zeros; its sequence numbers go
 * on from the highest that was found.
 */
int audit_file_open(const char *path, uint64_t rotate_bytes, unsigned int keep,
	struct audit_file_report *ret_report, struct audit_file **ret_file);
struct audit_file *audit_file_close(struct audit_file *file);

/* Whether writing so many bytes would rotate the file. */
bool audit_file_rotates(const struct audit_file *file, size_t bytes);

/*
 * Writes the records of a list in order and fills result, sequence and hash of each (of those
 * without a body only the result). Afterwards the file holds exactly the records with result 0,
 * the same as before being those that failed; synced if so asked. The list is not changed.
 */
void audit_file_write(struct audit_file *file, struct audit_list *list, bool sync);

/* Syncs what was written unsynced. 0 or a negative errno. */
int audit_file_sync(struct audit_file *file);

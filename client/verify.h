/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Verification of an audit trail: follows the hash chain through lines and files and collects its
 * breaks. If a trail does not begin with record 1, a record in it has to say that ccbufd deleted
 * the earlier ones. Prints nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chain.h"

enum break_kind {
	BREAK_NOT_A_RECORD, /* the line does not have the form of a record */
	BREAK_CUT,	    /* the last line has no newline: it was not written, or cut */
	BREAK_MISSING,	    /* records first to last are not in their place, nor later */
	BREAK_REORDERED,    /* records first to last (or some) come after later ones */
	BREAK_REPEATED,	    /* record first is here once more */
	BREAK_ALTERED,	    /* record first, or the hash of it in the next, was altered; 0: the
			       first line of all names a record before it, which there cannot be */
	BREAK_NEW_CHAIN, /* record first begins a new chain: the daemon found the old one damaged */
	BREAK_EMPTY,	 /* the last file has no record, though older ones have */
	BREAK_GONE,	 /* the last file is missing */
	BREAK_KIND_MAX_
};
/* "not-a-record", "cut", "missing", ... */
const char *break_kind_name(enum break_kind kind);

struct break_at {
	enum break_kind kind;
	char *path;
	uint64_t line; /* in that file, from 1; 0 for the file as a whole */
	uint64_t first, last;
	uint64_t noted; /* for missing ones: the record in which ccbufd says so; 0 for none */
};

/* Records that a record of the trail reports as missing. */
struct verify_note {
	uint64_t first, last, noted;
};

/* The state of the expected record. */
enum expectation { EXPECT_NONE, EXPECT_UNSEEN, EXPECT_HOLDS, EXPECT_DIFFERS };

struct verify {
	struct chain chain; /* of the record with the highest number so far */
	uint64_t first;	    /* number of the first record; 0 when there was none */
	uint64_t records, files;
	uint64_t deleted; /* ccbufd deleted the records up to this one, as a record says */
	bool continued;	  /* the expected record is the one before the first one */
	struct break_at *breaks;
	size_t n_breaks;
	enum expectation expectation;
	uint64_t expected_sequence;
	char expected_hash[CHAIN_HASH_TEXT];

	/* of the previous record, to report an alteration of it */
	char *last_path;
	uint64_t last_line;
	bool blind; /* the previous line was not a record: its number is not known */

	char *first_path; /* of the first record */
	uint64_t first_line;
	char *file_path; /* of the last file */
	uint64_t file_lines;
	struct verify_note *notes;
	size_t n_notes;
};

#define VERIFY_NONE                                                                                \
	{                                                                                          \
		.records = 0                                                                       \
	}

void verify_done(struct verify *verify);

/* Expects a record with this hash, given as "SEQ:HEX". Returns 0 or -EINVAL. */
int verify_expect(struct verify *verify, const char *text);

/* Continues with a file; takes the fd. Adds what is wrong to breaks. Waits a moment for a last line
 * that is being written. Returns 0; -ESTALE when the file was cut meanwhile; or another negative
 * errno when it could not be read. */
int verify_file(struct verify *verify, const char *path, int *fd);

/* Notes that the last file, path, is missing. Returns 0 or -ENOMEM. */
int verify_gone(struct verify *verify, const char *path);

/* After the last file: adds the breaks that only all files show. Returns 0 or -ENOMEM. */
int verify_end(struct verify *verify);

/* After verify_end(): whether there are records, no breaks, and the expected record is right. */
bool verify_whole(const struct verify *verify);

/* A break in words, for people, without its place. The caller frees it. */
char *break_words(const struct break_at *broken);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Verification of an audit trail. It must never trust a number in a line, except to report where
 * that line claims to belong.
 */
#include "verify.h"

#include <ctype.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lines.h"
#include "output.h"
#include "record-scan.h"
#include "size.h"

/* Tries to read a record that is being written. */
#define TRIES	 50
#define TRY_USEC 10000

void verify_done(struct verify *verify)
{
	for (size_t i = 0; i < verify->n_breaks; i++)
		free(verify->breaks[i].path);
	free(verify->breaks);
	free(verify->last_path);
	free(verify->first_path);
	free(verify->file_path);
	free(verify->notes);
	*verify = (struct verify)VERIFY_NONE;
}

int verify_expect(struct verify *verify, const char *text)
{
	const char *colon = strchr(text, ':');
	char number[24];
	uint64_t sequence;

	if (!colon || (size_t)(colon - text) >= sizeof(number) ||
		strspn(text, "0123456789") != (size_t)(colon - text) ||
		strlen(colon + 1) != CHAIN_HASH_TEXT - 1 ||
		strspn(colon + 1, "0123456789abcdefABCDEF") != CHAIN_HASH_TEXT - 1)
		return -EINVAL;
	memcpy(number, text, (size_t)(colon - text));
	number[colon - text] = 0;
	if (size_parse(number, &sequence) < 0 || !sequence)
		return -EINVAL;
	verify->expectation = EXPECT_UNSEEN;
	verify->expected_sequence = sequence;
	for (size_t i = 0; i < CHAIN_HASH_TEXT; i++)
		verify->expected_hash[i] = (char)tolower((unsigned char)colon[1 + i]);
	return 0;
}

static int add_break(struct verify *verify, enum break_kind kind, const char *path, uint64_t line,
	uint64_t first, uint64_t last)
{
	struct break_at *breaks =
		reallocarray(verify->breaks, verify->n_breaks + 1, sizeof(*breaks));
	char *copy = strdup(path);

	if (breaks)
		verify->breaks = breaks;
	if (!breaks || !copy) {
		free(copy);
		return -ENOMEM;
	}
	breaks[verify->n_breaks++] = (struct break_at){ kind, copy, line, first, last, .noted = 0 };
	return 0;
}

/* The break that reported this record as missing. */
static struct break_at *missed(const struct verify *verify, uint64_t sequence)
{
	for (size_t i = 0; i < verify->n_breaks; i++) {
		struct break_at *b = &verify->breaks[i];

		if ((b->kind == BREAK_MISSING || b->kind == BREAK_REORDERED) &&
			b->first <= sequence && sequence <= b->last)
			return b;
	}
	return NULL;
}

/* The expected record may be the one before the first one here. */
static void compare_before(
	struct verify *verify, const char *text, size_t length, const struct chain *found)
{
	if (verify->expectation == EXPECT_NONE || found->sequence - 1 != verify->expected_sequence)
		return;
	verify->continued =
		strncmp(chain_prev(text, length), verify->expected_hash, CHAIN_HASH_TEXT - 1) == 0;
	verify->expectation = verify->continued ? EXPECT_HOLDS : EXPECT_DIFFERS;
}

/* Reports a valid record that is not the expected one. A later one becomes the end of the chain; an
 * earlier one does not change it. */
static int misplaced(struct verify *verify, const char *path, uint64_t line, const char *text,
	size_t length, const struct chain *found)
{
	uint64_t expected = verify->chain.sequence + 1;
	struct break_at *missing;
	int r = 0;

	if (found->sequence < expected) {
		missing = missed(verify, found->sequence);
		if (missing)
			missing->kind = BREAK_REORDERED;
		return missing ? 0
			       : add_break(verify, BREAK_REPEATED, path, line, found->sequence,
					 found->sequence);
	}
	if (chain_begins(text, length))
		r = add_break(
			verify, BREAK_NEW_CHAIN, path, line, found->sequence, found->sequence);
	else if (!verify->last_path)
		r = add_break(verify, BREAK_ALTERED, path, line, 0, 0);
	else if (found->sequence == expected && !verify->blind)
		r = add_break(verify, BREAK_ALTERED, verify->last_path, verify->last_line,
			verify->chain.sequence, verify->chain.sequence);
	else if (found->sequence > expected + (verify->blind ? 1 : 0))
		r = add_break(verify, BREAK_MISSING, path, line, expected, found->sequence - 1);
	verify->chain = *found;
	return r;
}

/* Follows the chain to a valid record. */
static int link_record(struct verify *verify, const char *path, uint64_t line, const char *text,
	size_t length, const struct chain *found)
{
	if (!verify->first) {
		verify->first = found->sequence;
		verify->first_line = line;
		verify->first_path = strdup(path);
		if (!verify->first_path)
			return -ENOMEM;
		compare_before(verify, text, length, found);
		/* verify_end() reports the records before it. */
		if (found->sequence != 1) {
			verify->chain = *found;
			return chain_begins(text, length)
				       ? add_break(verify, BREAK_NEW_CHAIN, path, line,
						 found->sequence, found->sequence)
				       : 0;
		}
	}
	if (chain_check(&verify->chain, text, length) == 0)
		return 0;
	return misplaced(verify, path, line, text, length, found);
}

static void compare_expected(struct verify *verify)
{
	char hash[CHAIN_HASH_TEXT];

	if (verify->expectation == EXPECT_NONE ||
		verify->chain.sequence != verify->expected_sequence)
		return;
	chain_hash_text(&verify->chain, hash);
	verify->expectation = streq(hash, verify->expected_hash) ? EXPECT_HOLDS : EXPECT_DIFFERS;
}

static int add_note(struct verify *verify, struct json_object *range, uint64_t noted)
{
	struct verify_note *notes =
		reallocarray(verify->notes, verify->n_notes + 1, sizeof(*notes));

	if (!notes)
		return -ENOMEM;
	verify->notes = notes;
	notes[verify->n_notes++] = (struct verify_note){ member_number(range, "first"),
		member_number(range, "last"), noted };
	return 0;
}

static bool holds(const char *text, size_t length, const char *part)
{
	return memmem(text, length, part, strlen(part)) != NULL;
}

/* Takes notes of ccbufd on missing records. */
static int heed(struct verify *verify, const char *text, size_t length)
{
	cleanup(cleanup_json) struct json_object *record = NULL;
	struct json_object *missing, *deleted;
	struct json_tokener *tokener;
	int r = 0;

	/* Few records do. */
	if (!holds(text, length, "\"event\":\"error\"") ||
		!(holds(text, length, ",\"missing\":[{") || holds(text, length, ",\"deleted\":{")))
		return 0;
	tokener = json_tokener_new();
	if (!tokener)
		return -ENOMEM;
	record = json_tokener_parse_ex(tokener, text, (int)length);
	json_tokener_free(tokener);
	if (!streq(member_text(record, "event"), "error"))
		return 0;
	if (json_object_object_get_ex(record, "deleted", &deleted) &&
		member_number(deleted, "last") > verify->deleted)
		verify->deleted = member_number(deleted, "last");
	if (json_object_object_get_ex(record, "missing", &missing) &&
		json_object_is_type(missing, json_type_array))
		for (size_t i = 0; r == 0 && i < json_object_array_length(missing); i++)
			r = add_note(verify, json_object_array_get_idx(missing, i),
				verify->chain.sequence);
	return r;
}

static int verify_line(struct verify *verify, const char *path, uint64_t line,
	const char *untrusted_text, size_t length)
{
	struct chain found;
	char *copy;
	int r;

	r = chain_start(&found, untrusted_text, length);
	if (r < 0 || !record_scan(untrusted_text, length)) {
		r = add_break(verify, BREAK_NOT_A_RECORD, path, line, 0, 0);
		verify->blind = true;
		return r;
	}
	verify->records++;
	r = link_record(verify, path, line, untrusted_text, length, &found);
	if (r < 0)
		return r;
	verify->blind = false;
	compare_expected(verify);
	r = heed(verify, untrusted_text, length);
	if (r < 0)
		return r;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	free(verify->last_path);
	verify->last_path = copy;
	verify->last_line = line;
	return 0;
}

/* Whether more may come at the end of the file. */
static bool again(struct lines *lines, unsigned int *tries)
{
	if (!lines_incomplete(lines) || ++*tries > TRIES)
		return false;
	usleep(TRY_USEC);
	return lines_again(lines) == 0;
}

int verify_file(struct verify *verify, const char *path, int *fd)
{
	cleanup(lines_done) struct lines lines;
	unsigned int tries = 0;
	const char *text;
	size_t length;
	struct stat st;
	int r;

	lines_init(&lines, fd);
	free(verify->file_path);
	verify->file_path = strdup(path);
	verify->file_lines = 0;
	if (!verify->file_path)
		return -ENOMEM;
	verify->files++;
	while ((r = lines_next(&lines, &text, &length)) != 0 || again(&lines, &tries)) {
		if (r < 0 && r != -EMSGSIZE)
			return r;
		if (r == 0)
			continue;
		verify->file_lines++;
		if (r < 0)
			length = 0;
		r = verify_line(verify, path, verify->file_lines, length ? text : "", length);
		if (r < 0)
			return r;
	}
	if (fstat(lines.fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < lines_offset(&lines))
		return -ESTALE;
	if (lines_incomplete(&lines)) {
		verify->blind = true;
		return add_break(verify, BREAK_CUT, path, verify->file_lines + 1, 0, 0);
	}
	return 0;
}

int verify_gone(struct verify *verify, const char *path)
{
	return add_break(verify, BREAK_GONE, path, 0, 0, 0);
}

/* Checks the records before the first one. */
static int check_beginning(struct verify *verify)
{
	struct break_at first;
	int r;

	if (verify->first < 2 || verify->continued || verify->deleted >= verify->first - 1 ||
		(verify->n_breaks && verify->breaks[0].kind == BREAK_NEW_CHAIN &&
			verify->breaks[0].first == verify->first))
		return 0;
	r = add_break(verify, BREAK_MISSING, verify->first_path, verify->first_line,
		verify->deleted + 1, verify->first - 1);
	if (r < 0)
		return r;
	/* In the order of the trail. */
	first = verify->breaks[verify->n_breaks - 1];
	memmove(verify->breaks + 1, verify->breaks,
		(verify->n_breaks - 1) * sizeof(*verify->breaks));
	verify->breaks[0] = first;
	return 0;
}

int verify_end(struct verify *verify)
{
	int r = check_beginning(verify);

	if (r >= 0 && verify->records && verify->files > 1 && !verify->file_lines)
		r = add_break(verify, BREAK_EMPTY, verify->file_path, 0, 0, 0);
	for (size_t i = 0; i < verify->n_breaks; i++)
		for (size_t k = 0; k < verify->n_notes; k++)
			if (verify->breaks[i].kind == BREAK_MISSING &&
				verify->notes[k].first <= verify->breaks[i].first &&
				verify->breaks[i].last <= verify->notes[k].last)
				verify->breaks[i].noted = verify->notes[k].noted;
	return r;
}

bool verify_whole(const struct verify *verify)
{
	return verify->records && !verify->n_breaks &&
	       (verify->expectation == EXPECT_NONE || verify->expectation == EXPECT_HOLDS);
}

const char *break_kind_name(enum break_kind kind)
{
	static const char *const names[BREAK_KIND_MAX_] = {
		[BREAK_NOT_A_RECORD] = "not-a-record",
		[BREAK_CUT] = "cut",
		[BREAK_MISSING] = "missing",
		[BREAK_REORDERED] = "reordered",
		[BREAK_REPEATED] = "repeated",
		[BREAK_ALTERED] = "altered",
		[BREAK_NEW_CHAIN] = "new-chain",
		[BREAK_EMPTY] = "empty",
		[BREAK_GONE] = "gone",
	};

	return names[kind];
}

char *break_words(const struct break_at *broken)
{
	uintmax_t first = broken->first, last = broken->last;
	char range[64], noted[64] = "", *words = NULL;
	int r = -1;

	snprintf(range, sizeof(range), first == last ? "record %ju" : "records %ju to %ju", first,
		last);
	switch (broken->kind) {
	case BREAK_NOT_A_RECORD:
		r = asprintf(&words, "altered: this line is no record");
		break;
	case BREAK_CUT:
		r = asprintf(&words, "cut: the last line is incomplete");
		break;
	case BREAK_MISSING:
		if (broken->noted)
			snprintf(noted, sizeof(noted), "; record %ju of ccbufd says so",
				(uintmax_t)broken->noted);
		r = asprintf(&words, "missing: %s should stand before this line%s", range, noted);
		break;
	case BREAK_REORDERED:
		r = asprintf(&words,
			"reordered: %s should stand before this line, and (in part) stands later",
			range);
		break;
	case BREAK_REPEATED:
		r = asprintf(&words, "reordered: record %ju stands here once more", first);
		break;
	case BREAK_ALTERED:
		if (!first)
			r = asprintf(&words, "altered: the first record does not begin a chain");
		else
			r = asprintf(&words,
				"altered: record %ju is not what record %ju holds the hash of",
				first, first + 1);
		break;
	case BREAK_NEW_CHAIN:
		r = asprintf(&words,
			"new chain: record %ju begins one; ccbufd does so after it found the trail "
			"damaged",
			first);
		break;
	case BREAK_EMPTY:
		r = asprintf(&words,
			"empty: this file has no record, though older ones have: they were cut "
			"off, or none could be written yet");
		break;
	case BREAK_GONE:
		r = asprintf(&words, "gone: this file is not there, though older ones are");
		break;
	case BREAK_KIND_MAX_:
		break;
	}
	if (r < 0)
		abort();
	return words;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Verification of an audit trail. It must never trust a number in a line further than to say where
 * that line claims to belong.
 */
#include "verify.h"

#include <ctype.h>
#include <stdio.h>

#include "lines.h"
#include "size.h"
#include "util.h"

static const char prev_key[] = "\"prev\":\"";

void verify_done(struct verify *verify)
{
	for (size_t i = 0; i < verify->n_breaks; i++)
		free(verify->breaks[i].path);
	free(verify->breaks);
	free(verify->last_path);
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
	breaks[verify->n_breaks++] = (struct break_at){ kind, copy, line, first, last };
	return 0;
}

/* The break that said that this record was missing. */
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

/* Whether the line says that nothing came before it. */
static bool begins_chain(const char *line, size_t length)
{
	const char *prev = memmem(line, length, prev_key, sizeof(prev_key) - 1);

	/* Its form has been checked: 64 digits follow. */
	return prev && strspn(prev + sizeof(prev_key) - 1, "0") >= CHAIN_HASH_TEXT - 1;
}

/* A record, of good form, that is not the one expected here. Goes on from it where it is a later
 * one; an earlier one leaves the chain as it is. */
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
	if (begins_chain(text, length))
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

/* Follows the chain to a record of good form. */
static int link_record(struct verify *verify, const char *path, uint64_t line, const char *text,
	size_t length, const struct chain *found)
{
	if (!verify->first) {
		verify->first = found->sequence;
		/* There may have been older ones that rotation deleted. */
		if (found->sequence != 1) {
			verify->chain = *found;
			return begins_chain(text, length)
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

static int verify_line(struct verify *verify, const char *path, uint64_t line,
	const char *untrusted_text, size_t length)
{
	struct chain found;
	char *copy;
	int r;

	r = chain_start(&found, untrusted_text, length);
	if (r < 0) {
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
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	free(verify->last_path);
	verify->last_path = copy;
	verify->last_line = line;
	return 0;
}

int verify_file(struct verify *verify, const char *path, int *fd)
{
	cleanup(lines_done) struct lines lines;
	uint64_t line = 0;
	const char *text;
	size_t length;
	int r;

	lines_init(&lines, fd);
	verify->files++;
	while ((r = lines_next(&lines, &text, &length)) != 0) {
		if (r < 0 && r != -EMSGSIZE)
			return r;
		line++;
		if (r < 0)
			length = 0;
		r = verify_line(verify, path, line, length ? text : "", length);
		if (r < 0)
			return r;
	}
	if (lines_incomplete(&lines)) {
		verify->blind = true;
		return add_break(verify, BREAK_CUT, path, line + 1, 0, 0);
	}
	return 0;
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
	};

	return names[kind];
}

char *break_words(const struct break_at *broken)
{
	uintmax_t first = broken->first, last = broken->last;
	char range[64], *words = NULL;
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
		r = asprintf(&words, "missing: %s should stand before this line", range);
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
	case BREAK_KIND_MAX_:
		break;
	}
	if (r < 0)
		abort();
	return words;
}

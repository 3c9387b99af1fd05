/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The hash chain of the audit trail. The daemon and `ccbuf-client audit verify` share this code.
 *
 * A record is one line: a JSON object that begins with {"seq":N,"prev":"HEX", and ends with a
 * newline. HEX is the SHA-256 of the line before, its newline not counted; 64 zeros for the very
 * first record (seq 1).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHAIN_HASH_SIZE 32
#define CHAIN_HASH_TEXT (2 * CHAIN_HASH_SIZE + 1)

struct chain {
	uint64_t sequence;	       /* of the last record; 0 before the first */
	uint8_t hash[CHAIN_HASH_SIZE]; /* of the last record's line */
};

/* Advances the chain by a line (without newline). */
void chain_advance(struct chain *chain, const char *line, size_t length);

/* Checks that a line is the next one of the chain, and advances. Returns 0; -EBADMSG when the line
 * does not have the form of a record; -ESTALE when its sequence number is not the expected one;
 * -EKEYREJECTED when its hash of the previous line is not. Unchanged on failure. */
int chain_check(struct chain *chain, const char *untrusted_line, size_t length);

/* Starts at a line in the middle of a trail: takes its sequence number and trusts its hash of the
 * previous line. Returns 0 or -EBADMSG. */
int chain_start(struct chain *chain, const char *untrusted_line, size_t length);

/* For a line of the form of a record: chain_prev() is its hash of the previous line, 64 digits;
 * chain_begins() is whether that is the hash of a first record. */
const char *chain_prev(const char *line, size_t length);
bool chain_begins(const char *line, size_t length);

/* Whether both are at the same record. */
bool chain_same(const struct chain *a, const struct chain *b);

/* The hash of the last record in hex, as the next record has it. */
void chain_hash_text(const struct chain *chain, char text[static CHAIN_HASH_TEXT]);

/* SHA-256 of bytes, in lower-case hex. */
void sha256_text(const void *data, size_t size, char text[static CHAIN_HASH_TEXT]);

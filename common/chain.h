/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The hash chain of the audit trail, as daemon and `ccbuf-client audit verify` both see it.
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

/* Accounts for a line (without newline) that follows in the chain. */
void chain_advance(struct chain *chain, const char *line, size_t length);

/* Checks that a line is the next of the chain and advances. Returns 0; -EBADMSG when it is not of
 * the form of a record; -ESTALE when its sequence number, -EKEYREJECTED when its hash of the
 * previous line is not the one expected. Unchanged on failure. */
int chain_check(struct chain *chain, const char *untrusted_line, size_t length);

/* Starts at a line in the middle of a trail: takes its sequence number, trusts its prev.
 * Returns 0 or -EBADMSG. */
int chain_start(struct chain *chain, const char *untrusted_line, size_t length);

/* The hash of the record before, 64 digits, in a line of the form of a record; whether it is the
 * one of a record that nothing comes before. */
const char *chain_prev(const char *line, size_t length);
bool chain_begins(const char *line, size_t length);

/* Whether both stand at the same record. */
bool chain_same(const struct chain *a, const struct chain *b);

/* The previous hash in hex, as a record carries it. */
void chain_hash_text(const struct chain *chain, char text[static CHAIN_HASH_TEXT]);

/* SHA-256 of bytes, in lower-case hex. */
void sha256_text(const void *data, size_t size, char text[static CHAIN_HASH_TEXT]);

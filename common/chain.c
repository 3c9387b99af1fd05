/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The hash chain of the audit trail. It reads and writes no files.
 */
#include "chain.h"

#include <nettle/sha2.h>
#include <nettle/version.h>

#include "util.h"

static const char prefix[] = "{\"seq\":";
static const char middle[] = ",\"prev\":\"";

static void hash(const void *data, size_t size, uint8_t digest[static CHAIN_HASH_SIZE])
{
	struct sha256_ctx context;

	sha256_init(&context);
	sha256_update(&context, size, data);
#if NETTLE_VERSION_MAJOR >= 4
	sha256_digest(&context, digest);
#else
	sha256_digest(&context, CHAIN_HASH_SIZE, digest);
#endif
}

static void hex(const uint8_t digest[static CHAIN_HASH_SIZE], char text[static CHAIN_HASH_TEXT])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < CHAIN_HASH_SIZE; i++) {
		text[2 * i] = digits[digest[i] >> 4];
		text[2 * i + 1] = digits[digest[i] & 15];
	}
	text[CHAIN_HASH_TEXT - 1] = 0;
}

/* Finds the sequence number and the previous hash of a line, which must have the exact form of a
 * record. */
static int parse(const char *line, size_t length, uint64_t *ret_sequence, const char **ret_prev)
{
	const char *p = line, *end = line + length;
	uint64_t sequence = 0;

	if (length < sizeof(prefix) || memcmp(p, prefix, sizeof(prefix) - 1))
		return -EBADMSG;
	p += sizeof(prefix) - 1;
	if (*p < '1' || *p > '9')
		return -EBADMSG;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(sequence, UINT64_C(10), &sequence) ||
			__builtin_add_overflow(sequence, (uint64_t)(*p - '0'), &sequence))
			return -EBADMSG;
	if ((size_t)(end - p) < sizeof(middle) - 1 + CHAIN_HASH_TEXT + 1 ||
		memcmp(p, middle, sizeof(middle) - 1))
		return -EBADMSG;
	p += sizeof(middle) - 1;
	if (p[CHAIN_HASH_TEXT - 1] != '"' || end[-1] != '}' || memchr(line, '\n', length))
		return -EBADMSG;
	*ret_sequence = sequence;
	*ret_prev = p;
	return 0;
}

void chain_advance(struct chain *chain, const char *line, size_t length)
{
	chain->sequence++;
	hash(line, length, chain->hash);
}

int chain_check(struct chain *chain, const char *untrusted_line, size_t length)
{
	char expected[CHAIN_HASH_TEXT];
	const char *prev;
	uint64_t sequence;
	int r;

	r = parse(untrusted_line, length, &sequence, &prev);
	if (r < 0)
		return r;
	if (sequence != chain->sequence + 1)
		return -ESTALE;
	chain_hash_text(chain, expected);
	if (memcmp(prev, expected, CHAIN_HASH_TEXT - 1))
		return -EKEYREJECTED;
	chain_advance(chain, untrusted_line, length);
	return 0;
}

int chain_start(struct chain *chain, const char *untrusted_line, size_t length)
{
	const char *prev;
	uint64_t sequence;
	int r;

	r = parse(untrusted_line, length, &sequence, &prev);
	if (r < 0)
		return r;
	chain->sequence = sequence;
	hash(untrusted_line, length, chain->hash);
	return 0;
}

const char *chain_prev(const char *line, size_t length)
{
	const char *found = memmem(line, length, middle, sizeof(middle) - 1);

	return found + sizeof(middle) - 1;
}

bool chain_begins(const char *line, size_t length)
{
	return strspn(chain_prev(line, length), "0") >= CHAIN_HASH_TEXT - 1;
}

bool chain_same(const struct chain *a, const struct chain *b)
{
	return a->sequence == b->sequence && memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;
}

void chain_hash_text(const struct chain *chain, char text[static CHAIN_HASH_TEXT])
{
	hex(chain->hash, text);
}

void sha256_text(const void *data, size_t size, char text[static CHAIN_HASH_TEXT])
{
	uint8_t digest[CHAIN_HASH_SIZE];

	hash(data, size, digest);
	hex(digest, text);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory of a policy, freed all at once. Each object has a block of its own, so that memory
 * checkers see its bounds.
 */
#include <stdalign.h>

#include "policy-internal.h"

struct policy_block {
	struct policy_block *next;
	alignas(max_align_t) unsigned char memory[];
};

void *policy_pool_alloc(struct policy_pool *pool, size_t count, size_t size)
{
	struct policy_block *block = NULL;
	size_t bytes;

	if (!__builtin_mul_overflow(count, size, &bytes) &&
		!__builtin_add_overflow(bytes, sizeof(*block), &bytes))
		block = calloc(1, bytes);
	if (!block) {
		pool->failed = true;
		return NULL;
	}
	block->next = pool->blocks;
	pool->blocks = block;
	return block->memory;
}

char *policy_pool_copy(struct policy_pool *pool, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = policy_pool_alloc(pool, size, 1);

	return copy ? memcpy(copy, text, size) : NULL;
}

void policy_pool_done(struct policy_pool *pool)
{
	while (pool->blocks) {
		struct policy_block *next = pool->blocks->next;

		free(pool->blocks);
		pool->blocks = next;
	}
	*pool = (struct policy_pool){ 0 };
}

bool policy_pool_grow(void **array, size_t count, size_t *capacity, size_t size)
{
	size_t wanted = *capacity ? *capacity * 2 : 16;
	void *grown;

	if (count < *capacity)
		return true;
	grown = reallocarray(*array, wanted, size);
	if (!grown)
		return false;
	*array = grown;
	*capacity = wanted;
	return true;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What gcc calls even in a freestanding program. TCG is slow at `rep`: copies go by eight bytes a
 * step, and what fills whole pages, up to the guest's RAM, does without, three times as fast.
 */
#include "base.h"

void *memcpy(void *to, const void *from, size_t n)
{
	void *ret = to;
	size_t words = n / 8, rest = n % 8;

	__asm__ volatile("rep movsq\n\tmov %3, %2\n\trep movsb"
			 : "+D"(to), "+S"(from), "+c"(words)
			 : "r"(rest)
			 : "memory");
	return ret;
}

void *memset(void *to, int byte, size_t n)
{
	u64 word = (u8)byte * 0x0101010101010101ULL, *p = to;
	u8 *rest;

	/* the compiler must not make this loop a call of memset() */
	for (; n >= 64; n -= 64, p += 8) {
		p[0] = p[1] = p[2] = p[3] = p[4] = p[5] = p[6] = p[7] = word;
		__asm__ volatile("" : : : "memory");
	}
	for (rest = (u8 *)p; n > 0; n--) {
		*rest++ = (u8)byte;
		__asm__ volatile("" : : : "memory");
	}
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n > 0; n--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}

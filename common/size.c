/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sizes as people write them. It does not round.
 */
#include "size.h"

#include <stdio.h>

#include "util.h"

static const char units[] = "KMGTPE";

int size_parse(const char *untrusted_text, uint64_t *ret_bytes)
{
	const char *p = untrusted_text;
	uint64_t value = 0;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
			__builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return -ERANGE;
	if (*p) {
		const char *unit = strchr(units, *p);

		if (!unit || (p[1] && !streq(p + 1, "iB")))
			return -EINVAL;
		if (__builtin_mul_overflow(value, UINT64_C(1) << (10 * (unit - units + 1)), &value))
			return -ERANGE;
	}
	*ret_bytes = value;
	return 0;
}

const char *size_format(uint64_t bytes, char text[static SIZE_TEXT_MAX])
{
	int unit = -1;

	while (bytes && bytes % 1024 == 0 && units[unit + 1]) {
		bytes /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(text, SIZE_TEXT_MAX, "%ju", (uintmax_t)bytes);
	else
		snprintf(text, SIZE_TEXT_MAX, "%ju%c", (uintmax_t)bytes, units[unit]);
	return text;
}

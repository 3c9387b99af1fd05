/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Small helpers that daemon, policy, client and tests share: cleanup attributes, ownership
 * transfer, bounded strings. Nothing here knows of grants.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(x)	       (sizeof(x) / sizeof((x)[0]))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))

/* Runs f(&variable) when the variable goes out of scope. */
#define cleanup(f) __attribute__((cleanup(f)))

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

/* Takes the value out of a variable, so that its cleanup does nothing. */
static inline int steal_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define steal_pointer(p)                                                                           \
	({                                                                                         \
		__typeof__(*(p)) taken_ = *(p);                                                    \
		*(p) = NULL;                                                                       \
		taken_;                                                                            \
	})

/* Closes *fd unless it is negative, sets it to -1, keeps errno. */
static inline void close_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/*
 * Copies a string into an array of a fixed size, terminates it and zeroes the rest. Returns false
 * when the string was too long, and copies what fits.
 */
static inline bool copy_string(char *to, size_t size, const char *from)
{
	size_t length = strlen(from), fits = length < size ? length : size - 1;

	memcpy(to, from, fits);
	memset(to + fits, 0, size - fits);
	return fits == length;
}

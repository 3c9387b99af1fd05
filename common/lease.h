/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening files that another process has a lease on (fcntl F_SETLEASE): file servers take such, and
 * so may root. The holder is told of the open and has some time to give the lease up, after which
 * the kernel takes it (/proc/sys/fs/lease-break-time, 45 s mostly).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* As long as leases last where nobody changed it, and some. */
#define LEASE_MSEC 60000

/* Room for the words of lease_words(). */
#define LEASE_WORDS_MAX 256

/*
 * As openat() with O_NONBLOCK added, so that neither a FIFO nor a lease is waited for by the
 * kernel. While a lease is in the way it is tried again for msec: not for a thread that has others
 * to serve. Returns an fd or a negative errno: -EAGAIN when the lease is still there; -EINTR when
 * the process was asked to end meanwhile (a blocked SIGTERM or SIGINT is pending and this is its
 * main thread).
 */
int lease_openat(int folder, const char *name, int flags, mode_t mode, unsigned int msec);

/* Says that there is a lease on a file, and whose, as far as /proc/locks tells. False, and nothing
 * is written, when there is none. */
bool lease_words(int folder, const char *name, char words[static LEASE_WORDS_MAX]);

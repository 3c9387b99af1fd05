/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opens files that another process has a lease on (fcntl F_SETLEASE), such as a file server or a
 * process of root. The kernel tells the holder of the open, which then has some time to give up the
 * lease; after that the kernel breaks it (/proc/sys/fs/lease-break-time, 45 s by default).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A little more than the kernel's default. */
#define LEASE_MSEC 60000

/* Room for the words of lease_words(). */
#define LEASE_WORDS_MAX 256

/*
 * As openat() with O_NONBLOCK added, so that the kernel waits for neither a FIFO nor a lease. While
 * there is a lease, tries again for up to msec milliseconds: not to be called in a thread that
 * serves others. Returns an fd or a negative errno: -EAGAIN when the lease is still there; -EINTR
 * when the process was asked to end meanwhile (a blocked SIGTERM or SIGINT is pending and this is
 * its main thread).
 */
int lease_openat(int folder, const char *name, int flags, mode_t mode, unsigned int msec);

/* Writes that there is a lease on a file, and whose, as far as /proc/locks says. Returns false, and
 * writes nothing, when there is none. */
bool lease_words(int folder, const char *name, char words[static LEASE_WORDS_MAX]);

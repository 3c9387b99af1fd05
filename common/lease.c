/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waits for leases, for a limited time, and only where there is one.
 */
#include "lease.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "util.h"

#define PAUSE_MSEC 20

/* "1: LEASE ACTIVE READ 1234 fd:01:5678 0 EOF"; a waiter has "->" before the kind. */
static bool holds(const char *line, const struct stat *st, int *ret_pid)
{
	unsigned int major, minor;
	unsigned long inode;
	int pid;

	if (sscanf(line, "%*s LEASE %*s %*s %d %x:%x:%lu", &pid, &major, &minor, &inode) != 4 &&
		sscanf(line, "%*s DELEG %*s %*s %d %x:%x:%lu", &pid, &major, &minor, &inode) != 4)
		return false;
	if (major != major(st->st_dev) || minor != minor(st->st_dev) || inode != st->st_ino)
		return false;
	*ret_pid = pid;
	return true;
}

bool lease_words(int folder, const char *name, char words[static LEASE_WORDS_MAX])
{
	FILE *locks = fopen("/proc/locks", "re");
	char line[256];
	struct stat st;
	int pid = 0;
	bool found = false;

	if (locks && fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		while (!found && fgets(line, sizeof(line), locks))
			found = holds(line, &st, &pid);
	if (locks)
		fclose(locks);
	if (found)
		snprintf(words, LEASE_WORDS_MAX,
			"process %d has a lease on it (fcntl F_SETLEASE); end that process, or "
			"wait "
			"until the kernel takes it away (/proc/sys/fs/lease-break-time)",
			pid);
	return found;
}

static bool asked_to_end(void)
{
	sigset_t pending;

	return gettid() == getpid() && sigpending(&pending) == 0 &&
	       (sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT));
}

int lease_openat(int folder, const char *name, int flags, mode_t mode, unsigned int msec)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MSEC * 1000000L };

	for (unsigned int waited = 0;; waited += PAUSE_MSEC) {
		int fd = openat(folder, name, flags | O_NONBLOCK, mode);

		if (fd >= 0 || errno != EAGAIN || waited >= msec)
			return fd < 0 ? -errno : fd;
		if (asked_to_end())
			return -EINTR;
		(void)nanosleep(&pause, NULL);
	}
}

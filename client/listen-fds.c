/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Passes buffers to a program as inherited fds. It does not fork: a grant belongs to the requesting
 * process, which becomes the program.
 */
#include <fcntl.h>
#include <stdio.h>

#include "holding.h"
#include "util.h"

#define LISTEN_FDS_START 3
#define NAME_MAX_BYTES	 255

char *listen_fds_name(const char *name)
{
	char *copy = strndup(name, NAME_MAX_BYTES);

	for (char *p = copy; p && *p; p++)
		if (*p == ':')
			*p = '_';
	return copy;
}

/* Moves fds to 3, 4, ... Some may be where another one has to go, so all are moved out of the way
 * first. */
static int arrange(const int *fds, size_t n_fds)
{
	int moved[CCBUF_COUNT_MAX];

	for (size_t i = 0; i < n_fds; i++) {
		moved[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, LISTEN_FDS_START + (int)n_fds);
		if (moved[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < n_fds; i++)
		if (dup2(moved[i], LISTEN_FDS_START + (int)i) < 0)
			return -errno;
	return 0;
}

int listen_fds_exec(char *const command[], const int *fds, size_t n_fds, const char *name)
{
	cleanup(cleanup_free) char *one = listen_fds_name(name), *names = NULL;
	char number[32];
	size_t size;
	FILE *out;
	int r;

	if (!one)
		return -ENOMEM;
	out = open_memstream(&names, &size);
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < n_fds; i++)
		fprintf(out, "%s%s", i ? ":" : "", one);
	if (fclose(out))
		return -ENOMEM;
	if (setenv("LISTEN_FDNAMES", names, 1) < 0)
		return -errno;
	snprintf(number, sizeof(number), "%zu", n_fds);
	if (setenv("LISTEN_FDS", number, 1) < 0)
		return -errno;
	snprintf(number, sizeof(number), "%jd", (intmax_t)getpid());
	if (setenv("LISTEN_PID", number, 1) < 0)
		return -errno;
	r = arrange(fds, n_fds);
	if (r < 0)
		return r;
	execvp(command[0], command);
	return -errno;
}

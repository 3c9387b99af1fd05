/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's command line.
 */
#pragma once

#include <stdbool.h>

#define OPTIONS_POLICY_DIRS_MAX 8

struct options {
	const char *policy_dirs[OPTIONS_POLICY_DIRS_MAX + 1]; /* NULL-terminated */
	bool own_policy;				      /* --policy was given */
	const char *socket;
	const char *audit;
	const char *heaps;
	bool no_bus, no_journal, no_seccomp;
};

/* Returns 1 to go on, 0 after --help or --version, or -EINVAL after a message. */
int options_parse(int argc, char **argv, struct options *ret_options);

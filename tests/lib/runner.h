/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs the tests of a C program: all, or those that the command line names. Needs libcheck only.
 *
 *	int main(int argc, char *argv[])
 *	{
 *		static const struct test_hooks hooks = { set_up, tear_down };
 *		const struct test tests[] = {
 *			{ simple },
 *			{ one_for_each_case, .times = ARRAY_SIZE(cases) },
 *			{ must_abort, .signal = SIGABRT },
 *			{ NULL },
 *		};
 *		return run_tests(argc, argv, "part", &hooks, tests);
 *	}
 */
#pragma once

#include <check.h>

struct test {
	const TTest *test; /* defined by START_TEST() */
	int times;	   /* a loop test: how often it runs, with _i from 0; otherwise 0 */
	int signal;	   /* the test must die of this signal; 0 if it must not */
};

/* Called in the process of each test, before and after it. */
struct test_hooks {
	void (*set_up)(void);
	void (*tear_down)(void);
};

/* Usage: PROGRAM [--list] [PATTERN...]. A PATTERN is the name of a test function; the shell's * and
 * ? work. Prints the failures last. Returns what main() returns: 1 also for a pattern that matches
 * no test. hooks may be NULL; tests ends with { NULL }. */
int run_tests(int argc, char *argv[], const char *name, const struct test_hooks *hooks,
	const struct test *tests);

/* Compares two numbers that have names, and shows the names. name_of() returns NULL for a number
 * without one. */
#define ck_assert_named(name_of, got, wanted)                                                      \
	do {                                                                                       \
		int got_ = (int)(got), wanted_ = (int)(wanted);                                    \
		const char *got_name_ = name_of(got_), *wanted_name_ = name_of(wanted_);           \
		ck_assert_msg(got_ == wanted_, "%s is %d (%s), not %d (%s)", #got, got_,           \
			got_name_ ? got_name_ : "no name", wanted_,                                \
			wanted_name_ ? wanted_name_ : "no name");                                  \
	} while (0)

/* For those that include verdict.h, or ledger.h. */
#define ck_assert_verdict(got, wanted) ck_assert_named(verdict_name, got, wanted)
#define ck_assert_state(got, wanted)   ck_assert_named(grant_state_name, got, wanted)

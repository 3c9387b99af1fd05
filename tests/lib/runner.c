/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs the tests of a C program, by libcheck. It must never pass when it was asked for a test that
 * is not there.
 */
#include "runner.h"

#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT 60 /* seconds, for one test */

/* patterns ends with NULL. */
static bool chosen(char *const *patterns, const char *name)
{
	if (!*patterns)
		return true;
	for (; *patterns; patterns++)
		if (!fnmatch(*patterns, name, 0))
			return true;
	return false;
}

static bool all_patterns_match(const char *program, char *const *patterns, const struct test *tests)
{
	bool all = true;

	for (; *patterns; patterns++) {
		const struct test *t = tests;

		while (t->test && fnmatch(*patterns, t->test->name, 0))
			t++;
		if (!t->test) {
			printf("%s: no test matches '%s'; --list shows all\n", program, *patterns);
			all = false;
		}
	}
	return all;
}

static int run(const char *name, TCase *tcase)
{
	Suite *suite = suite_create(name);
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

int run_tests(int argc, char *argv[], const char *name, const struct test_hooks *hooks,
	const struct test *tests)
{
	char *const *patterns = argv + 1;
	TCase *tcase;

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		for (; tests->test; tests++)
			puts(tests->test->name);
		return 0;
	}
	if (!all_patterns_match(argv[0], patterns, tests))
		return 1;
	tcase = tcase_create(name);
	tcase_set_timeout(tcase, TIMEOUT);
	if (hooks)
		tcase_add_checked_fixture(tcase, hooks->set_up, hooks->tear_down);
	for (; tests->test; tests++) {
		const TTest *test = tests->test;

		if (!chosen(patterns, test->name))
			continue;
		tcase_add_loop_test_raise_signal(
			tcase, test, tests->signal, 0, tests->times ? tests->times : 1);
	}
	return run(name, tcase);
}

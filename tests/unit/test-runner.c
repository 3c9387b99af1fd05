/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the runner in ../lib, on a few tests that this program has for that: run with SAMPLE in
 * its environment, it runs these.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "runner.h"
#include "util.h"
#include "verdict.h"

START_TEST(sample_good)
{
	printf("good ran\n");
}
END_TEST

START_TEST(sample_each)
{
	printf("each %d ran\n", _i);
}
END_TEST

START_TEST(sample_verdict)
{
	fprintf(stderr, "bad ran\n");
	ck_assert_verdict(CCBUF_NO_RULE, CCBUF_GRANTED);
}
END_TEST

START_TEST(sample_abort)
{
	abort();
}
END_TEST

static int run_samples(int argc, char *argv[])
{
	const struct test tests[] = {
		{ sample_good },
		{ sample_each, .times = 3 },
		{ sample_verdict },
		{ sample_abort, .signal = SIGABRT },
		{ NULL },
	};

	return run_tests(argc, argv, "samples", NULL, tests);
}

static const struct {
	const char *patterns;
	int status;
	const char *says[4]; /* in this order */
	const char *silent;  /* is not in the output; NULL for nothing */
} cases[] = {
	{ "--list", 0, { "sample_good\nsample_each\nsample_verdict\nsample_abort\n" }, "ran" },
	{ "sample_good", 0, { "good ran", "100%: Checks: 1" }, "each" },
	{ "'*_each' '*_good'", 0, { "good ran", "each 0 ran", "each 2 ran", "Checks: 4" }, "bad" },
	{ "sample_abort", 0, { "100%: Checks: 1" }, "ran" },
	{ "", 1, { "good ran", "Checks: 6, Failures: 1, Errors: 0" }, NULL },
	/* names, not numbers alone; and the assertion comes last */
	{ "'sample_v*'", 1,
		{ "bad ran", "samples:sample_verdict:0: CCBUF_NO_RULE is 4 (no-rule), not 0 "
			     "(granted)\n" },
		NULL },
	/* one that matches nothing is a failure even beside one that matches */
	{ "sample_good sample", 1, { "no test matches 'sample'; --list shows all" }, "ran" },
	{ "'sample_x*'", 1, { "no test matches 'sample_x*'" }, "ran" },
};

START_TEST(selects)
{
	char command[256], output[4096];
	const char *at = output;
	FILE *file;
	int status;

	snprintf(command, sizeof(command), "SAMPLE=1 /proc/%d/exe %s 2>&1", (int)getpid(),
		cases[_i].patterns);
	file = popen(command, "re");
	ck_assert_ptr_nonnull(file);
	output[fread(output, 1, sizeof(output) - 1, file)] = 0;
	status = pclose(file);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == cases[_i].status, "%s", output);
	for (size_t i = 0; i < ARRAY_SIZE(cases[_i].says) && cases[_i].says[i]; i++) {
		at = strstr(at, cases[_i].says[i]);
		ck_assert_msg(at, "does not say '%s': %s", cases[_i].says[i], output);
		at += strlen(cases[_i].says[i]);
	}
	if (cases[_i].silent)
		ck_assert_msg(!strstr(output, cases[_i].silent), "%s", output);
	/* nothing behind the assertion that failed */
	if (strstr(output, "sample_verdict:0:"))
		ck_assert_str_eq(strchr(strstr(output, "sample_verdict:0:"), '\n'), "\n");
}
END_TEST

int main(int argc, char *argv[])
{
	const struct test tests[] = {
		{ selects, .times = ARRAY_SIZE(cases) },
		{ NULL },
	};

	if (getenv("SAMPLE"))
		return run_samples(argc, argv);
	return run_tests(argc, argv, "runner", NULL, tests);
}

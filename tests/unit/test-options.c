/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the daemon's command line.
 */
#include <fcntl.h>
#include <getopt.h>
#include <sys/mman.h>

#include "fixture.h"
#include "options.h"
#include "policy-load.h"
#include "wire.h"

#define ARGUMENTS_MAX 32

static struct options options;
static char said[4096];

/* Parses NULL-terminated arguments; what is said on either stream goes to said. */
static int parse(const char *const *arguments)
{
	const char *argv[ARGUMENTS_MAX] = { "ccbufd" };
	int file = memfd_create("said", MFD_CLOEXEC), saved[2] = { dup(1), dup(2) }, argc = 1, r;
	ssize_t n;

	for (; arguments[argc - 1]; argc++)
		argv[argc] = arguments[argc - 1];
	fflush(NULL);
	dup2(file, 1);
	dup2(file, 2);
	optind = 0;
	memset(&options, 0xee, sizeof(options));
	r = options_parse(argc, (char **)argv, &options);
	fflush(NULL);
	for (int i = 0; i < 2; i++) {
		dup2(saved[i], i + 1);
		close(saved[i]);
	}
	n = pread(file, said, sizeof(said) - 1, 0);
	ck_assert_int_ge(n, 0);
	said[n] = 0;
	close(file);
	return r;
}

#define parse(...) parse((const char *const[]){ __VA_ARGS__, NULL })

START_TEST(defaults)
{
	size_t n = 0;

	ck_assert_int_eq(parse(NULL), 1);
	ck_assert_str_eq(said, "");
	for (; policy_default_dirs[n]; n++)
		ck_assert_str_eq(options.policy_dirs[n], policy_default_dirs[n]);
	ck_assert_ptr_null(options.policy_dirs[n]);
	ck_assert(!options.own_policy);
	ck_assert_str_eq(options.socket, WIRE_SOCKET_PATH);
	ck_assert_str_eq(options.heaps, "/dev/dma_heap");
	ck_assert_ptr_nonnull(strstr(options.audit, "/log/ccbufd/audit.jsonl"));
	ck_assert(!options.no_bus && !options.no_journal && !options.no_seccomp);
}
END_TEST

START_TEST(all_options)
{
	ck_assert_int_eq(parse("--policy", "a", "--socket", "s", "--policy=b", "--audit", "l",
				 "--heaps=h", "--no-bus", "--no-journal", "--no-seccomp"),
		1);
	ck_assert_str_eq(said, "");
	ck_assert(options.own_policy);
	ck_assert_str_eq(options.policy_dirs[0], "a");
	ck_assert_str_eq(options.policy_dirs[1], "b");
	ck_assert_ptr_null(options.policy_dirs[2]);
	ck_assert_str_eq(options.socket, "s");
	ck_assert_str_eq(options.audit, "l");
	ck_assert_str_eq(options.heaps, "h");
	ck_assert(options.no_bus && options.no_journal && options.no_seccomp);
}
END_TEST

START_TEST(many_policies)
{
	ck_assert_int_eq(parse("--policy=1", "--policy=2", "--policy=3", "--policy=4", "--policy=5",
				 "--policy=6", "--policy=7", "--policy=8"),
		1);
	ck_assert_str_eq(options.policy_dirs[7], "8");
	ck_assert_ptr_null(options.policy_dirs[8]);
	ck_assert_int_eq(parse("--policy=1", "--policy=2", "--policy=3", "--policy=4", "--policy=5",
				 "--policy=6", "--policy=7", "--policy=8", "--policy=9"),
		-EINVAL);
	ck_assert_ptr_nonnull(strstr(said, "--policy can be given 8 times at most"));
}
END_TEST

START_TEST(mistakes)
{
	struct options before;

	memset(&before, 0xee, sizeof(before));
	ck_assert_int_eq(parse("--nonsense"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(said, "--nonsense"));
	ck_assert_ptr_nonnull(strstr(said, "try ccbufd --help"));
	ck_assert_int_eq(parse("--\x1b[2J\n<0>forged\xff"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(said, "\"--\\x1b[2J\\x0a<0>forged\\xff\""));
	ck_assert_ptr_null(strchr(said, '\x1b'));
	ck_assert_int_eq(parse("--socket"), -EINVAL);
	ck_assert_int_eq(parse("--no-bus=yes"), -EINVAL);
	ck_assert_int_eq(parse("-x"), -EINVAL);
	ck_assert_int_eq(parse("--no-bus", "word"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(said, "unexpected argument \"word\""));
	ck_assert_int_eq(parse("--", "--no-bus"), -EINVAL);
	ck_assert_mem_eq(&options, &before, sizeof(options));
}
END_TEST

START_TEST(help_and_version)
{
	static const char *const all[] = { "--policy", "--socket", "--audit", "--heaps", "--no-bus",
		"--no-journal", "--no-seccomp", "--help", "--version" };

	ck_assert_int_eq(parse("--help"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		ck_assert_msg(strstr(said, all[i]), "%s", all[i]);
	ck_assert_int_eq(parse("--version", "--nonsense"), 0);
	ck_assert_int_eq(strncmp(said, "ccbufd ", 7), 0);
}
END_TEST

int main(int argc, char *argv[])
{
	const struct test tests[] = {
		{ defaults },
		{ all_options },
		{ many_policies },
		{ mistakes },
		{ help_and_version },
		{ NULL },
	};

	return run_tests(argc, argv, "options", NULL, tests);
}

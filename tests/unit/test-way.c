/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the way to a file: who could put another one in its place. As root and as anybody; what
 * needs another owner is done by root only.
 */
#include <fcntl.h>
#include <stdio.h>

#include "runner.h"
#include "util.h"
#include "way.h"

static const struct unmapped none;
static char base[32];

static void setup(void)
{
	strcpy(base, "/tmp/test-way-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	ck_assert_int_eq(chmod(base, 0755), 0);
	ck_assert_int_eq(chdir(base), 0);
	ck_assert_int_eq(mkdir("a", 0755), 0);
	ck_assert_int_eq(mkdir("a/b", 0755), 0);
	ck_assert_int_eq(mkdir("a/b/c", 0700), 0);
}

static void teardown(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", base);
	ck_assert_int_eq(system(command), 0);
}

/* The way to a path in the folder ends so; with a path that, and the trust, where it is 1. */
static void expect(const char *path, int result, const char *end_path, enum way_trust trust)
{
	char whole[128], wanted[128];
	int fd = -1;

	for (int absolute = 0; absolute < 2; absolute++) {
		struct way_end end;
		int r;

		snprintf(whole, sizeof(whole), "%s%s%s", absolute ? base : "", absolute ? "/" : "",
			path);
		r = way_open(whole, getuid(), &none, &fd, &end);
		ck_assert_msg(r == result, "%s: %d at %s", whole, r, end.path);
		snprintf(wanted, sizeof(wanted), "%s%s%s", base, *end_path ? "/" : "", end_path);
		if (r == 0)
			ck_assert_ptr_null(end.path);
		else
			ck_assert_str_eq(end.path, wanted);
		if (r == 1)
			ck_assert_int_eq(way_judge(&end.st, getuid(), &none), trust);
		close_fd(&fd);
		free(end.path);
	}
}

static void expect_good(const char *path)
{
	expect(path, 0, "", WAY_TRUSTED);
}

START_TEST(good)
{
	struct stat st, wanted;
	struct way_end end;
	int fd = -1;

	expect_good("a/b/c");
	expect_good("./a//b/../b/c/");
	expect_good("a/../../../../../../tmp/../tmp");
	expect_good(".");
	ck_assert_int_eq(way_open("/", getuid(), &none, &fd, &end), 0);
	close_fd(&fd);
	ck_assert_int_eq(way_open("a/b", getuid(), &none, &fd, &end), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(stat("a/b", &wanted), 0);
	ck_assert_uint_eq(st.st_ino, wanted.st_ino);
	close_fd(&fd);
}
END_TEST

START_TEST(not_there)
{
	expect("a/x", -ENOENT, "a/x", WAY_TRUSTED);
	expect("a/x/y", -ENOENT, "a/x", WAY_TRUSTED);
	close(open("f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	expect_good("f");
	expect("f/x", -ENOTDIR, "f/x", WAY_TRUSTED);
}
END_TEST

START_TEST(folders_that_others_may_write)
{
	ck_assert_int_eq(chmod("a", 0777), 0);
	expect("a/b/c", 1, "a", WAY_OTHERS);
	expect("a/b", 1, "a", WAY_OTHERS);
	/* the last is for the caller to judge */
	expect_good("a");
	ck_assert_int_eq(chmod("a", 0775), 0);
	expect("a/b/c", 1, "a", WAY_GROUP);
	/* only what is his own */
	ck_assert_int_eq(chmod("a", 01777), 0);
	expect_good("a/b/c");
	ck_assert_int_eq(chmod("a", 0755), 0);
	ck_assert_int_eq(chmod("a/b", 0757), 0);
	expect("a/b/c", 1, "a/b", WAY_OTHERS);
	expect("a/b/../../a", 1, "a/b", WAY_OTHERS);
	expect_good("a/b");
}
END_TEST

START_TEST(links)
{
	ck_assert_int_eq(mkdir("open", 0755), 0);
	ck_assert_int_eq(mkdir("open/in", 0755), 0);
	ck_assert_int_eq(symlink("a/b", "relative"), 0);
	ck_assert_int_eq(symlink("../relative/c", "a/through"), 0);
	ck_assert_int_eq(symlink("../open/in", "a/side"), 0);
	ck_assert_int_eq(symlink("gone", "dangling"), 0);
	ck_assert_int_eq(symlink("loop", "loop"), 0);
	expect_good("relative");
	expect_good("relative/c");
	expect_good("a/through");
	expect_good("a/side");
	expect("dangling", -ENOENT, "gone", WAY_TRUSTED);
	expect("loop", -ELOOP, "loop", WAY_TRUSTED);
	/* where the link leads is on the way, too */
	ck_assert_int_eq(chmod("open", 0777), 0);
	expect("a/side", 1, "open", WAY_OTHERS);
	/* and where it lies */
	ck_assert_int_eq(chmod("open", 0755), 0);
	ck_assert_int_eq(chmod("a", 0777), 0);
	expect("a/side", 1, "a", WAY_OTHERS);
}
END_TEST

START_TEST(owners)
{
	static const struct unmapped some = { .uids = true, .uid = 65534 };
	struct way_end end;
	struct stat st;
	int fd = -1;

	if (getuid() != 0)
		return;
	ck_assert_int_eq(symlink("a", "link"), 0);
	ck_assert_int_eq(chown("a", 65534, 0), 0);
	expect("a/b", 1, "a", WAY_OWNER);
	ck_assert_int_eq(way_open("a/b", 65534, &none, &fd, &end), 0);
	close_fd(&fd);
	/* of the same number, but whose? */
	ck_assert_int_eq(way_open("a/b", 65534, &some, &fd, &end), 1);
	ck_assert_int_eq(way_judge(&end.st, 65534, &some), WAY_UNMAPPED);
	free(end.path);
	ck_assert_int_eq(chown("a", 0, 0), 0);
	ck_assert_int_eq(lchown("link", 1, 1), 0);
	expect("link/b", 1, "link", WAY_OWNER);
	ck_assert_int_eq(stat("a", &st), 0);
	st.st_uid = UINT32_MAX;
	ck_assert_int_eq(way_judge(&st, UINT32_MAX, &none), WAY_UNMAPPED);
}
END_TEST

START_TEST(words)
{
	struct stat st = { .st_uid = 7, .st_mode = S_IFDIR | 0755 };
	struct unmapped some = { .uids = true, .uid = 7 };
	char text[WAY_WORDS_MAX];

	ck_assert_str_eq(way_words(text, &st, 0, &none), "belongs to user 7");
	ck_assert_ptr_nonnull(
		strstr(way_words(text, &st, 7, &some), "belongs to user 7, which in"));
	st.st_mode = S_IFDIR | 02775;
	ck_assert_str_eq(way_words(text, &st, 7, &none), "may be written by its group (mode 2775)");
	st.st_mode = S_IFDIR | 0777;
	ck_assert_str_eq(way_words(text, &st, 7, &none), "may be written by everyone (mode 0777)");
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { setup, teardown };
	const struct test tests[] = {
		{ good },
		{ not_there },
		{ folders_that_others_may_write },
		{ links },
		{ owners },
		{ words },
		{ NULL },
	};

	umask(022);
	return run_tests(argc, argv, "way", &hooks, tests);
}

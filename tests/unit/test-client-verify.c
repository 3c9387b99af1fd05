/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of audit verification on made trails: whole ones, and each way to break one.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

#include "lines.h"
#include "runner.h"
#include "trail.h"
#include "util.h"
#include "verify.h"

#define RECORDS 12

static char lines[RECORDS][256];
static struct chain chains[RECORDS]; /* as of each record */
static struct verify verify;

static void setup(void)
{
	struct chain chain = { 0 };
	char prev[CHAIN_HASH_TEXT];

	for (size_t i = 0; i < RECORDS; i++) {
		chain_hash_text(&chain, prev);
		snprintf(lines[i], sizeof(lines[i]),
			"{\"seq\":%zu,\"prev\":\"%s\",\"event\":\"grant\",\"use\":\"rdma\"}", i + 1,
			prev);
		chain_advance(&chain, lines[i], strlen(lines[i]));
		chains[i] = chain;
	}
	verify = (struct verify)VERIFY_NONE;
}

static void teardown(void)
{
	verify_done(&verify);
}

static void feed_text(const char *path, const char *text, size_t size)
{
	int fd = memfd_create("trail", MFD_CLOEXEC);

	ck_assert_int_eq((int)write(fd, text, size), (int)size);
	lseek(fd, 0, SEEK_SET);
	ck_assert_int_eq(verify_file(&verify, path, &fd), 0);
	ck_assert_int_eq(fd, -1);
}

/* One file with these records, named by number; 0 ends. */
static void feed(const char *path, const unsigned int *numbers)
{
	char text[64 * 256] = "";

	for (; *numbers; numbers++) {
		strcat(text, lines[*numbers - 1]);
		strcat(text, "\n");
	}
	feed_text(path, text, strlen(text));
}

#define FEED(path, ...) feed(path, (const unsigned int[]){ __VA_ARGS__, 0 })

static void expect_break(size_t i, enum break_kind kind, const char *path, uint64_t line,
	uint64_t first, uint64_t last)
{
	cleanup(cleanup_free) char *words = NULL;

	ck_assert_uint_lt(i, verify.n_breaks);
	ck_assert_str_eq(break_kind_name(verify.breaks[i].kind), break_kind_name(kind));
	ck_assert_str_eq(verify.breaks[i].path, path);
	ck_assert_uint_eq(verify.breaks[i].line, line);
	ck_assert_uint_eq(verify.breaks[i].first, first);
	ck_assert_uint_eq(verify.breaks[i].last, last);
	words = break_words(&verify.breaks[i]);
	ck_assert_uint_gt(strlen(words), 10);
	ck_assert(!verify_whole(&verify));
}

START_TEST(whole)
{
	FEED("a", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
	ck_assert(verify_whole(&verify));
	ck_assert_uint_eq(verify.first, 1);
	ck_assert_uint_eq(verify.chain.sequence, RECORDS);
	ck_assert_uint_eq(verify.records, RECORDS);
	ck_assert_mem_eq(verify.chain.hash, chains[RECORDS - 1].hash, CHAIN_HASH_SIZE);
}
END_TEST

START_TEST(whole_over_files)
{
	FEED("a.1", 1, 2, 3);
	FEED("a.4", 4, 5, 6, 7);
	feed_text("a.empty", "", 0);
	FEED("a", 8, 9);
	ck_assert(verify_whole(&verify));
	ck_assert_uint_eq(verify.files, 4);
	ck_assert_uint_eq(verify.chain.sequence, 9);
}
END_TEST

/* The records from one number on made anew, after record i has this text in the place of its use.
 */
static void say_in(size_t number, const char *text)
{
	struct chain chain = number > 1 ? chains[number - 2] : (struct chain){ 0 };
	char prev[CHAIN_HASH_TEXT];

	for (size_t i = number - 1; i < RECORDS; i++) {
		chain_hash_text(&chain, prev);
		snprintf(lines[i], sizeof(lines[i]), "{\"seq\":%zu,\"prev\":\"%s\",%s}", i + 1,
			prev, i == number - 1 ? text : "\"event\":\"grant\"");
		chain_advance(&chain, lines[i], strlen(lines[i]));
		chains[i] = chain;
	}
}

static void end(void)
{
	ck_assert_int_eq(verify_end(&verify), 0);
}

/* Where the first file was removed, nothing says that it may. */
START_TEST(beginning_removed)
{
	FEED("a.4", 4, 5);
	FEED("a", 6, 8);
	end();
	ck_assert_uint_eq(verify.n_breaks, 2);
	expect_break(0, BREAK_MISSING, "a.4", 1, 1, 3);
	expect_break(1, BREAK_MISSING, "a", 2, 7, 7);
	ck_assert_uint_eq(verify.first, 4);
}
END_TEST

/* What ccbufd deletes it says. */
START_TEST(beginning_deleted)
{
	say_in(7, "\"event\":\"error\",\"deleted\":{\"first\":1,\"last\":3}");
	FEED("a.4", 4, 5);
	FEED("a", 6, 7);
	end();
	ck_assert(verify_whole(&verify));
	ck_assert_uint_eq(verify.deleted, 3);
	/* But not for more than that. */
	verify_done(&verify);
	FEED("a", 6, 7);
	end();
	ck_assert_uint_eq(verify.n_breaks, 1);
	expect_break(0, BREAK_MISSING, "a", 1, 4, 5);
	/* Others, who have no word in the trail, may write such a thing where they can. */
	verify_done(&verify);
	say_in(7, "\"event\":\"grant\",\"label\":\"\\\"event\\\":\\\"error\\\",\\\"deleted\\\":{\""
		  ",\"deleted\":{\"first\":1,\"last\":5}");
	FEED("a", 6, 7);
	end();
	expect_break(0, BREAK_MISSING, "a", 1, 1, 5);
}
END_TEST

/* Missing is missing, also where ccbufd saw it. */
START_TEST(missing_as_noted)
{
	cleanup(cleanup_free) char *words = NULL;

	say_in(9, "\"event\":\"error\",\"missing\":[{\"first\":1,\"last\":2},{\"first\":5,\"last\":"
		  "8}]");
	FEED("a", 3, 4, 6, 7, 9, 10, 12);
	end();
	ck_assert_uint_eq(verify.n_breaks, 4);
	expect_break(0, BREAK_MISSING, "a", 1, 1, 2);
	expect_break(1, BREAK_MISSING, "a", 3, 5, 5);
	expect_break(2, BREAK_MISSING, "a", 5, 8, 8);
	expect_break(3, BREAK_MISSING, "a", 7, 11, 11);
	for (size_t i = 0; i < 4; i++)
		ck_assert_uint_eq(verify.breaks[i].noted, i < 3 ? 9 : 0);
	words = break_words(&verify.breaks[0]);
	ck_assert_ptr_nonnull(strstr(words, "record 9 of ccbufd says so"));
}
END_TEST

START_TEST(last_file_is_empty_or_gone)
{
	FEED("a.1", 1, 2);
	feed_text("a", "", 0);
	end();
	ck_assert_uint_eq(verify.n_breaks, 1);
	expect_break(0, BREAK_EMPTY, "a", 0, 0, 0);
	verify_done(&verify);
	FEED("a.1", 1, 2);
	ck_assert_int_eq(verify_gone(&verify, "a"), 0);
	end();
	ck_assert_uint_eq(verify.n_breaks, 1);
	expect_break(0, BREAK_GONE, "a", 0, 0, 0);
}
END_TEST

/* With the right hash, but not as ccbufd writes: only who may write the trail can make it. */
START_TEST(form_of_a_record)
{
	static const char *const bad[] = {
		"\"event\":\"deny\",\"event\":\"grant\"",
		"\"seq\":3",
		"garbage",
		"\"a\" :1",
		"\"a\":1,",
		"\"a\":01",
		"\"a\":-1",
		"\"a\":1.5",
		"\"a\":null",
		"\"a\":tru",
		"\"a\":\"\x01\"",
		"\"a\":\"\\x\"",
		"\"a\":\"\\u12g4\"",
		"\"a\":{\"b\":1,\"b\":2}",
		"\"a\":[1,]",
		"\"a\":[[[[[[[[[1]]]]]]]]]",
		"\"a\":1}{\"b\":2",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		setup();
		say_in(2, bad[i]);
		FEED("a", 1, 2, 3);
		end();
		ck_assert_msg(verify.n_breaks == 1, "%s", bad[i]);
		expect_break(0, BREAK_NOT_A_RECORD, "a", 2, 0, 0);
		verify_done(&verify);
	}
	setup();
	say_in(2, "\"a\":{\"b\":[1,2,{}],\"c\":true},\"b\":false,\"c\":\"\\u00e9\\\"\\\\\",\"d\":[]"
		  ",\"e\":0");
	FEED("a", 1, 2, 3);
	end();
	ck_assert(verify_whole(&verify));
}
END_TEST

static void *complete_line(void *userdata)
{
	int *fd = userdata;

	usleep(30000);
	ck_assert_int_eq((int)write(*fd, "\n", 1), 1);
	return NULL;
}

/* A record that is written while it is read is no cut one. */
START_TEST(last_line_is_written)
{
	int fd = memfd_create("trail", MFD_CLOEXEC), reader;
	pthread_t thread;
	char path[64];

	dprintf(fd, "%s\n%s", lines[0], lines[1]);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(pthread_create(&thread, NULL, complete_line, &fd), 0);
	ck_assert_int_eq(verify_file(&verify, "a", &reader), 0);
	pthread_join(thread, NULL);
	end();
	ck_assert(verify_whole(&verify));
	ck_assert_uint_eq(verify.records, 2);
	close(fd);
}
END_TEST

START_TEST(nothing)
{
	feed_text("a", "", 0);
	ck_assert(!verify_whole(&verify));
	ck_assert_uint_eq(verify.n_breaks, 0);
}
END_TEST

START_TEST(altered)
{
	*strstr(lines[4], "rdma") = 'R';
	FEED("a", 1, 2, 3, 4, 5, 6, 7, 8);
	ck_assert_uint_eq(verify.n_breaks, 1);
	expect_break(0, BREAK_ALTERED, "a", 5, 5, 5);
	ck_assert_uint_eq(verify.chain.sequence, 8);
}
END_TEST

START_TEST(altered_at_the_end_of_a_file)
{
	*strstr(lines[2], "rdma") = 'R';
	FEED("a.1", 1, 2, 3);
	FEED("a", 4, 5);
	ck_assert_uint_eq(verify.n_breaks, 1);
	expect_break(0, BREAK_ALTERED, "a.1", 3, 3, 3);
}
END_TEST

START_TEST(altered_beyond_recognition)
{
	lines[4][0] = '[';
	FEED("a", 1, 2, 3, 4, 5, 6, 7, 8);
	ck_assert_uint_eq(verify.n_breaks, 1);
	expect_break(0, BREAK_NOT_A_RECORD, "a", 5, 0, 0);
	ck_assert_uint_eq(verify.chain.sequence, 8);
}
END_TEST

START_TEST(first_altered)
{
	lines[0][20] = 'f';
	FEED("a", 1);
	expect_break(0, BREAK_ALTERED, "a", 1, 0, 0);
}
END_TEST

START_TEST(missing)
{
	FEED("a", 1, 2, 3, 6, 7, 8, 10, 11);
	ck_assert_uint_eq(verify.n_breaks, 2);
	expect_break(0, BREAK_MISSING, "a", 4, 4, 5);
	expect_break(1, BREAK_MISSING, "a", 7, 9, 9);
}
END_TEST

START_TEST(missing_file)
{
	FEED("a.1", 1, 2);
	FEED("a", 5, 6);
	ck_assert_uint_eq(verify.n_breaks, 1);
	expect_break(0, BREAK_MISSING, "a", 1, 3, 4);
}
END_TEST

START_TEST(reordered)
{
	FEED("a", 1, 2, 4, 3, 5, 6, 9, 10, 7, 8, 11);
	ck_assert_uint_eq(verify.n_breaks, 2);
	expect_break(0, BREAK_REORDERED, "a", 3, 3, 3);
	expect_break(1, BREAK_REORDERED, "a", 7, 7, 8);
	ck_assert_uint_eq(verify.chain.sequence, 11);
}
END_TEST

START_TEST(repeated)
{
	FEED("a", 1, 2, 3, 2, 4);
	ck_assert_uint_eq(verify.n_breaks, 1);
	expect_break(0, BREAK_REPEATED, "a", 4, 2, 2);
}
END_TEST

START_TEST(cut)
{
	char text[600];

	snprintf(text, sizeof(text), "%s\n%s", lines[0], lines[1]);
	feed_text("a", text, strlen(text));
	ck_assert_uint_eq(verify.n_breaks, 1);
	expect_break(0, BREAK_CUT, "a", 2, 0, 0);
}
END_TEST

START_TEST(cut_in_the_middle)
{
	lines[3][40] = 0;
	FEED("a", 1, 2, 3, 4, 5, 6);
	ck_assert_uint_eq(verify.n_breaks, 1);
	expect_break(0, BREAK_NOT_A_RECORD, "a", 4, 0, 0);
}
END_TEST

START_TEST(new_chain)
{
	char *prev = strstr(lines[5], "\"prev\":\"") + 8;

	memset(prev, '0', CHAIN_HASH_TEXT - 1);
	FEED("a", 1, 2, 3, 6);
	ck_assert_uint_eq(verify.n_breaks, 1);
	expect_break(0, BREAK_NEW_CHAIN, "a", 4, 6, 6);
	/* Also where nothing is left of the old one. */
	verify_done(&verify);
	FEED("a", 6);
	ck_assert_uint_eq(verify.n_breaks, 1);
	expect_break(0, BREAK_NEW_CHAIN, "a", 1, 6, 6);
}
END_TEST

START_TEST(line_too_long)
{
	size_t size = 3 * LINES_MAX;
	cleanup(cleanup_free) char *text = malloc(size);
	size_t at = (size_t)snprintf(text, size, "%s\n", lines[0]);

	memset(text + at, 'x', 2 * LINES_MAX);
	at += 2 * LINES_MAX;
	at += (size_t)snprintf(text + at, size - at, "\n%s\n", lines[1]);
	feed_text("a", text, at);
	ck_assert_uint_eq(verify.n_breaks, 1);
	expect_break(0, BREAK_NOT_A_RECORD, "a", 2, 0, 0);
	ck_assert_uint_eq(verify.chain.sequence, 2);
}
END_TEST

static void expect(size_t number, char flip)
{
	char hash[CHAIN_HASH_TEXT], text[128];

	chain_hash_text(&chains[number - 1], hash);
	if (flip)
		hash[0] = hash[0] == flip ? '0' : flip;
	snprintf(text, sizeof(text), "%zu:%s", number, hash);
	ck_assert_int_eq(verify_expect(&verify, text), 0);
}

START_TEST(expectations)
{
	ck_assert_int_eq(verify_expect(&verify, ""), -EINVAL);
	ck_assert_int_eq(verify_expect(&verify, "12"), -EINVAL);
	ck_assert_int_eq(verify_expect(&verify, "12:abc"), -EINVAL);
	ck_assert_int_eq(verify_expect(&verify, "x:abc"), -EINVAL);
	expect(5, 0);
	FEED("a", 1, 2, 3, 4, 5, 6, 7);
	ck_assert(verify_whole(&verify));
	verify_done(&verify);

	expect(7, 0);
	FEED("a", 1, 2, 3, 4, 5);
	ck_assert_uint_eq(verify.n_breaks, 0);
	ck_assert_int_eq(verify.expectation, EXPECT_UNSEEN);
	ck_assert(!verify_whole(&verify));
	verify_done(&verify);

	expect(5, 'a');
	FEED("a", 1, 2, 3, 4, 5);
	ck_assert_int_eq(verify.expectation, EXPECT_DIFFERS);
	ck_assert(!verify_whole(&verify));
	verify_done(&verify);

	/* The one just before the first: what came before is accounted for. */
	expect(4, 0);
	FEED("a", 5, 6);
	end();
	ck_assert(verify_whole(&verify) && verify.continued);
	verify_done(&verify);
	expect(4, 'a');
	FEED("a", 5, 6);
	end();
	ck_assert_int_eq(verify.expectation, EXPECT_DIFFERS);
	expect_break(0, BREAK_MISSING, "a", 1, 1, 4);
	verify_done(&verify);
	expect(3, 0);
	FEED("a", 5, 6);
	end();
	ck_assert_int_eq(verify.expectation, EXPECT_UNSEEN);
}
END_TEST

static void put_file(const char *folder, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

START_TEST(files_of_a_trail)
{
	static const char *const names[] = { "audit.jsonl.00000000000000000009",
		"audit.jsonl.00000000000000000001", "audit.jsonl.damaged-3", "audit.jsonl.1",
		"audit.jsonl.0000000000000000000x", "other.00000000000000000002", "audit.jsonl" };
	char folder[] = "/tmp/test-client-verify-XXXXXX", path[256];
	cleanup(trail_done) struct trail trail = TRAIL_NONE;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/audit.jsonl", folder);
	ck_assert_int_eq(trail_open(&trail, path, true), -ENOENT);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		put_file(folder, names[i], "");
	ck_assert_int_eq(trail_open(&trail, path, true), 0);
	ck_assert_uint_eq(trail.n_files, 3);
	ck_assert_uint_eq(trail.files[0].first, 1);
	ck_assert_uint_eq(trail.files[1].first, 9);
	ck_assert_uint_eq(trail.files[2].first, 0);
	ck_assert_str_eq(trail.files[2].path, path);
	ck_assert(!trail.gone);
	ck_assert_int_eq(trail_open(&trail, folder, false), -EINVAL);
	trail_done(&trail);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(trail_open(&trail, path, true), 0);
	ck_assert_uint_eq(trail.n_files, 2);
	ck_assert(trail.gone);
	trail_done(&trail);
	ck_assert_int_eq(trail_open(&trail, path, false), -ENOENT);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { setup, teardown };
	const struct test tests[] = {
		{ whole },
		{ whole_over_files },
		{ beginning_removed },
		{ beginning_deleted },
		{ missing_as_noted },
		{ last_file_is_empty_or_gone },
		{ form_of_a_record },
		{ last_line_is_written },
		{ nothing },
		{ altered },
		{ altered_at_the_end_of_a_file },
		{ altered_beyond_recognition },
		{ first_altered },
		{ missing },
		{ missing_file },
		{ reordered },
		{ repeated },
		{ cut },
		{ cut_in_the_middle },
		{ new_chain },
		{ line_too_long },
		{ expectations },
		{ files_of_a_trail },
		{ NULL },
	};

	return run_tests(argc, argv, "client-verify", &hooks, tests);
}

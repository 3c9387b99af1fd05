/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of common/: sizes, names, verdicts, the hash chain.
 */
#include <stdio.h>

#include "chain.h"
#include "request.h"
#include "runner.h"
#include "size.h"
#include "unmapped.h"
#include "util.h"
#include "verdict.h"
#include "wire.h"

START_TEST(sizes)
{
	static const struct {
		const char *text;
		int r;
		uint64_t bytes;
	} cases[] = {
		{ "0", 0, 0 },
		{ "4096", 0, 4096 },
		{ "64K", 0, 65536 },
		{ "64KiB", 0, 65536 },
		{ "2G", 0, UINT64_C(2) << 30 },
		{ "15E", 0, UINT64_C(15) << 60 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "16E", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "1.5G", -EINVAL, 0 },
		{ "1k", -EINVAL, 0 },
		{ "1KB", -EINVAL, 0 },
		{ "K", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t bytes = 0;

		ck_assert_msg(size_parse(cases[i].text, &bytes) == cases[i].r, "%s", cases[i].text);
		ck_assert_msg(bytes == cases[i].bytes, "%s", cases[i].text);
	}
}
END_TEST

START_TEST(sizes_formatted)
{
	char text[SIZE_TEXT_MAX];

	ck_assert_str_eq(size_format(0, text), "0");
	ck_assert_str_eq(size_format(1, text), "1");
	ck_assert_str_eq(size_format(1025, text), "1025");
	ck_assert_str_eq(size_format(65536, text), "64K");
	ck_assert_str_eq(size_format(UINT64_C(3) << 30, text), "3G");
	ck_assert_str_eq(size_format(UINT64_MAX, text), "18446744073709551615");
}
END_TEST

START_TEST(names)
{
	char long_name[USE_NAME_MAX + 2];

	memset(long_name, 'a', sizeof(long_name));
	long_name[USE_NAME_MAX + 1] = 0;
	ck_assert(!use_name_valid(long_name));
	long_name[USE_NAME_MAX] = 0;
	ck_assert(use_name_valid(long_name));
	ck_assert(use_name_valid("rdma.2_x-y"));
	ck_assert(!use_name_valid(""));
	ck_assert(!use_name_valid(".hidden"));
	ck_assert(!use_name_valid("-option"));
	ck_assert(!use_name_valid("a/b"));
	ck_assert(!use_name_valid("a\nb"));
	ck_assert(!use_name_valid("\xc3\xa9"));
	ck_assert(label_valid(""));
	ck_assert(label_valid("ring buffer ~ 1"));
	ck_assert(!label_valid("tab\t"));
	ck_assert(!label_valid("\x7f"));
	ck_assert(!label_valid("0123456789012345678901234567890x"));
	ck_assert(label_valid("0123456789012345678901234567890"));
}
END_TEST

START_TEST(verdicts)
{
	for (unsigned int i = 0; i < VERDICT_MAX_; i++) {
		ck_assert_ptr_nonnull(verdict_words(i));
		ck_assert_int_eq(verdict_from_name(verdict_name(i)), (int)i);
		ck_assert_int_eq(verdict_from_name(verdict_error_name(i)), (int)i);
	}
	ck_assert_ptr_null(verdict_name(VERDICT_MAX_));
	ck_assert_ptr_null(verdict_error_name(VERDICT_MAX_));
	ck_assert_ptr_null(verdict_words(VERDICT_MAX_));
	ck_assert_int_eq(verdict_from_name("nonsense"), -1);
	ck_assert_int_eq(verdict_from_name("unknown-use"), CCBUF_UNKNOWN_USE);
}
END_TEST

START_TEST(exposures)
{
	for (int i = 0; i < EXPOSURE_MAX_; i++)
		ck_assert_int_eq(exposure_from_name(exposure_name((enum exposure)i)), i);
	ck_assert_int_eq(exposure_from_name("public"), -1);
}
END_TEST

static size_t line_of(const struct chain *chain, char *line, size_t size, const char *rest)
{
	char prev[CHAIN_HASH_TEXT];

	chain_hash_text(chain, prev);
	return (size_t)snprintf(line, size, "{\"seq\":%ju,\"prev\":\"%s\",%s}",
		(uintmax_t)chain->sequence + 1, prev, rest);
}

START_TEST(chain)
{
	struct chain writer = { 0 }, reader = { 0 }, middle = { 0 };
	char line[512];
	size_t length;

	for (int i = 0; i < 20; i++) {
		length = line_of(&writer, line, sizeof(line), "\"event\":\"x\"");
		chain_advance(&writer, line, length);
		ck_assert_int_eq(chain_check(&reader, line, length), 0);
		if (i == 9)
			ck_assert_int_eq(chain_start(&middle, line, length), 0);
		if (i > 9)
			ck_assert_int_eq(chain_check(&middle, line, length), 0);
	}
	ck_assert_int_eq((int)reader.sequence, 20);
	ck_assert_mem_eq(reader.hash, writer.hash, CHAIN_HASH_SIZE);
	ck_assert_mem_eq(middle.hash, writer.hash, CHAIN_HASH_SIZE);

	length = line_of(&writer, line, sizeof(line), "\"event\":\"y\"");
	for (size_t i = 0; i <= length; i++)
		if (i != length)
			ck_assert_int_eq(chain_check(&reader, line, i), -EBADMSG);
	line[12] = '9';
	ck_assert_int_lt(chain_check(&reader, line, length), 0);
	length = line_of(&writer, line, sizeof(line), "\"event\":\"y\"");
	line[30] = line[30] == 'a' ? 'b' : 'a';
	ck_assert_int_eq(chain_check(&reader, line, length), -EKEYREJECTED);
	ck_assert_int_eq((int)reader.sequence, 20);
}
END_TEST

START_TEST(maps_of_ids)
{
	static const char *const whole[] = {
		"         0          0 4294967295\n",
		"0 0 1000\n1000 70000 1\n1001 1001 4294966294\n",
	};
	static const char *const partial[] = {
		"",
		"         0       1000          1\n",
		"0 100000 65536\n",
		"0 1000 1\n1 100000 65536\n",
		"0 0 4294967294\n",
		"what\n",
	};
	struct unmapped unmapped = { .uid = 65534, .gid = 65533 };

	for (size_t i = 0; i < ARRAY_SIZE(whole); i++)
		ck_assert_msg(unmapped_map_is_whole(whole[i]), "%s", whole[i]);
	for (size_t i = 0; i < ARRAY_SIZE(partial); i++)
		ck_assert_msg(!unmapped_map_is_whole(partial[i]), "%s", partial[i]);
	ck_assert(!unmapped_uid(&unmapped, 65534));
	ck_assert(!unmapped_gid(&unmapped, 65533));
	ck_assert(unmapped_uid(&unmapped, UINT32_MAX));
	ck_assert(unmapped_gid(&unmapped, UINT32_MAX));
	unmapped.uids = true;
	ck_assert(unmapped_uid(&unmapped, 65534));
	ck_assert(!unmapped_uid(&unmapped, 65533));
	ck_assert(!unmapped_gid(&unmapped, 65533));
	unmapped.gids = true;
	ck_assert(unmapped_gid(&unmapped, 65533));
}
END_TEST

int main(int argc, char *argv[])
{
	const struct test tests[] = {
		{ sizes },
		{ sizes_formatted },
		{ names },
		{ verdicts },
		{ exposures },
		{ chain },
		{ maps_of_ids },
		{ NULL },
	};

	return run_tests(argc, argv, "common", NULL, tests);
}

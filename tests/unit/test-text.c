/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the form in which text from outside is shown.
 */
#include <json-c/json.h>

#include "hostile-checks.h"
#include "text.h"

static const unsigned int forms[] = { 0, TEXT_NAME, TEXT_VISIBLE, TEXT_NAME | TEXT_VISIBLE,
	TEXT_JSON_STRING, TEXT_NAME | TEXT_JSON_STRING, TEXT_JSON | TEXT_LINES,
	TEXT_VISIBLE | TEXT_LINES, TEXT_VISIBLE | TEXT_JOINED };

START_TEST(decoding)
{
	const unsigned char *p = (const unsigned char *)hostile[_i].text;

	while (*p) {
		const unsigned char *next = p;
		int64_t wanted = next_character(&next);
		uint32_t c = 0;
		size_t length = text_decode((const char *)p, &c);

		ck_assert_uint_eq(length, wanted < 0 ? 0 : (size_t)(next - p));
		if (wanted >= 0)
			ck_assert_int_eq(c, wanted);
		p += length ? length : 1;
	}
}
END_TEST

/* All that there are. */
START_TEST(decoding_all)
{
	for (uint32_t c = 1; c <= 0x120000; c++) {
		char text[5] = "";
		uint32_t got = 0;
		size_t length = put_utf8(text, c);
		bool good = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);

		ck_assert_uint_eq(text_decode(text, &got), good ? length : 0);
		if (good)
			ck_assert_uint_eq(got, c);
	}
	for (int first = 0x80; first < 0x100; first++)
		for (int second = 1; second < 0x100; second++) {
			char text[] = { (char)first, (char)second, 0 };
			const unsigned char *p = (const unsigned char *)text;
			uint32_t c;

			ck_assert_uint_eq(text_decode(text, &c), next_character(&p) < 0 ? 0 : 2);
		}
}
END_TEST

START_TEST(visibility)
{
	static const uint32_t seen[] = { ' ', '~', 0xa1, 0xe9, 0x300, 0x20ac, 0x2014, 0x2026,
		0x201c, 0x6f22, 0xac00, 0xfffd, 0x1f427, 0x2fa1d };
	static const uint32_t unseen[] = { 0, 1, 0x1b, 0x1f, 0x7f, 0x80, 0x9f, 0xa0, 0xad, 0x34f,
		0x61c, 0x115f, 0x1680, 0x180e, 0x2000, 0x200b, 0x200f, 0x2028, 0x2029, 0x202e,
		0x202f, 0x2060, 0x2066, 0x206f, 0x2800, 0x3000, 0x3164, 0xe000, 0xfe0f, 0xfeff,
		0xffa0, 0xfff9, 0x1d173, 0xe0001, 0xe0041, 0xe0100, 0xf0000, 0x10ffff };

	for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
		ck_assert_msg(text_visible(seen[i]), "U+%04X", seen[i]);
	for (size_t i = 0; i < ARRAY_SIZE(unseen); i++)
		ck_assert_msg(!text_visible(unseen[i]), "U+%04X", unseen[i]);
}
END_TEST

START_TEST(forms_of_one)
{
	static const struct {
		const char *text, *utf8, *name, *visible, *json;
	} cases[] = {
		{ "plain / ~", "plain / ~", "plain / ~", "plain / ~", "plain / ~" },
		{ "\"\\", "\"\\", "\"\\", "\"\\", "\\\"\\\\" },
		{ "a\n", "a\n", "a\n", "a\\x0a", "a\\u000a" },
		{ "\xff", "\\xff", "\\xff", "\\xff", "\\\\xff" },
		{ "\\xff", "\\xff", "\\x5cxff", "\\x5cxff", "\\\\x5cxff" },
		{ "\\x5c", "\\x5c", "\\x5cx5c", "\\x5cx5c", "\\\\x5cx5c" },
		{ "a\\x2db", "a\\x2db", "a\\x2db", "a\\x2db", "a\\\\x2db" },
		{ "\\xFF", "\\xFF", "\\xFF", "\\xFF", "\\\\xFF" },
		{ "\\u200b", "\\u200b", "\\x5cu200b", "\\x5cu200b", "\\\\x5cu200b" },
		{ "\xe2\x80\x8b", "\xe2\x80\x8b", "\xe2\x80\x8b", "\\u200b", "\\u200b" },
		{ "\xc2\x9b", "\xc2\x9b", "\xc2\x9b", "\\u009b", "\\u009b" },
		{ "\x1b\x7f", "\x1b\x7f", "\x1b\x7f", "\\x1b\\x7f", "\\u001b\\u007f" },
		{ "\xf3\xa0\x81\x81", "\xf3\xa0\x81\x81", "\xf3\xa0\x81\x81", "\\U000e0041",
			"\\udb40\\udc41" },
		{ "\xef\xbf\xbf", "\\xef\\xbf\\xbf", "\\xef\\xbf\\xbf", "\\xef\\xbf\\xbf",
			"\\\\xef\\\\xbf\\\\xbf" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(cleanup_free) char *utf8 = text_new(cases[i].text, 0);
		cleanup(cleanup_free) char *name = text_new(cases[i].text, TEXT_NAME);
		cleanup(cleanup_free) char *visible =
			text_new(cases[i].text, TEXT_NAME | TEXT_VISIBLE);
		cleanup(cleanup_free) char *json =
			text_new(cases[i].text, TEXT_NAME | TEXT_JSON_STRING);

		ck_assert_str_eq(utf8, cases[i].utf8);
		ck_assert_str_eq(name, cases[i].name);
		ck_assert_str_eq(visible, cases[i].visible);
		ck_assert_str_eq(json, cases[i].json);
	}
}
END_TEST

static void expect(const char *from, unsigned int form, const char *wanted)
{
	cleanup(cleanup_free) char *text = text_new(from, form);

	ck_assert_str_eq(text, wanted);
}

START_TEST(lines)
{
	expect("a\nb\r", TEXT_VISIBLE, "a\\x0ab\\x0d");
	expect("a\nb\r", TEXT_VISIBLE | TEXT_LINES, "a\nb\\x0d");
	expect("a\nb\r", TEXT_VISIBLE | TEXT_JOINED, "a; b\\x0d");
	expect("{\n\"a\": \"\\\\\xff\xe2\x80\x8b\"}", TEXT_JSON | TEXT_LINES,
		"{\n\"a\": \"\\\\\\\\xff\\u200b\"}");
}
END_TEST

static char *value_of(const char *json_string)
{
	cleanup(cleanup_free) char *text = NULL;
	struct json_object *object;
	char *value;

	ck_assert_int_ge(asprintf(&text, "[\"%s\"]", json_string), 0);
	object = json_tokener_parse(text);
	ck_assert_msg(object, "%s", text);
	value = strdup(json_object_get_string(json_object_array_get_idx(object, 0)));
	json_object_put(object);
	return value;
}

START_TEST(each)
{
	const char *from = hostile[_i].text;
	cleanup(cleanup_free) char *name = text_new(from, TEXT_NAME);
	cleanup(cleanup_free) char *visible = text_new(from, TEXT_NAME | TEXT_VISIBLE);
	cleanup(cleanup_free) char *again = text_new(visible, TEXT_VISIBLE);
	cleanup(cleanup_free) char *later = text_new(name, TEXT_VISIBLE);
	cleanup(cleanup_free) char *json = text_new(from, TEXT_NAME | TEXT_JSON_STRING);
	cleanup(cleanup_free) char *value = value_of(json);
	cleanup(cleanup_free) char *back = read_back(name), *shown_back = read_back(visible);

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		cleanup(cleanup_free) char *text = text_new(from, forms[i]);

		ck_assert_msg(is_utf8(text), "%s", text);
		ck_assert_int_eq(text_stays(from, forms[i]), streq(from, text));
	}
	ck_assert_msg(is_safe(visible), "%s", visible);
	ck_assert_msg(is_safe(json), "%s", json);
	/* Nothing is lost. */
	ck_assert_str_eq(back, from);
	ck_assert_str_eq(shown_back, from);
	/* On its way through D-Bus or the trail to a terminal it is escaped once. */
	ck_assert_str_eq(value, name);
	ck_assert_str_eq(later, visible);
	ck_assert_str_eq(again, visible);
}
END_TEST

START_TEST(all_differ)
{
	static char *texts[ARRAY_SIZE(forms)][ARRAY_SIZE(hostile)];

	for (size_t form = 0; form < ARRAY_SIZE(forms); form++) {
		for (size_t i = 0; i < ARRAY_SIZE(hostile); i++)
			texts[form][i] = text_new(hostile[i].text, forms[form]);
		for (size_t i = 0; i < ARRAY_SIZE(hostile) && (forms[form] & TEXT_NAME); i++)
			for (size_t k = 0; k < i; k++)
				ck_assert_msg(!streq(texts[form][i], texts[form][k]), "%s and %s",
					hostile[i].name, hostile[k].name);
		for (size_t i = 0; i < ARRAY_SIZE(hostile); i++)
			free(texts[form][i]);
	}
}
END_TEST

/* Any bytes, with more of those that matter than chance would have it. */
START_TEST(random_bytes)
{
	static const char special[] = "\\\\\\xu0123456789abcdefU5c\n\x1b\xc2\x9b\xe2\x80\x8b\xff";
	uint32_t state = 1;

	for (int i = 0; i < 200000; i++) {
		char text[24];
		size_t length = 0;

		for (; length < 1 + (size_t)i % 22; length++) {
			state = state * 1664525 + 1013904223;
			text[length] = state >> 30 ? special[(state >> 8) % (sizeof(special) - 1)]
						   : (char)(state >> 16);
			if (!text[length])
				text[length] = '\\';
		}
		text[length] = 0;
		for (unsigned int form = TEXT_NAME; form <= (TEXT_NAME | TEXT_VISIBLE);
			form += TEXT_VISIBLE) {
			cleanup(cleanup_free) char *shown = text_new(text, form);
			cleanup(cleanup_free) char *back = read_back(shown);

			ck_assert(is_utf8(shown));
			ck_assert_str_eq(back, text);
		}
	}
}
END_TEST

/* Ends in a whole character and a whole escape: what is there stands for a beginning. */
static void check_cut(const char *text, const char *all, const char *from)
{
	size_t length = strlen(text), dots = sizeof("...") - 1;
	cleanup(cleanup_free) char *beginning = NULL, *back = NULL;

	ck_assert_msg(is_utf8(text), "%s", text);
	if (streq(text, all))
		return;
	ck_assert_uint_ge(length, dots);
	ck_assert_str_eq(text + length - dots, "...");
	beginning = strndup(text, length - dots);
	ck_assert_msg(!strncmp(beginning, all, strlen(beginning)), "%s of %s", text, all);
	back = read_back(beginning);
	ck_assert_msg(!strncmp(back, from, strlen(back)), "%s of %s", text, all);
}

START_TEST(cuts)
{
	cleanup(cleanup_free) char *all = text_new(hostile[_i].text, TEXT_NAME | TEXT_VISIBLE);
	char buffer[1024];

	for (size_t size = 4; size < sizeof(buffer); size++) {
		memset(buffer, 'X', sizeof(buffer));
		ck_assert_ptr_eq(
			text_fit(hostile[_i].text, TEXT_NAME | TEXT_VISIBLE, buffer, size), buffer);
		ck_assert_uint_lt(strlen(buffer), size);
		ck_assert_int_eq(streq(buffer, all), strlen(all) < size);
		check_cut(buffer, all, hostile[_i].text);
		/* What is safe stays so when it is put into a sentence and cut. */
		memset(buffer, 'X', sizeof(buffer));
		text_format(buffer, size, "%s", all);
		ck_assert_uint_lt(strlen(buffer), size);
		ck_assert_int_eq(streq(buffer, all), strlen(all) < size);
		ck_assert_msg(is_safe(buffer), "%s", buffer);
		if (!streq(buffer, all))
			buffer[strlen(buffer) - 3] = 0;
		ck_assert_msg(!strncmp(buffer, all, strlen(buffer)), "%s of %s", buffer, all);
	}
}
END_TEST

START_TEST(cut_escapes)
{
	char buffer[16];

	text_format(buffer, 8, "%s", "abc\\xff\\xff");
	ck_assert_str_eq(buffer, "abc...");
	text_format(buffer, 11, "%s", "abc\\xff\\xff");
	ck_assert_str_eq(buffer, "abc\\xff...");
	text_format(buffer, 12, "%s", "abc\\xff\\xff");
	ck_assert_str_eq(buffer, "abc\\xff\\xff");
	text_format(buffer, 8, "%s", "a\\\\\\\\\\\\\\\\");
	ck_assert_str_eq(buffer, "a\\\\\\...");
	text_format(buffer, 10, "%s", "a\\U000e0041");
	ck_assert_str_eq(buffer, "a...");
	text_format(buffer, 9, "%s", "abc\xe2\x82\xac\xe2\x82\xac");
	ck_assert_str_eq(buffer, "abc...");
	text_format(buffer, 4, "%s", "\xf0\x9f\x90\xa7");
	ck_assert_str_eq(buffer, "...");
	text_format(buffer, 5, "%s", "\xf0\x9f\x90\xa7");
	ck_assert_str_eq(buffer, "\xf0\x9f\x90\xa7");
	text_format(buffer, 5, "%d", 12345);
	ck_assert_str_eq(buffer, "1...");
}
END_TEST

int main(int argc, char *argv[])
{
	const struct test tests[] = {
		{ decoding, .times = ARRAY_SIZE(hostile) },
		{ decoding_all },
		{ visibility },
		{ forms_of_one },
		{ lines },
		{ each, .times = ARRAY_SIZE(hostile) },
		{ all_differ },
		{ random_bytes },
		{ cuts, .times = ARRAY_SIZE(hostile) },
		{ cut_escapes },
		{ NULL },
	};

	return run_tests(argc, argv, "text", NULL, tests);
}

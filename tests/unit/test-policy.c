/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the policy language: what is read, each mistake with its exact words, the digest and
 * what `policy show` prints.
 */
#include "test-policy.h"

#include "hostile-checks.h"
#include "text.h"

#define USES	     "'uses':{'u':{'heap':'emulated'},'rdma':{'heap':'system_cc_shared'}}"
#define RULES(text)  "{'version':1," USES ",'rules':[" text "]}"
#define MATCH(text)  RULES("{'name':'r','match':{" text "},'allow':{'use':'u'}}")
#define ALLOW(text)  RULES("{'name':'r','match':{},'allow':{" text "}}")
#define ALLOWU(text) ALLOW("'use':'u'," text)
#define LIMITS(text) "{'version':1,'limits':{" text "}}"

struct mistake {
	const char *text, *lines;
};

static void check_mistakes(const struct mistake *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *lines = test_mistakes(&cases[i].text, 1);

		ck_assert_msg(streq(lines, cases[i].lines), "%s\ngave\n%sexpected\n%s",
			cases[i].text, lines, cases[i].lines);
		free(lines);
	}
}

START_TEST(nothing)
{
	struct policy *policy = NULL;

	ck_assert_int_eq(policy_new(NULL, 0, &test_env, NULL, &policy), 0);
	ck_assert_uint_eq(policy_settings(policy)->total, 2 * GIB);
	ck_assert_uint_eq(policy_settings(policy)->per_user, POLICY_UNLIMITED);
	ck_assert_uint_eq(policy_settings(policy)->emulated_per_user, 64 << 20);
	ck_assert_uint_eq(policy_settings(policy)->connections_per_user, 128);
	ck_assert_int_eq(policy_settings(policy)->durability, POLICY_SYNCED);
	ck_assert_uint_eq(strlen(policy_digest(policy)), 64);
	ck_assert_ptr_eq(policy_ref(policy), policy);
	ck_assert_ptr_null(policy_unref(policy));
	ck_assert_ptr_null(policy_unref(policy));
	ck_assert_ptr_null(policy_unref(NULL));
}
END_TEST

START_TEST(errors_may_be_ignored)
{
	struct policy_source source = { "a.json", "[", 1 };
	struct policy *policy = NULL;

	ck_assert_int_eq(policy_new(&source, 1, &test_env, NULL, &policy), -EINVAL);
	ck_assert_ptr_null(policy);
}
END_TEST

START_TEST(syntax)
{
	static const struct mistake cases[] = {
		{ "", "a.json:1:1: the text ends too early; a closing } or ] is missing\n" },
		{ "// only a comment",
			"a.json:1:18: the text ends too early; a closing } or ] is missing\n" },
		{ "{\n 'version': 1,\n 'rules': [\n}", "a.json:4:1: unexpected character\n" },
		{ "{'version': 1",
			"a.json:1:14: the text ends too early; a closing } or ] is missing\n" },
		{ "{'version': 1,\n}",
			"a.json:2:1: a comma must not stand before a closing } or ]\n" },
		{ "{'rules': [1, ]}",
			"a.json:1:15: a comma must not stand before a closing } or ]\n" },
		{ "{'version' 1}", "a.json:1:12: object property name separator ':' expected\n" },
		{ "{'version': 1 'x': 2}", "a.json:1:15: object value separator ',' expected\n" },
		{ "{'version': 1} x", "a.json:1:16: more text after the end of the policy\n" },
		{ "{'version': 1}}", "a.json:1:15: more text after the end of the policy\n" },
		{ "{'a': 'x\n'}",
			"a.json:1:7: this string does not end on its line; a \" is missing\n" },
		{ "{'\xc3\xa9': 'x\n'}",
			"a.json:1:7: this string does not end on its line; a \" is missing\n" },
		{ "{'a': 'x",
			"a.json:1:7: this string does not end on its line; a \" is missing\n" },
		{ "{'a': 'x\\",
			"a.json:1:7: this string does not end on its line; a \" is missing\n" },
		{ "{ /* open\n", "a.json:1:3: this comment does not end; a */ is missing\n" },
		{ "{ /*/ }", "a.json:1:3: this comment does not end; a */ is missing\n" },
		{ "{ / }", "a.json:1:3: quoted object property name expected\n" },
		{ "\xef\xbb\xbf{}",
			"a.json:1:1: begins with a byte order mark; save the file without one\n" },
		{ "{'version': '\xff'}",
			"a.json:1:14: the byte 0xff is no UTF-8; save the file as UTF-8\n" },
		{ "{'a': '\xc3\xa9\x80'}",
			"a.json:1:9: the byte 0x80 is no UTF-8; save the file as UTF-8\n" },
		{ "{\n\xe9: 1}",
			"a.json:2:1: the byte 0xe9 is no UTF-8; save the file as UTF-8\n" },
		{ "\xff\xfe{", "a.json:1:1: is UTF-16; save the file as UTF-8\n" },
		{ "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]", "a.json:1:17: nested too deeply\n" },
		{ "{'version': 1, 'version': 1}",
			"a.json:1:16: duplicate key \"version\"; it stands at 1:2 already\n" },
		{ "{'version': 1,\n // c\n 'rules': [], '\\u0072ules': []}",
			"a.json:3:15: duplicate key \"rules\"; it stands at 3:2 already\n" },
		{ "{'version': 1, 'uses': {'u': {'heap':'system', 'heap':'system'}, 'u': "
		  "{'heap':'system'}}}",
			"a.json:1:48: duplicate key \"heap\"; it stands at 1:31 already\n"
			"a.json:1:66: duplicate key \"u\"; it stands at 1:25 already\n" },
		{ "{'version':1, 'uses':{'\\u0000u':{'heap':'system'}}}",
			"a.json:1:23: a key must not hold a NUL\n"
			"a.json: /uses/: \"\" is no name for a use: 1 to 63 letters, digits, "
			"\".\", "
			"\"_\" or \"-\", not beginning with \".\" or \"-\"\n" },
	};
	static const char nul[] = "{\"version\":1}\n\0";
	struct policy_source sources[] = { { "n.json", nul, sizeof(nul) },
		{ "s.json", "{'a':1}", 7 }, { "big.json", "", POLICY_FILE_MAX + 1 } };
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;

	check_mistakes(cases, ARRAY_SIZE(cases));
	ck_assert_int_eq(policy_new(sources, 3, &test_env, &errors, &policy), -EINVAL);
	ck_assert_uint_eq(errors.count, 3);
	ck_assert_str_eq(errors.lines[0], "n.json:2:1: a NUL byte; a policy is plain text");
	ck_assert_str_eq(errors.lines[1],
		"s.json:1:2: strings are written in double quotes, not single ones");
	ck_assert_str_eq(
		errors.lines[2], "big.json: is larger than 4 MiB; split it into several files");
	policy_errors_done(&errors);
}
END_TEST

/* Characters that JSON does not have where they stand: named, with what to write. */
START_TEST(characters)
{
	static const struct mistake cases[] = {
		{ "{\xc2\xa0'version': 1}", "a.json:1:2: U+00A0 (no-break space) is not allowed "
					    "here; write a space\n" },
		{ "{ \xe2\x80\x9cversion\xe2\x80\x9d: 1}",
			"a.json:1:3: U+201C (\xe2\x80\x9c) is not allowed here; write \"\n" },
		{ "{ 'version\xe2\x80\x9d: 1}\n",
			"a.json:1:11: U+201D (\xe2\x80\x9d) does not end a string; write \"\n" },
		{ "{ 'don\xe2\x80\x99t: 1}\n",
			"a.json:1:3: this string does not end on its line; a \" is missing\n" },
		{ "{ 'version'\xef\xbc\x9a 1}",
			"a.json:1:12: U+FF1A (\xef\xbc\x9a) is not allowed here; write :\n" },
		{ "{ 'version': \xef\xbc\x91}",
			"a.json:1:14: U+FF11 (\xef\xbc\x91) is not allowed here; write 1\n" },
		{ "{ 'version': \xe2\x88\x92 1}",
			"a.json:1:14: U+2212 (\xe2\x88\x92) is not allowed here; write -\n" },
		{ "{\n\t\xe2\x80\x8b'version': 1}",
			"a.json:2:2: U+200B (cannot be seen) is not allowed here; delete it\n" },
		{ "{}\xef\xbb\xbf",
			"a.json:1:3: U+FEFF (cannot be seen) is not allowed here; delete it\n" },
		{ "{ \xe2\x80\xae 'version': 1}",
			"a.json:1:3: U+202E (cannot be seen) is not allowed here; delete it\n" },
		{ "{ \xc3\xa9: 1}", "a.json:1:3: U+00E9 (\xc3\xa9) is not allowed here; text "
				    "stands in double quotes\n" },
		{ "{ \xf0\x9f\x90\xa7 }", "a.json:1:3: U+1F427 (\xf0\x9f\x90\xa7) is not allowed "
					  "here; text stands in double quotes\n" },
		{ "{ \x1b }",
			"a.json:1:3: U+001B (control character) is not allowed here; delete it\n" },
		{ "{ \f }",
			"a.json:1:3: U+000C (form feed) is not allowed here; write a line feed\n" },
		{ "{\xe2\x80\xa8}",
			"a.json:1:2: U+2028 (line separator) is not allowed here; write a line "
			"feed\n" },
		/* halves of characters would become another one */
		{ "{'x\\ud800': 1}", "a.json:1:4: \\ud800 is half of a character; write the "
				     "character itself\n" },
		{ "{'\\uDC00\\uD800': 1}", "a.json:1:3: \\udc00 is half of a character; write the "
					   "character itself\n" },
		{ "{'\\ud83d\\u0041': 1}", "a.json:1:3: \\ud83d is half of a character; write the "
					   "character itself\n" },
		{ "{'\\ud836\\udc00': 1}", "a.json:1:3: \\ud836\\udc00 is not supported; write the "
					   "character itself\n" },
		{ "{'version':1,'\\ud83d\\udc27 \\\\ud800':1}",
			"a.json: /\xf0\x9f\x90\xa7 \\x5cud800: unknown key; known here are "
			"$schema, "
			"version, uses, heaps, limits, audit, on-reload, rules\n" },
		/* in a string all of them are text */
		{ "{'version':1,'\xc2\xa0\xe2\x80\x9c\xe2\x80\x8b':1}",
			"a.json: /\\u00a0\xe2\x80\x9c\\u200b: unknown key; known here are $schema, "
			"version, uses, heaps, limits, audit, on-reload, rules\n" },
	};

	check_mistakes(cases, ARRAY_SIZE(cases));
}
END_TEST

#define ENDS                                                                                       \
	" in a // comment ends it for some programs, for others not; write a line feed, or "       \
	"delete it\n"

START_TEST(ends_of_comments)
{
	static const struct mistake cases[] = {
		{ "{ // a\r'version': 1\n}",
			"a.json:1:7: U+000D (carriage return without line feed)" ENDS },
		{ "// a\r\n// b\r{'version': 1}",
			"a.json:2:5: U+000D (carriage return without line feed)" ENDS },
		{ "{ // a\xe2\x80\xa8'version': 1\n}", "a.json:1:7: U+2028 (line separator)" ENDS },
		{ "// \xc3\xa9\xe2\x80\xa9{}", "a.json:1:5: U+2029 (paragraph separator)" ENDS },
		{ "// \xc2\x85{}", "a.json:1:4: U+0085 (next line)" ENDS },
		{ "// \v{}", "a.json:1:4: U+000B (vertical tab)" ENDS },
		{ "// \f{}", "a.json:1:4: U+000C (form feed)" ENDS },
	};

	check_mistakes(cases, ARRAY_SIZE(cases));
	/* These end with the line, or do not care. */
	policy_unref(test_policy("// c\r\n{ 'version': 1 } // c\r"));
	policy_unref(test_policy("/* c\rd\xe2\x80\xa8\v */\r{ 'version': 1 }\r"));
	policy_unref(test_policy("// no UTF-8: \xe9\xff\n{ 'version': 1 } /* \xe9 */"));
}
END_TEST

/* Lines as editors count them, columns in characters, comments or not. */
START_TEST(places)
{
	static const struct mistake cases[] = {
		{ "{\r\n'version': 1,\r\n x}",
			"a.json:3:2: quoted object property name expected\n" },
		{ "{\r'version': 1,\r x}", "a.json:3:2: quoted object property name expected\n" },
		{ "{\n\r'version': 1,\r\r\n x}",
			"a.json:5:2: quoted object property name expected\n" },
		{ "/*\r\r\n*/{ x}", "a.json:3:5: quoted object property name expected\n" },
		{ "{ /* \xe2\x82\xac\xc3\xa9\xe2\x80\xa8 */ x}",
			"a.json:1:13: quoted object property name expected\n" },
		{ "{ '\xe2\x80\xa8': x}", "a.json:1:8: unexpected character\n" },
		{ "{'version': 1, /* \xe2\x82\xac */ 'version': 1}",
			"a.json:1:24: duplicate key \"version\"; it stands at 1:2 already\n" },
		{ "{\r'version': 1, /*\r*/ // \xe2\x82\xac\r\n 'version': 1}",
			"a.json:4:2: duplicate key \"version\"; it stands at 2:1 already\n" },
	};

	check_mistakes(cases, ARRAY_SIZE(cases));
}
END_TEST

START_TEST(comments)
{
	char text[] = "{/*\n\"*/ \"a//b\": \"/*\\\"*/\" // x\n}//";
	char reason[POLICY_CHARACTER_MAX] = "";
	size_t offset = 0, line = 0, column = 0;

	ck_assert(policy_text_blank(text, strlen(text), &offset, reason));
	ck_assert_str_eq(text, "{  \n    \"a//b\": \"/*\\\"*/\"     \n}  ");
	policy_text_position("a\n\xc3\xa9x", 5, 4, &line, &column);
	ck_assert_uint_eq(line, 2);
	ck_assert_uint_eq(column, 2);
	policy_unref(test_policy("// c\n{ /* c */ 'version': 1 } // c"));
}
END_TEST

START_TEST(top_level)
{
	static const struct mistake cases[] = {
		{ "null", "a.json: /: is null, but must be an object { }\n" },
		{ "[]", "a.json: /: is a list [ ], but must be an object { }\n" },
		{ "5", "a.json: /: is a whole number, but must be an object { }\n" },
		{ "'x'", "a.json: /: is a string, but must be an object { }\n" },
		{ "{}", "a.json: /: the key \"version\" is missing; write \"version\": 1\n" },
		{ "{'version':2,'nonsense':1}",
			"a.json: /version: is 2, but this ccbuf reads only version 1\n" },
		{ "{'version':'1'}",
			"a.json: /version: is a string, but must be a whole number\n" },
		{ "{'version':1.0}",
			"a.json: /version: is a fraction, but must be a whole number\n" },
		{ "{'version':-1}",
			"a.json: /version: is -1, but must be 0 to 9007199254740991\n" },
		{ "{'version':1,'rule':[]}",
			"a.json: /rule: unknown key; did you mean \"rules\"?\n" },
		{ "{'version':1,'a/b~c\\n\\u007f':[]}",
			"a.json: /a~1b~0c\\x0a\\x7f: unknown key; known here are $schema, version, "
			"uses, heaps, limits, audit, on-reload, rules\n" },
		{ "{'version':1,'durability':'synced'}",
			"a.json: /durability: unknown key here; \"durability\" belongs to "
			"\"audit\"\n" },
		{ "{'version':1,'$schema':1,'uses':[],'heaps':1.5,'limits':true,'audit':null,"
		  "'rules':{}}",
			"a.json: /$schema: is a whole number, but must be a string\n"
			"a.json: /uses: is a list [ ], but must be an object { }\n"
			"a.json: /heaps: is a fraction, but must be an object { }\n"
			"a.json: /limits: is true or false, but must be an object { }\n"
			"a.json: /audit: is null, but must be an object { }\n"
			"a.json: /rules: is an object { }, but must be a list [ ]\n" },
	};

	check_mistakes(cases, ARRAY_SIZE(cases));
}
END_TEST

START_TEST(uses_and_heaps)
{
	static const struct mistake cases[] = {
		{ "{'version':1,'uses':{'a':1,'b':{},'c':{'heap':1},'d':{'heap':''},"
		  "'e':{'heap':'/dev/dma_heap/system'},'f':{'heap':'.x'},'g':{'heap':'-x'},"
		  "'h':{'heap':'system','hepa':1}}}",
			"a.json: /uses/a: is a whole number, but must be an object { }\n"
			"a.json: /uses/b: the key \"heap\" is missing; it is required here\n"
			"a.json: /uses/c/heap: is a whole number, but must be a string\n"
			"a.json: /uses/d/heap: is empty; write a value\n"
			"a.json: /uses/e/heap: \"/dev/dma_heap/system\" is no name of a heap; "
			"write one that stands in /dev/dma_heap, without the folder, or "
			"\"emulated\"\n"
			"a.json: /uses/f/heap: \".x\" is no name of a heap; write one that stands "
			"in /dev/dma_heap, without the folder, or \"emulated\"\n"
			"a.json: /uses/g/heap: \"-x\" is no name of a heap; write one that stands "
			"in /dev/dma_heap, without the folder, or \"emulated\"\n"
			"a.json: /uses/h/hepa: unknown key; did you mean \"heap\"?\n" },
		{ "{'version':1,'heaps':{'a':[],'b':{},'c':{'exposure':'public'},"
		  "'d':{'exposure':'emulated'},'a b':{'exposure':'private'},"
		  "'system':{'exposure':'shared'},'protected,x':{'exposure':'private'},"
		  "'e':{'exposure':'unknown'}}}",
			"a.json: /heaps/a: is a list [ ], but must be an object { }\n"
			"a.json: /heaps/b: the key \"exposure\" is missing; it is required here\n"
			"a.json: /heaps/c/exposure: is \"public\", but must be \"shared\", "
			"\"private\" or \"protected\"\n"
			"a.json: /heaps/d/exposure: is \"emulated\", but must be \"shared\", "
			"\"private\" or \"protected\"\n"
			"a.json: /heaps/a b: \"a b\" is no name of a heap; write one that stands "
			"in /dev/dma_heap, without the folder, or \"emulated\"\n"
			"a.json: /heaps/system: this heap is known to be private and cannot be "
			"declared otherwise; remove this\n"
			"a.json: /heaps/protected,x: this heap is known to be protected and cannot "
			"be declared otherwise; remove this\n"
			"a.json: /heaps/e/exposure: is \"unknown\", but must be \"shared\", "
			"\"private\" or \"protected\"\n" },
	};

	check_mistakes(cases, ARRAY_SIZE(cases));
}
END_TEST

START_TEST(limits)
{
	static const struct mistake cases[] = {
		{ LIMITS("'total':'101%','per-user':'1k'"),
			"a.json: /limits/total: is \"101%\", but must be \"0%\" to \"100%\" of the "
			"memory\n"
			"a.json: /limits/per-user: \"1k\" is no size; write bytes, or a whole "
			"number with K, M, G or T (\"256M\"), or a share (\"25%\")\n" },
		{ LIMITS("'total':'8E','per-user':'99999999999999999999'"),
			"a.json: /limits/total: \"8E\" is too large; less than 8E is the most\n"
			"a.json: /limits/per-user: \"99999999999999999999\" is too large; less "
			"than 8E is the most\n" },
		{ LIMITS("'total':-1,'per-user':9007199254740992"),
			"a.json: /limits/total: is -1, but must be 0 to 9007199254740991\n"
			"a.json: /limits/per-user: is 9007199254740992, but must be 0 to "
			"9007199254740991\n" },
		{ LIMITS("'total':18446744073709551615"),
			"a.json: /limits/total: is 18446744073709551615, but must be 0 to "
			"9007199254740991\n" },
		{ LIMITS("'total':1.5,'per-user':[]"),
			"a.json: /limits/total: must be a size: \"256M\", or a whole number of "
			"bytes without quotes\n"
			"a.json: /limits/per-user: must be a size: \"256M\", or a whole number of "
			"bytes without quotes\n" },
		{ LIMITS("'total':'','per-user':'1 G'"),
			"a.json: /limits/total: is empty; write a value\n"
			"a.json: /limits/per-user: \"1 G\" is no size; write bytes, or a whole "
			"number with K, M, G or T (\"256M\"), or a share (\"25%\")\n" },
		{ LIMITS("'total':'1000%','per-user':'%'"),
			"a.json: /limits/total: \"1000%\" is no size; write bytes, or a whole "
			"number with K, M, G or T (\"256M\"), or a share (\"25%\")\n"
			"a.json: /limits/per-user: \"%\" is no size; write bytes, or a whole "
			"number with K, M, G or T (\"256M\"), or a share (\"25%\")\n" },
		{ LIMITS("'emulated-per-user':-1"),
			"a.json: /limits/emulated-per-user: is -1, but must be 0 to "
			"9007199254740991\n" },
		{ LIMITS("'emulated-per-user':'101%','emulated':1"),
			"a.json: /limits/emulated: unknown key; known here are total, per-user, "
			"emulated-per-user, connections-per-user\n"
			"a.json: /limits/emulated-per-user: is \"101%\", but must be \"0%\" to "
			"\"100%\" of the memory\n" },
		{ LIMITS("'connections-per-user':0,'conections-per-user':1"),
			"a.json: /limits/conections-per-user: unknown key; did you mean "
			"\"connections-per-user\"?\n"
			"a.json: /limits/connections-per-user: is 0, but must be 1 to 1000000\n" },
		{ "{'version':1,'audit':{'durability':'sync','x':1}}",
			"a.json: /audit/x: unknown key; known here are durability\n"
			"a.json: /audit/durability: is \"sync\", but must be \"synced\" or "
			"\"written\"\n" },
		{ ALLOWU("'buffer':'25%','total':0,'buffers':0,'rate':'5/d','per':'pod'"),
			"a.json: /rules/0/allow/buffer: is \"25%\", but a share of the memory "
			"stands only in \"limits\"; write a size such as \"256M\"\n"
			"a.json: /rules/0/allow/total: is 0, which allows nothing; raise it, or "
			"write a deny rule\n"
			"a.json: /rules/0/allow/buffers: is 0, but must be 1 to "
			"9007199254740991\n"
			"a.json: /rules/0/allow/rate: \"5/d\" is no rate; write 1 to 999999999 and "
			"\"/s\", \"/min\" or \"/h\", such as \"100/s\"\n"
			"a.json: /rules/0/allow/per: is \"pod\", but must be \"rule\", \"user\", "
			"\"unit\" or \"process\"\n" },
		{ ALLOWU("'buffer':'0K','rate':100,'per':1"),
			"a.json: /rules/0/allow/buffer: is 0, which allows nothing; raise it, or "
			"write a deny rule\n"
			"a.json: /rules/0/allow/rate: is a whole number, but must be a string\n"
			"a.json: /rules/0/allow/per: is a whole number, but must be a string\n" },
		{ ALLOWU("'rate':'0/s'"),
			"a.json: /rules/0/allow/rate: \"0/s\" is no rate; write 1 "
			"to 999999999 and \"/s\", \"/min\" or \"/h\", such as "
			"\"100/s\"\n" },
		{ ALLOWU("'rate':'1000000000/s'"),
			"a.json: /rules/0/allow/rate: \"1000000000/s\" is no rate; write 1 to "
			"999999999 and \"/s\", \"/min\" or \"/h\", such as \"100/s\"\n" },
	};
	static const char *const texts[] = {
		LIMITS("'total':'25%','per-user':'1G','emulated-per-user':'1%',"
		       "'connections-per-user':7"),
		"{'version':1,'limits':{'total':'50%'},'audit':{'durability':'written'}}",
		"{'version':1,'limits':{},'audit':{}}",
	};
	static const struct {
		const char *text;
		uint64_t total;
	} totals[] = {
		{ LIMITS("'total':'0%'"), 0 },
		{ LIMITS("'total':'1%'"), 8 * GIB / 100 },
		{ LIMITS("'total':'100%'"), 8 * GIB },
		{ LIMITS("'total':0"), 0 },
		{ LIMITS("'total':4096"), 4096 },
		{ LIMITS("'total':'4096'"), 4096 },
		{ LIMITS("'total':'64KiB'"), 65536 },
		{ LIMITS("'total':'7E'"), UINT64_C(7) << 60 },
		{ LIMITS("'total':9007199254740991"), UINT64_C(9007199254740991) },
	};
	struct policy *policy;

	check_mistakes(cases, ARRAY_SIZE(cases));
	policy = test_policies(texts, 3);
	ck_assert_uint_eq(policy_settings(policy)->total, 4 * GIB);
	ck_assert_uint_eq(policy_settings(policy)->per_user, GIB);
	ck_assert_uint_eq(policy_settings(policy)->emulated_per_user, 8 * GIB / 100);
	ck_assert_uint_eq(policy_settings(policy)->connections_per_user, 7);
	ck_assert_int_eq(policy_settings(policy)->durability, POLICY_WRITTEN);
	policy_unref(policy);
	for (size_t i = 0; i < ARRAY_SIZE(totals); i++) {
		policy = test_policy(totals[i].text);
		ck_assert_msg(
			policy_settings(policy)->total == totals[i].total, "%s", totals[i].text);
		policy_unref(policy);
	}
}
END_TEST

START_TEST(percent_of_much)
{
	struct policy_env env = test_env;
	static const char text[] = "{\"version\":1,\"limits\":{\"total\":\"100%\"}}";
	struct policy_source source = { "a.json", text, sizeof(text) - 1 };
	struct policy *policy = NULL;

	env.ram = UINT64_MAX / 2 + 77;
	ck_assert_int_eq(policy_new(&source, 1, &env, NULL, &policy), 0);
	ck_assert_uint_eq(policy_settings(policy)->total, env.ram);
	policy_unref(policy);
}
END_TEST

START_TEST(rules)
{
	static const struct mistake cases[] = {
		{ RULES("5"), "a.json: /rules/0: is a whole number, but must be an object { }\n" },
		{ RULES("{}"),
			"a.json: /rules/0: the key \"name\" is missing; it is required here\n"
			"a.json: /rules/0: the key \"match\" is missing; say whom the rule is "
			"for ({} is everybody)\n"
			"a.json: /rules/0: has neither \"allow\" nor \"deny\"; add one of them\n" },
		{ RULES("{'name':'a b','match':[],'allow':{'use':'u'},'deny':'x'}"),
			"a.json: /rules/0/name: \"a b\" is no name for a rule: 1 to 63 letters, "
			"digits, \".\", \"_\" or \"-\", not beginning with \".\" or \"-\"\n"
			"a.json: /rules/0/match: is a list [ ], but must be an object { }\n"
			"a.json: /rules/0: has both \"allow\" and \"deny\"; keep one of them\n" },
		{ RULES("{'name':1,'match':{},'deny':1}"),
			"a.json: /rules/0/name: is a whole number, but must be a string\n"
			"a.json: /rules/0/deny: is a whole number, but must be a string\n" },
		{ RULES("{'name':'u\\u0000x','match':{},'deny':''}"),
			"a.json: /rules/0/name: \"u\" is no name for a rule: 1 to 63 letters, "
			"digits, \".\", \"_\" or \"-\", not beginning with \".\" or \"-\"\n"
			"a.json: /rules/0/deny: is empty; write a value\n" },
		{ RULES("{'name':'r','match':{},'deny':'a\\nb'}"),
			"a.json: /rules/0/deny: holds a control character; use printable text\n" },
		{ RULES("{'name':'r','match':{},'allow':'u'}"),
			"a.json: /rules/0/allow: is a string, but must be an object { }\n" },
		{ RULES("{'name':'r','match':{},'allow':{}}"),
			"a.json: /rules/0/allow: the key \"use\" is missing; it is required "
			"here\n" },
		{ RULES("{'name':'r','match':{},'use':'u','allow':{'use':'u'}}"),
			"a.json: /rules/0/use: belongs into \"allow\" here; beside the rule's "
			"other keys it is for deny rules\n" },
		{ RULES("{'name':'r','match':{},'allow':{'use':'u'},'buffer':1}"),
			"a.json: /rules/0/buffer: unknown key here; \"buffer\" belongs to "
			"\"allow\"\n" },
		{ ALLOW("'use':[],'bufer':1"),
			"a.json: /rules/0/allow/bufer: unknown key; did you mean \"buffer\"?\n"
			"a.json: /rules/0/allow/use: is an empty list, which nothing can match; "
			"add a value\n" },
		{ ALLOW("'use':['u',1,'-']"),
			"a.json: /rules/0/allow/use/1: is a whole number, but must be a string\n"
			"a.json: /rules/0/allow/use/2: \"-\" is no name for a use: 1 to 63 "
			"letters, digits, \".\", \"_\" or \"-\", not beginning with \".\" or "
			"\"-\"\n" },
		{ ALLOW("'use':['u','rmda']"), "a.json: /rules/0/allow/use/1: use \"rmda\" is not "
					       "defined; did you mean \"rdma\"?\n" },
		{ ALLOW("'use':'something'"),
			"a.json: /rules/0/allow/use: use \"something\" is not defined; define it "
			"in \"uses\" of any file\n" },
		{ RULES("{'name':'r','match':{},'deny':'x','use':'nothing'}"),
			"a.json: /rules/0/use: use \"nothing\" is not defined; define it in "
			"\"uses\" of any file\n" },
		{ RULES("{'name':'r','match':{},'deny':'x','use':['u','nothing']}"),
			"a.json: /rules/0/use/1: use \"nothing\" is not defined; define it in "
			"\"uses\" of any file\n" },
	};
	char reason[POLICY_DENY_MAX + 2], text[512], *lines;
	const char *texts = text;
	struct policy *policy;

	check_mistakes(cases, ARRAY_SIZE(cases));
	memset(reason, 'x', sizeof(reason));
	reason[POLICY_DENY_MAX + 1] = 0;
	snprintf(text, sizeof(text), "{'version':1,'rules':[{'name':'r','match':{},'deny':'%s'}]}",
		reason);
	lines = test_mistakes(&texts, 1);
	ck_assert_str_eq(lines, "a.json: /rules/0/deny: is 257 bytes long, but 256 are the most\n");
	free(lines);

	policy = test_policy(ALLOWU("'buffer':'1M','total':2097152,'buffers':3,'rate':'5/min',"
				    "'per':'process'"));
	ck_assert_uint_eq(policy->n_rules, 1);
	ck_assert_str_eq(policy->rules[0].rule.name, "r");
	ck_assert_str_eq(policy->rules[0].rule.path, "a.json");
	ck_assert_ptr_null(policy->rules[0].rule.deny);
	ck_assert_uint_eq(policy->rules[0].rule.limits.buffer, 1 << 20);
	ck_assert_uint_eq(policy->rules[0].rule.limits.total, 2 << 20);
	ck_assert_uint_eq(policy->rules[0].rule.limits.buffers, 3);
	ck_assert_uint_eq(policy->rules[0].rule.limits.rate, 5);
	ck_assert_uint_eq(policy->rules[0].rule.limits.rate_usec, 60000000);
	ck_assert_int_eq(policy->rules[0].rule.limits.per, POLICY_PER_PROCESS);
	policy_unref(policy);

	policy = test_policy(ALLOW("'use':'u'"));
	ck_assert_uint_eq(policy->rules[0].rule.limits.buffer, POLICY_UNLIMITED);
	ck_assert_uint_eq(policy->rules[0].rule.limits.total, POLICY_UNLIMITED);
	ck_assert_uint_eq(policy->rules[0].rule.limits.buffers, POLICY_UNLIMITED);
	ck_assert_uint_eq(policy->rules[0].rule.limits.rate, POLICY_UNLIMITED);
	ck_assert_int_eq(policy->rules[0].rule.limits.per, POLICY_PER_RULE);
	policy_unref(policy);
}
END_TEST

START_TEST(matches)
{
	static const struct mistake cases[] = {
		{ MATCH("'usr':'root','user':'nobody'"),
			"a.json: /rules/0/match/usr: unknown key; did you mean \"user\"?\n"
			"a.json: /rules/0/match/user: there is no user \"nobody\" on this system; "
			"correct the name or create it first\n" },
		{ MATCH("'user':['root','nobody'],'group':'nogroup'"),
			"a.json: /rules/0/match/user/1: there is no user \"nobody\" on this "
			"system; correct the name or create it first\n"
			"a.json: /rules/0/match/group: there is no group \"nogroup\" on this "
			"system; correct the name or create it first\n" },
		{ MATCH("'user':'broken','group':['broken']"),
			"a.json: /rules/0/match/user: cannot look up the user \"broken\": "
			"Input/output error\n"
			"a.json: /rules/0/match/group/0: cannot look up the group \"broken\": "
			"Input/output error\n" },
		{ MATCH("'user':'1000','group':''"),
			"a.json: /rules/0/match/user: there is no user \"1000\" on this system (in "
			"quotes stands a name); correct the name or create it first\n"
			"a.json: /rules/0/match/group: is empty; write a value\n" },
		{ MATCH("'user':4294967295,'group':[true]"),
			"a.json: /rules/0/match/user: is 4294967295, but must be 0 to "
			"4294967294\n"
			"a.json: /rules/0/match/group/0: must be a group's name in quotes, or "
			"number without, or a list of them\n" },
		{ MATCH("'user':[],'unit':[]"),
			"a.json: /rules/0/match/user: is an empty list, which nothing can match; "
			"add a value\n"
			"a.json: /rules/0/match/unit: is an empty list, which nothing can match; "
			"add a value\n" },
		{ MATCH("'unit':['mpi','a/b.service','x.timer','system.slice']"),
			"a.json: /rules/0/match/unit/0: \"mpi\" must end with the kind of a unit "
			"that holds processes, such as \".service\" or \".scope\"\n"
			"a.json: /rules/0/match/unit/1: \"a/b.service\" must be a name without "
			"\"/\"\n"
			"a.json: /rules/0/match/unit/2: \"x.timer\" must end with the kind of a "
			"unit that holds processes, such as \".service\" or \".scope\"\n"
			"a.json: /rules/0/match/unit/3: \"system.slice\" is a slice; match it with "
			"the key \"slice\"\n" },
		{ MATCH("'slice':['system','x.service']"),
			"a.json: /rules/0/match/slice/0: \"system\" must end with \".slice\"\n"
			"a.json: /rules/0/match/slice/1: \"x.service\" must end with "
			"\".slice\"\n" },
		{ MATCH("'exe':['bin/x','/bin/','/','//x','/a/../b','/a/./b','/a/..','/a/.']"),
			"a.json: /rules/0/match/exe/0: \"bin/x\" must be a whole path, which "
			"begins with \"/\"\n"
			"a.json: /rules/0/match/exe/1: \"/bin/\" must not end with \"/\"\n"
			"a.json: /rules/0/match/exe/2: \"/\" is a folder, but must be the path of "
			"a program\n"
			"a.json: /rules/0/match/exe/3: \"//x\" must not hold \"//\", \"/.\" or "
			"\"/..\": the kernel writes no such path\n"
			"a.json: /rules/0/match/exe/4: \"/a/../b\" must not hold \"//\", \"/.\" or "
			"\"/..\": the kernel writes no such path\n"
			"a.json: /rules/0/match/exe/5: \"/a/./b\" must not hold \"//\", \"/.\" or "
			"\"/..\": the kernel writes no such path\n"
			"a.json: /rules/0/match/exe/6: \"/a/..\" must not hold \"//\", \"/.\" or "
			"\"/..\": the kernel writes no such path\n"
			"a.json: /rules/0/match/exe/7: \"/a/.\" must not hold \"//\", \"/.\" or "
			"\"/..\": the kernel writes no such path\n" },
		{ MATCH("'cgroup':['system.slice','/system.slice/'],'label':''"),
			"a.json: /rules/0/match/cgroup/0: \"system.slice\" must be a whole path, "
			"which begins with \"/\"\n"
			"a.json: /rules/0/match/cgroup/1: \"/system.slice/\" must not end with "
			"\"/\"\n"
			"a.json: /rules/0/match/label: is empty; write a value\n" },
		{ MATCH("'container':'yes','identity':'strongest','transport':['tcp']"),
			"a.json: /rules/0/match/container: is a string, but must be true or "
			"false\n"
			"a.json: /rules/0/match/identity: is \"strongest\", but must be \"weak\" "
			"or \"strong\"\n"
			"a.json: /rules/0/match/transport/0: is \"tcp\", but must be \"socket\" or "
			"\"dbus\"\n" },
		{ MATCH("'not':{}"), "a.json: /rules/0/match/not: is empty, so the rule can never "
				     "match; say what must not hold\n" },
		{ MATCH("'not':{'not':{'user':'nobody','exee':'/x'}}"),
			"a.json: /rules/0/match/not/not/exee: unknown key; did you mean \"exe\"?\n"
			"a.json: /rules/0/match/not/not/user: there is no user \"nobody\" on this "
			"system; correct the name or create it first\n" },
	};
	static const char *const good[] = {
		MATCH(""),
		MATCH("'unit':['a*','*.service','a.sc*','a*?','[ab].scope','x.mount','x.swap',"
		      "'x.socket']"),
		MATCH("'slice':['-.slice','user-*','user-*.slice']"),
		MATCH("'cgroup':['/','/a','/a/*']"),
		MATCH("'exe':['/a','/*/b','/a/...','/a/.b']"),
		MATCH("'user':[0,'root',4294967294],'group':0"),
		MATCH("'identity':['weak','strong'],'transport':['socket','dbus']"),
		MATCH("'not':{'not':{'user':0}}"),
		MATCH("'label':'/usr/bin/x (enforce)','container':false"),
	};

	check_mistakes(cases, ARRAY_SIZE(cases));
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		policy_unref(test_policy(good[i]));
}
END_TEST

START_TEST(files)
{
	static const char *const twice[] = {
		"{'version':1,'uses':{'u':{'heap':'system'}},'heaps':{'h':{'exposure':'private'}},"
		"'rules':[{'name':'x','match':{},'deny':'1'},{'name':'y','match':{},'deny':'1'}]}",
		"{'version':1,'uses':{'u':{'heap':'system'}},'heaps':{'h':{'exposure':'private'}},"
		"'rules':[{'name':'z','match':{},'deny':'1'},{'name':'y','match':{},'deny':'1'}]}",
		"{'version':1,'rules':[{'name':'y','match':{},'deny':'1'}]}",
	};
	static const char *const forward[] = {
		"{'version':1,'rules':[{'name':'x','match':{},'allow':{'use':['u','v']}}]}",
		"{'version':1,'uses':{'v':{'heap':'system'},'u':{'heap':'system'}}}",
	};
	/* what a broken file would have defined is not called missing */
	static const char *const broken[] = {
		"{'version':1,'rules':[{'name':'x','match':{},'allow':{'use':'u'}}]}",
		"{'version':1,'uses':{'u':{'heap':'system'},}}",
	};
	char *lines = test_mistakes(twice, 3);

	ck_assert_str_eq(lines,
		"b.json: /uses/u: this use is already defined in a.json; define it once\n"
		"b.json: /heaps/h: this heap is already declared in a.json; declare it once\n"
		"b.json: /rules/1/name: a rule \"y\" stands already in a.json (/rules/1); give "
		"this one another name\n"
		"c.json: /rules/0/name: a rule \"y\" stands already in a.json (/rules/1); give "
		"this one another name\n");
	free(lines);
	policy_unref(test_policies(forward, 2));
	lines = test_mistakes(broken, 2);
	ck_assert_str_eq(lines, "b.json:1:44: a comma must not stand before a closing } or ]\n");
	free(lines);
}
END_TEST

START_TEST(many_mistakes)
{
	struct policy_errors errors = { 0 };
	struct policy_source source = { "a.json", NULL, 0 };
	struct policy *policy = NULL;
	char *text = NULL;
	FILE *to = open_memstream(&text, &source.size);

	fputs("{\"version\":1,\"rules\":[0", to);
	for (int i = 1; i < POLICY_MISTAKE_MAX + 5; i++)
		fputs(",0", to);
	fputs("]}", to);
	fclose(to);
	source.text = text;
	ck_assert_int_eq(policy_new(&source, 1, &test_env, &errors, &policy), -EINVAL);
	ck_assert_uint_eq(errors.count, POLICY_MISTAKE_MAX + 1);
	ck_assert_str_eq(errors.lines[POLICY_MISTAKE_MAX], "5 more mistakes are not shown");
	policy_errors_done(&errors);
	free(text);
}
END_TEST

START_TEST(long_lists)
{
	struct policy_errors errors = { 0 };
	struct policy_source source = { "a.json", NULL, 0 };
	struct policy *policy = NULL;
	char *text = NULL;
	FILE *to = open_memstream(&text, &source.size);

	fputs("{\"version\":1,\"rules\":[{\"name\":\"r\",\"deny\":\"x\",\"match\":{\"user\":[0",
		to);
	for (int i = 0; i < POLICY_LIST_MAX; i++)
		fputs(",0", to);
	fputs("]}}]}", to);
	fclose(to);
	source.text = text;
	ck_assert_int_eq(policy_new(&source, 1, &test_env, &errors, &policy), -EINVAL);
	ck_assert_uint_eq(errors.count, 1);
	ck_assert_str_eq(errors.lines[0], "a.json: /rules/0/match/user: is a list of 1025 values, "
					  "but 1024 are the most; write several rules");
	policy_errors_done(&errors);
	free(text);
}
END_TEST

START_TEST(quoting)
{
	char buffer[POLICY_QUOTE_MAX], text[400];
	struct policy_source source = { "a\n\x1b.json", "[]", 2 };
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;

	/* the names of files are not trusted with a terminal either */
	ck_assert_int_eq(policy_new(&source, 1, &test_env, &errors, &policy), -EINVAL);
	ck_assert_str_eq(
		errors.lines[0], "a\\x0a\\x1b.json: /: is a list [ ], but must be an object { }");
	policy_errors_done(&errors);

	ck_assert_str_eq(policy_errors_quote(buffer, "a\x1b[0m\x7f"), "\"a\\x1b[0m\\x7f\"");
	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 0, sizeof(text));
		memset(text, 'a', shift);
		for (size_t i = shift; i + 4 < sizeof(text); i += 3)
			memcpy(text + i, "\xe2\x82\xac", 3);
		policy_errors_quote(buffer, text);
		ck_assert_uint_lt(strlen(buffer), sizeof(buffer));
		/* whole characters, then the dots */
		ck_assert_uint_eq((strlen(buffer) - 5 - shift) % 3, 0);
		ck_assert_str_eq(buffer + strlen(buffer) - 4, "...\"");
	}
}
END_TEST

/* Names of files, keys and values: a mistake is one line that can be shown, whatever they are. */
START_TEST(names)
{
	const char *name = hostile[_i].text;
	cleanup(cleanup_free) char *json = text_new(name, TEXT_JSON_STRING), *text = NULL;
	struct policy_source source = { .path = name };
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;
	int length = asprintf(&text,
		"{\"version\":1,\"x%s\":1,\"limits\":{\"total\":\"x%s\"},\"uses\":{\"x %s\":"
		"{\"heap\":\"/%s\"}},\"rules\":[{\"name\":\"-%s\",\"match\":{\"user\":\"x%s\","
		"\"exe\":\"x%s\"},\"deny\":\"%s\"}]}",
		json, json, json, json, json, json, json, json);

	ck_assert_int_gt(length, 0);
	source.text = text;
	source.size = (size_t)length;
	ck_assert_int_eq(policy_new(&source, 1, &test_env, &errors, &policy), -EINVAL);
	ck_assert_uint_ge(errors.count, 6);
	for (size_t i = 0; i < errors.count; i++) {
		cleanup(cleanup_free) char *back = read_back(errors.lines[i]);

		ck_assert_msg(is_safe(errors.lines[i]), "%s", errors.lines[i]);
		ck_assert_msg(!strncmp(back, name, strlen(name)), "%s", errors.lines[i]);
		ck_assert_msg(!strncmp(back + strlen(name), ": /", 3), "%s", errors.lines[i]);
	}
	policy_errors_done(&errors);
}
END_TEST

/* Where a rule comes from is shown as JSON, which any name of a file must fit. */
START_TEST(names_shown)
{
	static const char text[] = "{\"version\":1,\"limits\":{\"total\":\"1G\"}}";
	struct policy_source source = { hostile[_i].text, text, sizeof(text) - 1 };
	cleanup(cleanup_free) char *shown = NULL, *back = NULL, *from = NULL;
	struct policy *policy = NULL;
	struct json_object *json, *member;

	ck_assert_int_eq(policy_new(&source, 1, &test_env, NULL, &policy), 0);
	shown = policy_show(policy);
	ck_assert_msg(is_utf8(shown), "%s", shown);
	json = json_tokener_parse(shown);
	ck_assert_msg(json && json_object_object_get_ex(json, "limits", &member) &&
			      json_object_object_get_ex(member, "total", &member) &&
			      json_object_object_get_ex(member, "from", &member),
		"%s", shown);
	back = read_back(json_object_get_string(member));
	ck_assert_int_ge(asprintf(&from, "%s: /limits/total", hostile[_i].text), 0);
	ck_assert_str_eq(back, from);
	json_object_put(json);
	policy_unref(policy);
}
END_TEST

START_TEST(guesses)
{
	static const char *const words[] = { "use", "user", "buffer", "buffers", "connections",
		NULL };

	ck_assert_uint_eq(policy_guess_distance("", "", 3), 0);
	ck_assert_uint_eq(policy_guess_distance("abc", "acb", 3), 1);
	ck_assert_uint_eq(policy_guess_distance("abc", "", 9), 3);
	ck_assert_uint_eq(policy_guess_distance("kitten", "sitting", 9), 3);
	ck_assert_uint_eq(policy_guess_distance("kitten", "sitting", 2), 3);
	ck_assert_str_eq(policy_guess("bufer", words), "buffer");
	ck_assert_str_eq(policy_guess("buffres", words), "buffers");
	ck_assert_str_eq(policy_guess("conections", words), "connections");
	ck_assert_str_eq(policy_guess("usr", words), "use");
	ck_assert_ptr_null(policy_guess("match", words));
	ck_assert_ptr_null(policy_guess("", words));
	ck_assert_ptr_null(policy_guess(
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", words));
}
END_TEST

static void digest_of(const char *const *texts, size_t n, char digest[POLICY_DIGEST_TEXT_MAX])
{
	struct policy *policy = test_policies(texts, n);

	copy_string(digest, POLICY_DIGEST_TEXT_MAX, policy_digest(policy));
	policy_unref(policy);
}

START_TEST(digest_same)
{
	static const char *const whole[] = {
		"{'version':1,'uses':{'a':{'heap':'system'},'b':{'heap':'odd'}},"
		"'heaps':{'odd':{'exposure':'private'}},'limits':{'total':'1G'},"
		"'rules':[{'name':'x','match':{'user':['alice','bob'],'exe':['/a','/b']},"
		"'allow':{'use':['a','b'],'buffer':'1M'}},"
		"{'name':'y','match':{},'deny':'no'}]}",
	};
	static const char *const spread[] = {
		"// comments\n{'$schema':'x','version':1,'limits':{'total':'2G'},"
		"'rules':[{'allow':{'per':'rule','buffer':1048576,'use':['b','a','b']},"
		"'match':{'exe':['/b','/a','/a'],'user':[1003,1002,1003]},'name':'x'}]}",
		"{'version':1,'heaps':{'odd':{'exposure':'private'}},"
		"'audit':{'durability':'synced'},'on-reload':'keep','uses':{'b':{'heap':'odd'}}}",
		"{'version':1,'limits':{'total':'1024M','connections-per-user':128,"
		"'emulated-per-user':'64M'},"
		"'rules':[{'name':'y','match':{},'deny':'no'}]}",
		"{'version':1,'uses':{'a':{'heap':'system'}}}",
	};
	char one[POLICY_DIGEST_TEXT_MAX], other[POLICY_DIGEST_TEXT_MAX];

	digest_of(whole, 1, one);
	digest_of(spread, 4, other);
	ck_assert_str_eq(one, other);
}
END_TEST

START_TEST(digest_different)
{
	static const char *const texts[] = {
		MATCH(""),
		RULES(""),
		"{'version':1," USES ",'limits':{'total':'1G'}}",
		"{'version':1," USES ",'limits':{'total':'3G'}}",
		"{'version':1," USES ",'limits':{'per-user':'1G'}}",
		"{'version':1," USES ",'limits':{'emulated-per-user':'1G'}}",
		"{'version':1," USES ",'limits':{'connections-per-user':1}}",
		"{'version':1," USES ",'audit':{'durability':'written'}}",
		"{'version':1," USES ",'heaps':{'x':{'exposure':'private'}}}",
		"{'version':1," USES ",'heaps':{'x':{'exposure':'shared'}}}",
		"{'version':1,'uses':{'u':{'heap':'system'},'rdma':{'heap':'system_cc_shared'}}}",
		"{'version':1,'uses':{'u':{'heap':'emulated'}}}",
		RULES("{'name':'r','match':{},'deny':'x'}"),
		RULES("{'name':'r','match':{},'deny':'y'}"),
		RULES("{'name':'r','match':{},'deny':'x','use':'u'}"),
		RULES("{'name':'s','match':{},'allow':{'use':'u'}}"),
		"{'version':1," USES ",'on-reload':'revoke'}",
		RULES("{'name':'a','match':{},'deny':'x'},{'name':'b','match':{},'deny':'x'}"),
		RULES("{'name':'b','match':{},'deny':'x'},{'name':'a','match':{},'deny':'x'}"),
		ALLOW("'use':'rdma'"),
		ALLOW("'use':['u','rdma']"),
		ALLOWU("'buffer':1"),
		ALLOWU("'total':1"),
		ALLOWU("'buffers':1"),
		ALLOWU("'rate':'1/s'"),
		ALLOWU("'rate':'1/min'"),
		ALLOWU("'rate':'1/h'"),
		ALLOWU("'rate':'2/s'"),
		ALLOWU("'per':'user'"),
		ALLOWU("'per':'unit'"),
		ALLOWU("'per':'process'"),
		MATCH("'user':'root'"),
		MATCH("'user':'alice'"),
		MATCH("'group':'root'"),
		MATCH("'unit':'a.service'"),
		MATCH("'slice':'a.slice'"),
		MATCH("'exe':'/a'"),
		MATCH("'cgroup':'/a'"),
		MATCH("'label':'/a'"),
		MATCH("'container':true"),
		MATCH("'container':false"),
		MATCH("'identity':'weak'"),
		MATCH("'identity':'strong'"),
		MATCH("'transport':'socket'"),
		MATCH("'transport':'dbus'"),
		MATCH("'not':{'user':'root'}"),
		MATCH("'not':{'not':{'user':'root'}}"),
	};
	char digests[ARRAY_SIZE(texts)][POLICY_DIGEST_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		digest_of(&texts[i], 1, digests[i]);
		for (size_t j = 0; j < i; j++)
			ck_assert_msg(!streq(digests[i], digests[j]), "%s\n%s", texts[i], texts[j]);
	}
}
END_TEST

START_TEST(show)
{
	static const char *const texts[] = {
		"{'version':1,'uses':{'u':{'heap':'odd'}},"
		"'heaps':{'odd':{'exposure':'shared'}},'limits':{'total':'25%','per-user':'1G',"
		"'emulated-per-user':'2G'}}",
		"{'version':1,'limits':{'total':'50%'},'audit':{'durability':'written'},'rules':["
		"{'name':'x','match':{'user':['alice',7],'unit':'a*','container':true,"
		"'transport':'dbus','identity':'strong','not':{'exe':'/x'}},"
		"'allow':{'use':'u','buffer':'1M','total':'5M','buffers':4,'rate':'5/h'}},"
		"{'name':'y','match':{},'deny':'no','use':'u'},"
		"{'name':'z','match':{},'deny':'no'}],'on-reload':'revoke'}",
	};
	static const char expected[] =
		"'limits':{'total':{'value':'4G','from':'b.json: /limits/total'},"
		"'per-user':{'value':'1G','from':'a.json: /limits/per-user'},"
		"'emulated-per-user':{'value':'2G','from':'a.json: /limits/emulated-per-user'},"
		"'connections-per-user':{'value':128,'from':'default'}},"
		"'audit':{'durability':{'value':'written','from':'b.json: /audit/durability'}},"
		"'on-reload':{'value':'revoke','from':'b.json: /on-reload'},"
		"'heaps':{'odd':{'exposure':'shared','from':'a.json: /heaps/odd'}},"
		"'uses':{'u':{'heap':'odd','exposure':'shared','from':'a.json: /uses/u'}},"
		"'rules':[{'name':'x','match':{'user':[7,'alice'],'unit':['a*'],'container':true,"
		"'identity':['strong'],'transport':['dbus'],'not':{'exe':['/x']}},"
		"'allow':{'use':['u'],'buffer':'1M','total':'5M','buffers':4,'rate':'5/h',"
		"'per':'rule'},'from':'b.json: /rules/0'},"
		"{'name':'y','match':{},'deny':'no','use':['u'],"
		"'from':'b.json: /rules/1'},"
		"{'name':'z','match':{},'deny':'no','from':'b.json: /rules/2'}]}";
	struct policy *policy = test_policies(texts, 2);
	char *text = policy_show(policy), *wanted = NULL, *quoted = test_quotes(expected);
	struct json_object *shown, *wanted_json;

	ck_assert_ptr_nonnull(text);
	ck_assert_int_ge(asprintf(&wanted, "{\"version\":1,\"digest\":\"%s\",%s",
				 policy_digest(policy), quoted),
		0);
	shown = json_tokener_parse(text);
	wanted_json = json_tokener_parse(wanted);
	ck_assert_ptr_nonnull(wanted_json);
	ck_assert_msg(json_object_equal(shown, wanted_json), "%s", text);
	json_object_put(shown);
	json_object_put(wanted_json);
	free(text);
	free(wanted);
	free(quoted);
	policy_unref(policy);
}
END_TEST

START_TEST(exposures)
{
	struct policy *policy = test_policy("{'version':1,'heaps':{'a':{'exposure':'private'},"
					    "'b':{'exposure':'shared'},'c':{'exposure':'protected'}"
					    "}}");

	ck_assert_int_eq(policy_exposure(NULL, "system_cc_shared"), EXPOSURE_SHARED);
	ck_assert_int_eq(policy_exposure(NULL, "system_cc_decrypted"), EXPOSURE_SHARED);
	ck_assert_int_eq(policy_exposure(NULL, "system"), EXPOSURE_PRIVATE);
	ck_assert_int_eq(policy_exposure(NULL, "reserved"), EXPOSURE_PRIVATE);
	ck_assert_int_eq(policy_exposure(NULL, "default_cma_region"), EXPOSURE_PRIVATE);
	ck_assert_int_eq(policy_exposure(NULL, "linux,cma"), EXPOSURE_PRIVATE);
	ck_assert_int_eq(policy_exposure(NULL, "gpu-cma"), EXPOSURE_PRIVATE);
	ck_assert_int_eq(policy_exposure(NULL, "protected,secure-video"), EXPOSURE_PROTECTED);
	ck_assert_int_eq(policy_exposure(NULL, "emulated"), EXPOSURE_EMULATED);
	ck_assert_int_eq(policy_exposure(NULL, "protected"), EXPOSURE_UNKNOWN);
	ck_assert_int_eq(policy_exposure(NULL, "system2"), EXPOSURE_UNKNOWN);
	ck_assert_int_eq(policy_exposure(NULL, "ma"), EXPOSURE_UNKNOWN);
	ck_assert_int_eq(policy_exposure(NULL, ""), EXPOSURE_UNKNOWN);
	ck_assert_int_eq(policy_exposure(policy, "a"), EXPOSURE_PRIVATE);
	ck_assert_int_eq(policy_exposure(policy, "b"), EXPOSURE_SHARED);
	ck_assert_int_eq(policy_exposure(policy, "c"), EXPOSURE_PROTECTED);
	ck_assert_int_eq(policy_exposure(policy, "d"), EXPOSURE_UNKNOWN);
	ck_assert_int_eq(policy_exposure(policy, "system"), EXPOSURE_PRIVATE);
	policy_unref(policy);
}
END_TEST

int main(int argc, char *argv[])
{
	const struct test tests[] = {
		{ nothing },
		{ errors_may_be_ignored },
		{ syntax },
		{ characters },
		{ ends_of_comments },
		{ places },
		{ comments },
		{ top_level },
		{ uses_and_heaps },
		{ limits },
		{ percent_of_much },
		{ rules },
		{ matches },
		{ files },
		{ many_mistakes },
		{ long_lists },
		{ quoting },
		{ names, .times = ARRAY_SIZE(hostile) },
		{ names_shown, .times = ARRAY_SIZE(hostile) },
		{ guesses },
		{ digest_same },
		{ digest_different },
		{ show },
		{ exposures },
		{ NULL },
	};

	return run_tests(argc, argv, "policy", NULL, tests);
}

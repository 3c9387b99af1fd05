/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Texts that others could choose: what is no UTF-8, what a terminal obeys, what cannot be seen,
 * what looks like an escape. The unit tests send each of them through every place that shows text;
 * so does tests/integration/test_bytes.py, which reads this file, as C and Python write such
 * literals alike. Each can be the name of a file: no '/', at most 255 bytes.
 */
#pragma once

#include <stddef.h>

struct hostile {
	const char *name;
	const char *text;
};

static const struct hostile hostile[] = {
	/* plain, or as good as */
	{ "plain", "plain" },
	{ "blank", "a b" },
	{ "dash", "-rf --help" },
	{ "formula", "=1+1" },
	{ "letters", "caf\xc3\xa9 \xe2\x82\xac \xd0\xa9 \xe6\xbc\xa2 \xf0\x9f\x90\xa7" },
	{ "quotes", "\"a\" 'b' `c` $(d) ${e}" },
	{ "percent", "%s%n%08x%%" },
	{ "markup", "<a href=\"x\">&amp;" },
	{ "json", "\",\"uid\":0,\"x\":\"" },
	{ "rule", "a (rule b)" },
	/* backslashes, and what reads like an escape */
	{ "backslash", "\\" },
	{ "backslashes", "\\\\" },
	{ "systemd", "dev-disk-by\\x2duuid-1.device" },
	{ "literal-byte", "\\xff" },
	{ "literal-backslash", "\\x5c" },
	{ "literal-literal", "\\x5cxff" },
	{ "literal-letter", "\\x41" },
	{ "literal-newline", "\\n" },
	{ "literal-control", "\\x1b[2J" },
	{ "literal-unseen", "\\u200b" },
	{ "literal-upper", "\\U000e0041" },
	{ "literal-json", "\\ufffd" },
	{ "literal-halves", "\\x\\xf\\u200\\U000e004" },
	{ "backslash-byte", "\\\xff" },
	{ "x-byte", "\\x\xff" },
	/* bytes that are no UTF-8 */
	{ "byte", "\xff" },
	{ "bytes", "\xfe\xff" },
	{ "continuation", "\x80" },
	{ "raw-c1", "\x9bH" },
	{ "latin-1", "caf\xe9" },
	{ "overlong", "\xc0\xaf" },
	{ "overlong-nul", "\xc0\x80" },
	{ "overlong-3", "\xe0\x80\xaf" },
	{ "overlong-4", "\xf0\x80\x80\xaf" },
	{ "surrogate", "\xed\xa0\x80" },
	{ "surrogates", "\xed\xa0\xbd\xed\xb0\xa7" },
	{ "beyond", "\xf4\x90\x80\x80" },
	{ "five", "\xf8\x88\x80\x80\x80" },
	{ "cut-2", "a\xc3" },
	{ "cut-3", "a\xe2\x82" },
	{ "cut-4", "a\xf0\x9f\x90" },
	{ "cut-middle", "\xe2\x82w\xe2\x82\xac" },
	{ "mixed", "\xc3\xa9\xff\xc3\xa9" },
	{ "noncharacter", "\xef\xbf\xbe" },
	{ "noncharacter-fdd0", "\xef\xb7\x90" },
	{ "noncharacter-plane", "\xf4\x8f\xbf\xbf" },
	{ "replacement", "\xef\xbf\xbd" },
	/* what a terminal or a log obeys */
	{ "newline", "a\nb" },
	{ "newline-end", "a\n" },
	{ "forged", "a\n<0>ccbufd: all is well" },
	{ "return", "a\rb" },
	{ "tab", "a\tb" },
	{ "clear", "\x1b[2J\x1b[H" },
	{ "colour", "\x1b[31mred\x1b[0m" },
	{ "title", "\x1b]0;title\x07" },
	{ "link", "\x1b]8;;x:y\x1b\\z\x1b]8;;\x1b\\" },
	{ "bell", "\x07" },
	{ "backspace", "a\x08z" },
	{ "delete", "a\x7f" },
	{ "unit-separator", "a\x1fz" },
	{ "c1", "\xc2\x9bH" },
	{ "next-line", "a\xc2\x85z" },
	/* characters that cannot be seen, or seen where they are */
	{ "no-break", "a\xc2\xa0z" },
	{ "soft-hyphen", "a\xc2\xadz" },
	{ "zero-width", "a\xe2\x80\x8bz" },
	{ "joiner", "a\xe2\x80\x8dz" },
	{ "word-joiner", "a\xe2\x81\xa0z" },
	{ "byte-order", "\xef\xbb\xbfw" },
	{ "line-separator", "a\xe2\x80\xa8z" },
	{ "paragraph-separator", "a\xe2\x80\xa9z" },
	{ "override", "a\xe2\x80\xaegpj.exe" },
	{ "isolate", "a\xe2\x81\xa6z\xe2\x81\xa9" },
	{ "mark", "a\xe2\x80\x8f\xd8\x9cz" },
	{ "annotation", "a\xef\xbf\xb9z\xef\xbf\xbay\xef\xbf\xbb" },
	{ "tags", "a\xf3\xa0\x81\x81\xf3\xa0\x81\xbf" },
	{ "selector", "a\xef\xb8\x8f" },
	{ "selector-17", "a\xf3\xa0\x84\x80" },
	{ "filler", "a\xe3\x85\xa4z" },
	{ "ideographic-space", "a\xe3\x80\x80z" },
	{ "private", "\xee\x80\x80" },
	{ "private-plane", "\xf3\xb0\x80\x80" },
	{ "private-odd", "\xf3\xbd\xa0\x80" },
	{ "private-odd-other", "\xf3\xbd\xa0\x81" },
	/* marks that are piled up, wide characters */
	{ "storm", "Z\xcc\x80\xcc\x81\xcc\x82\xcc\x83\xcc\x84\xcc\x85\xcc\x86\xcc\x87\xcc\x88"
		   "\xcc\x89\xcc\x8a\xcc\x8b\xcc\x8c\xcc\x8d\xcc\x8e\xcc\x8f\xcc\x90\xcc\x91" },
	{ "mark-alone", "\xcc\x88" },
	{ "wide", "\xe6\xbc\xa2\xe5\xad\x97\xed\x95\x9c\xea\xb8\x80" },
	/* long, so that limits fall within them */
	{ "long", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
	{ "long-bytes", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
			"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
			"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
			"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
			"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
			"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" },
	{ "long-letters",
		"\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"
		"\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"
		"\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"
		"\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"
		"\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"
		"\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"
		"\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac" },
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A strict check of the form of a record. json-c accepts more than ccbufd ever writes (a key twice,
 * of which programs see one or the other), and is too slow for a trail of gigabytes. It must never
 * read beyond the line. It allocates nothing.
 */
#include "record-scan.h"

#include <string.h>

struct scan {
	const char *at, *end;
	unsigned int depth;
};

static bool value(struct scan *scan);

static bool take(struct scan *scan, char c)
{
	if (scan->at == scan->end || *scan->at != c)
		return false;
	scan->at++;
	return true;
}

static bool hex(struct scan *scan)
{
	for (int i = 0; i < 4; i++, scan->at++)
		if (scan->at == scan->end || !strchr("0123456789abcdefABCDEF", *scan->at) ||
			!*scan->at)
			return false;
	return true;
}

static bool string(struct scan *scan)
{
	if (!take(scan, '"'))
		return false;
	while (scan->at < scan->end) {
		unsigned char c = (unsigned char)*scan->at++;

		if (c == '"')
			return true;
		if (c < 0x20)
			return false;
		if (c != '\\')
			continue;
		if (take(scan, 'u')) {
			if (!hex(scan))
				return false;
		} else if (scan->at == scan->end || !*scan->at ||
			   !strchr("\"\\/bfnrt", *scan->at++)) {
			return false;
		}
	}
	return false;
}

static bool number(struct scan *scan)
{
	const char *begin = scan->at;

	if (take(scan, '0'))
		return true;
	while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
		scan->at++;
	return scan->at > begin;
}

static bool word(struct scan *scan, const char *text)
{
	size_t length = strlen(text);

	if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, text, length) != 0)
		return false;
	scan->at += length;
	return true;
}

static bool object(struct scan *scan)
{
	struct {
		const char *text;
		size_t length;
	} keys[RECORD_SCAN_KEYS];
	size_t n = 0;

	if (!take(scan, '{'))
		return false;
	if (take(scan, '}'))
		return true;
	do {
		const char *key = scan->at;
		size_t length;

		if (n == RECORD_SCAN_KEYS || !string(scan))
			return false;
		length = (size_t)(scan->at - key);
		for (size_t i = 0; i < n; i++)
			if (keys[i].length == length && memcmp(keys[i].text, key, length) == 0)
				return false;
		keys[n].text = key;
		keys[n++].length = length;
		if (!take(scan, ':') || !value(scan))
			return false;
	} while (take(scan, ','));
	return take(scan, '}');
}

static bool array(struct scan *scan)
{
	if (!take(scan, '['))
		return false;
	if (take(scan, ']'))
		return true;
	do
		if (!value(scan))
			return false;
	while (take(scan, ','));
	return take(scan, ']');
}

static bool value(struct scan *scan)
{
	bool good;

	if (scan->at == scan->end || scan->depth == RECORD_SCAN_DEPTH)
		return false;
	scan->depth++;
	switch (*scan->at) {
	case '{':
		good = object(scan);
		break;
	case '[':
		good = array(scan);
		break;
	case '"':
		good = string(scan);
		break;
	case 't':
		good = word(scan, "true");
		break;
	case 'f':
		good = word(scan, "false");
		break;
	default:
		good = number(scan);
	}
	scan->depth--;
	return good;
}

bool record_scan(const char *untrusted_line, size_t length)
{
	struct scan scan = { .at = untrusted_line, .end = untrusted_line + length };

	return length && *untrusted_line == '{' && value(&scan) && scan.at == scan.end;
}

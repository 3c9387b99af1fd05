/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text to JSON: comments, syntax, and what the JSON library accepts but a policy does not:
 * duplicate keys, trailing bytes, NULs, line breaks in strings. It knows no keys.
 */
#include "policy-internal.h"

static void cleanup_tokener(struct json_tokener **tokener)
{
	if (*tokener)
		json_tokener_free(*tokener);
}

void policy_text_position(
	const char *text, size_t size, size_t offset, size_t *ret_line, size_t *ret_column)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < offset && i < size; i++) {
		if (text[i] == '\n' ||
			(text[i] == '\r' && (i + 1 == size || text[i + 1] != '\n'))) {
			line++;
			column = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			column++;
		}
	}
	*ret_line = line;
	*ret_column = column;
}

/* Blanks the comment at *at and moves past it. False with the place and the reason when it does not
 * end, or other programs would end it elsewhere. */
static bool blank_comment(
	char *text, size_t size, size_t *at, char reason[static POLICY_CHARACTER_MAX])
{
	size_t from = *at, i = from + 2;
	bool block = text[from + 1] == '*';

	for (; i < size; i++) {
		if (block ? text[i] == '*' && text[i + 1] == '/' : text[i] == '\n')
			break;
		if (!block && !policy_character_in_comment(text + i, reason)) {
			*at = i;
			return false;
		}
	}
	if (block && i >= size) {
		copy_string(
			reason, POLICY_CHARACTER_MAX, "this comment does not end; a */ is missing");
		return false;
	}
	if (block)
		i += 2;
	for (size_t j = from; j < i; j++)
		if (text[j] != '\n' && text[j] != '\r')
			text[j] = ' ';
	*at = i;
	return true;
}

/* Moves from the quote at *at past the closing one. False with the place and the reason when there
 * is none. */
static bool pass_string(
	const char *text, size_t size, size_t *at, char reason[static POLICY_CHARACTER_MAX])
{
	size_t opened = *at, i = opened + 1, length;

	while (i < size && (unsigned char)text[i] >= 0x20 && text[i] != '"') {
		length = policy_character_in_string(text + i, reason);
		*at = i;
		if (!length)
			return false;
		i += length;
	}
	if (i < size && text[i] == '"') {
		*at = i + 1;
		return true;
	}
	if (i < size && !text[i]) {
		*at = i;
		return policy_character_outside(text + i, reason);
	}
	for (size_t k = opened; k < i; k++)
		if (policy_character_quote(text + k, reason)) {
			*at = k;
			return false;
		}
	*at = opened;
	copy_string(reason, POLICY_CHARACTER_MAX,
		"this string does not end on its line; a \" is missing");
	return false;
}

/* Names a wrong encoding by the first bytes; NULL when it is not one. */
static const char *encoding(const char *text, size_t size)
{
	if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		return "begins with a byte order mark; save the file without one";
	if (size >= 2 && (!memcmp(text, "\xff\xfe", 2) || !memcmp(text, "\xfe\xff", 2)))
		return "is UTF-16; save the file as UTF-8";
	return NULL;
}

bool policy_text_blank(
	char *text, size_t size, size_t *ret_offset, char reason[static POLICY_CHARACTER_MAX])
{
	const char *other = encoding(text, size);
	size_t i = 0;
	bool good = !other;

	if (other)
		copy_string(reason, POLICY_CHARACTER_MAX, other);
	while (good && i < size) {
		if (text[i] == '"') {
			good = pass_string(text, size, &i, reason);
		} else if (text[i] == '\'') {
			good = false;
			copy_string(reason, POLICY_CHARACTER_MAX,
				"strings are written in double quotes, not single ones");
		} else if (text[i] == '/' && (text[i + 1] == '/' || text[i + 1] == '*')) {
			good = blank_comment(text, size, &i, reason);
		} else {
			good = policy_character_outside(text + i, reason);
			i += good;
		}
	}
	*ret_offset = i;
	return good;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* What went wrong, in words that suit the place. */
static const char *syntax_reason(
	enum json_tokener_error error, const char *text, size_t size, size_t offset)
{
	size_t before = offset;

	while (before > 0 && blank(text[before - 1]))
		before--;
	if (error == json_tokener_error_depth)
		return "nested too deeply";
	if (error == json_tokener_error_parse_eof || error == json_tokener_continue)
		return "the text ends too early; a closing } or ] is missing";
	if (offset < size && (text[offset] == '}' || text[offset] == ']') && before > 0 &&
		text[before - 1] == ',')
		return "a comma must not stand before a closing } or ]";
	return json_tokener_error_desc(error);
}

#define PARSE_FLAGS (JSON_TOKENER_VALIDATE_UTF8 | JSON_TOKENER_ALLOW_TRAILING_CHARS)

/*
 * json_tokener_parse_ex() of a whole text; *ret_end is where it stopped. In strict mode json-c 0.18
 * takes each byte above 0x7f for a control character, so runs of those are passed without strict
 * mode: outside of a string they are still a mistake.
 */
static struct json_object *parse(
	struct json_tokener *tokener, const char *text, size_t size, size_t *ret_end)
{
	struct json_object *json = NULL;
	size_t from = 0;

	*ret_end = 0;
	while (from < size) {
		bool ascii = !(text[from] & 0x80);
		size_t to = from + 1;

		while (to < size && ascii == !(text[to] & 0x80))
			to++;
		json_tokener_set_flags(tokener, PARSE_FLAGS | (ascii ? JSON_TOKENER_STRICT : 0));
		json = json_tokener_parse_ex(tokener, text + from, (int)(to - from));
		*ret_end = from + json_tokener_get_parse_end(tokener);
		if (json_tokener_get_error(tokener) != json_tokener_continue)
			break;
		from = to;
	}
	return json;
}

/* Decodes the string that begins at text[start] (a quote) and ends before text[end]. */
static struct json_object *decode(
	struct json_tokener *tokener, const char *text, size_t start, size_t end)
{
	size_t stopped;

	json_tokener_reset(tokener);
	return parse(tokener, text + start, end - start, &stopped);
}

/* The position of a scan. Kept up to date, because counting from the start for each key takes too
 * long. */
struct scan {
	const char *text; /* with its comments, for the columns */
	size_t size, offset, line, column;
	struct json_object *seen[POLICY_DEPTH_MAX + 1]; /* keys and places of each open object */
	size_t depth;
};

static void cleanup_scan(struct scan *scan)
{
	for (size_t i = 0; i < ARRAY_SIZE(scan->seen); i++)
		json_object_put(scan->seen[i]);
}

static void scan_to(struct scan *scan, size_t offset)
{
	size_t line, column;

	policy_text_position(scan->text + scan->offset, scan->size - scan->offset,
		offset - scan->offset, &line, &column);
	scan->column = line > 1 ? column : scan->column + column - 1;
	scan->line += line - 1;
	scan->offset = offset;
}

static void check_key(struct policy_report *report, const char *path, const struct scan *scan,
	struct json_object *key)
{
	char quoted[POLICY_QUOTE_MAX];
	const char *name = json_object_get_string(key);
	struct json_object *seen = scan->seen[scan->depth], *first, *place;
	int64_t packed;

	if (strlen(name) != (size_t)json_object_get_string_len(key)) {
		policy_errors_syntax(
			report, path, scan->line, scan->column, "a key must not hold a NUL");
		return;
	}
	if (json_object_object_get_ex(seen, name, &first)) {
		packed = json_object_get_int64(first);
		policy_errors_syntax(report, path, scan->line, scan->column,
			"duplicate key %s; it stands at %jd:%jd already",
			policy_errors_quote(quoted, name), (intmax_t)(packed >> 32),
			(intmax_t)(packed & UINT32_MAX));
		return;
	}
	/* a file is far smaller than 2^31 lines or columns */
	place = json_object_new_int64((int64_t)scan->line << 32 | (int64_t)scan->column);
	if (!place || json_object_object_add(seen, name, place) < 0) {
		json_object_put(place);
		report->failed = true;
	}
}

/* The text is valid JSON of limited depth, once its comments are blank. */
static void check_keys(struct policy_report *report, const char *path, const char *untrusted_text,
	const char *text, size_t size, struct json_tokener *tokener)
{
	cleanup(cleanup_scan) struct scan scan = {
		.text = untrusted_text,
		.size = size,
		.line = 1,
		.column = 1,
	};
	size_t i = 0;

	while (i < size) {
		size_t start = i, after;

		if (text[i] == '{' || text[i] == '[') {
			scan.depth++;
			if (text[i] == '{' && !(scan.seen[scan.depth] = json_object_new_object()))
				report->failed = true;
		} else if (text[i] == '}' || text[i] == ']') {
			json_object_put(scan.seen[scan.depth]);
			scan.seen[scan.depth--] = NULL;
		}
		if (text[i++] != '"')
			continue;
		for (; text[i] != '"'; i++)
			if (text[i] == '\\')
				i++;
		after = ++i;
		while (after < size && blank(text[after]))
			after++;
		if (after < size && text[after] == ':' && scan.seen[scan.depth]) {
			struct json_object *key = decode(tokener, text, start, i);

			scan_to(&scan, start);
			if (key)
				check_key(report, path, &scan, key);
			else
				report->failed = true;
			json_object_put(key);
		}
	}
}

struct json_object *policy_text_parse(
	struct policy_report *report, const char *path, const char *untrusted_text, size_t size)
{
	cleanup(cleanup_tokener) struct json_tokener *tokener =
		json_tokener_new_ex(POLICY_DEPTH_MAX);
	cleanup(cleanup_free) char *text = NULL;
	size_t offset = 0, line, column;
	char reason[POLICY_CHARACTER_MAX] = "";
	struct json_object *json = NULL;
	enum json_tokener_error error;

	if (size > POLICY_FILE_MAX) {
		policy_errors_file(report, path,
			"is larger than %u MiB; split it into several files",
			POLICY_FILE_MAX >> 20);
		return NULL;
	}
	text = malloc(size + 1);
	if (!tokener || !text) {
		report->failed = true;
		return NULL;
	}
	if (size)
		memcpy(text, untrusted_text, size);
	text[size] = 0;
	if (policy_text_blank(text, size, &offset, reason)) {
		/* trailing text is refused below, with a better message */
		json = parse(tokener, text, size + 1, &offset);
		error = json_tokener_get_error(tokener);
		if (error != json_tokener_success)
			copy_string(
				reason, sizeof(reason), syntax_reason(error, text, size, offset));
		for (size_t i = offset; !reason[0] && i < size; i++)
			if (!blank(text[i])) {
				offset = i;
				copy_string(reason, sizeof(reason),
					"more text after the end of the policy");
			}
	}
	if (reason[0]) {
		policy_text_position(untrusted_text, size, offset, &line, &column);
		policy_errors_syntax(report, path, line, column, "%s", reason);
		json_object_put(json);
		return NULL;
	}
	check_keys(report, path, untrusted_text, text, size, tokener);
	if (!json)
		/* null is the one value that the library has no object for */
		policy_errors_add(report, path, NULL, "is null, but must be an object { }");
	return json;
}

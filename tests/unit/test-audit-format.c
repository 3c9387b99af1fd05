/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of records as text: the keys and their order, and bytes from outside in every field.
 */
#include <locale.h>

#include "test-audit.h"

#include "audit/copy.h"
#include "audit/format.h"
#include "hostile-checks.h"

static struct audit_format format;
static char body[AUDIT_FORMAT_BODY_MAX + 1];
static struct audit_fields fields;

static size_t format_fields(const struct audit_fields *of)
{
	size_t length;

	ck_assert_int_eq(audit_format_init(&format), 0);
	length = audit_format_body(&format, of, UINT64_C(1795237970123456), 5, body);
	ck_assert_uint_lt(length, AUDIT_FORMAT_BODY_MAX);
	body[length] = 0;
	return length;
}

static size_t format_event(const struct audit_event *event)
{
	audit_fields_of(event, &fields);
	return format_fields(&fields);
}

static void check_body(const struct audit_event *event, const char *rest)
{
	char expected[4096];

	format_event(event);
	snprintf(expected, sizeof(expected),
		"\"time\":\"2026-11-21T05:12:50.123456Z\",\"boottime\":5,\"boot\":\"%s\",%s}\n",
		format.boot, rest);
	ck_assert_str_eq(body, expected);
}

START_TEST(whole_grant)
{
	struct audit_event event = sample_grant();

	check_body(&event,
		"\"event\":\"grant\",\"peer\":{\"uid\":1000,\"gids\":[1000,27],\"pid\":4711,"
		"\"start\":123456,\"exe\":\"/usr/bin/ib_write_bw\",\"unit\":\"mpi@3.service\","
		"\"slice\":\"system.slice\",\"cgroup\":\"/system.slice/mpi@3.service\","
		"\"label\":\"unconfined\",\"container\":false,\"identity\":\"strong\"},"
		"\"use\":\"rdma\",\"label\":\"ring 1\",\"accept-shared\":true,\"read-only\":false,"
		"\"transport\":\"socket\",\"heap\":\"system_cc_shared\",\"exposure\":\"shared\","
		"\"size\":65536,\"count\":1,\"buffers\":[{\"grant\":17,\"inode\":4242}],"
		"\"rule\":\"mpi\",\"verdict\":\"granted\","
		"\"policy\":"
		"\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"");
}
END_TEST

START_TEST(little)
{
	struct identity weak = { .pid = 1, .container = true }, user = { .uid = UINT32_MAX };
	struct request request = { .size = 0, .count = 3, .transport = TRANSPORT_DBUS };
	struct audit_buffer two[] = { { 1, 2 }, { UINT64_MAX, 4 } };

	check_body(&(struct audit_event){ .kind = AUDIT_START }, "\"event\":\"start\"");
	check_body(&(struct audit_event){ .kind = AUDIT_STOP }, "\"event\":\"stop\"");
	check_body(&(struct audit_event){ .kind = AUDIT_POLICY, .policy = "ab" },
		"\"event\":\"policy\",\"verdict\":\"granted\",\"policy\":\"ab\"");
	check_body(&(struct audit_event){ .kind = AUDIT_ERROR, .reason = "x" },
		"\"event\":\"error\",\"reason\":\"x\"");
	check_body(&(struct audit_event){ .kind = AUDIT_ERROR, .verdict = CCBUF_INTERNAL },
		"\"event\":\"error\",\"verdict\":\"internal\"");
	check_body(&(struct audit_event){ .kind = AUDIT_RELEASE,
			   .peer = &weak,
			   .use = "rdma",
			   .size = 4096,
			   .buffers = two,
			   .n_buffers = 2 },
		"\"event\":\"release\",\"peer\":{\"uid\":0,\"gids\":[0],\"pid\":1,\"start\":0,"
		"\"container\":true,\"identity\":\"weak\"},\"use\":\"rdma\",\"size\":4096,"
		"\"count\":2,\"buffers\":[{\"grant\":1,\"inode\":2},"
		"{\"grant\":18446744073709551615,\"inode\":4}]");
	check_body(&(struct audit_event){ .kind = AUDIT_DENY,
			   .peer = &user,
			   .request = &request,
			   .verdict = CCBUF_BAD_SIZE,
			   .repeated = 7 },
		"\"event\":\"deny\",\"peer\":{\"uid\":4294967295},\"accept-shared\":false,"
		"\"read-only\":false,\"transport\":\"dbus\",\"size\":0,\"count\":3,"
		"\"verdict\":\"bad-size\",\"repeated\":7");
	check_body(&(struct audit_event){ .kind = AUDIT_DENY, .verdict = VERDICT_MAX_ },
		"\"event\":\"deny\"");
	check_body(
		&(struct audit_event){ .kind = AUDIT_LEAK, .repeated = 1 }, "\"event\":\"leak\"");
	check_body(&(struct audit_event){ .kind = AUDIT_LEAK,
			   .heap = "h",
			   .exposure = EXPOSURE_SHARED,
			   .size = 8192,
			   .reason = "why" },
		"\"event\":\"leak\",\"heap\":\"h\",\"exposure\":\"shared\",\"size\":8192,"
		"\"reason\":\"why\"");
	check_body(&(struct audit_event){ .kind = AUDIT_REVOKE,
			   .peer = &user,
			   .by = &weak,
			   .verdict = CCBUF_GRANTED },
		"\"event\":\"revoke\",\"peer\":{\"uid\":4294967295},\"by\":{\"uid\":0,\"gids\":[0],"
		"\"pid\":1,\"start\":0,\"container\":true,\"identity\":\"weak\"}");
	check_body(&(struct audit_event){ .kind = AUDIT_REVOKE, .verdict = CCBUF_NO_RULE },
		"\"event\":\"revoke\",\"verdict\":\"no-rule\"");
	check_body(&(struct audit_event){ .kind = AUDIT_ORPHAN }, "\"event\":\"orphan\"");
}
END_TEST

START_TEST(escapes)
{
	static const struct {
		const char *text, *json;
	} cases[] = {
		{ "", "" }, { "plain / ~ text", "plain / ~ text" }, { "\"\\", "\\\"\\\\" },
		{ "a\nb\r\t\x01\x1b\x7f", "a\\u000ab\\u000d\\u0009\\u0001\\u001b\\u007f" },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\x80", "\\\\x80" }, { "\xff\xfe", "\\\\xff\\\\xfe" },
		{ "\xc3", "\\\\xc3" },			     /* ends early */
		{ "\xe2\x82", "\\\\xe2\\\\x82" },	     /* likewise */
		{ "\xc0\xaf", "\\\\xc0\\\\xaf" },	     /* overlong */
		{ "\xed\xa0\x80", "\\\\xed\\\\xa0\\\\x80" }, /* surrogate */
		{ "\xf4\x90\x80\x80", "\\\\xf4\\\\x90\\\\x80\\\\x80" },
		{ "\xc2\x9b", "\\u009b" },		  /* a control sequence in one character */
		{ "\xe2\x80\xae", "\\u202e" },		  /* right to left */
		{ "\xf3\xa0\x81\x81", "\\udb40\\udc41" }, /* a tag */
		{ "\xe2\x80\xa6", "\xe2\x80\xa6" },	  /* an ellipsis is harmless */
		{ "a\\x2db", "a\\\\x2db" },		  /* as systemd names units */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct identity peer = { .pid = 1, .exe = (char *)cases[i].text };
		char expected[256];

		snprintf(expected, sizeof(expected), "\"event\":\"error\",\"reason\":\"%s\"",
			cases[i].json);
		check_body(&(struct audit_event){ .kind = AUDIT_ERROR, .reason = cases[i].text },
			expected);
		snprintf(expected, sizeof(expected),
			"\"event\":\"error\",\"peer\":{\"uid\":0,\"gids\":[0],\"pid\":1,"
			"\"start\":0,\"exe\":\"%s\",\"container\":false,"
			"\"identity\":\"weak\"}",
			cases[i].json);
		check_body(&(struct audit_event){ .kind = AUDIT_ERROR, .peer = &peer }, expected);
	}
}
END_TEST

/* In a name, what reads like an escape is one; words of ours have escapes already. */
START_TEST(forged_escapes)
{
	struct identity peer = { .pid = 1, .exe = (char *)"\\xff" };

	check_body(&(struct audit_event){ .kind = AUDIT_ERROR, .peer = &peer, .reason = "\\xff" },
		"\"event\":\"error\",\"peer\":{\"uid\":0,\"gids\":[0],\"pid\":1,\"start\":0,"
		"\"exe\":\"\\\\x5cxff\",\"container\":false,\"identity\":\"weak\"},"
		"\"reason\":\"\\\\xff\"");
}
END_TEST

/* The record's line, parsed; to be put. */
static struct json_object *parse_body(size_t length)
{
	char line[AUDIT_FORMAT_BODY_MAX + 2];
	struct json_object *object;

	line[0] = '{';
	memcpy(line + 1, body, length + 1);
	object = json_tokener_parse(line);
	ck_assert_msg(object, "%s", line);
	return object;
}

/* Every name of a peer, whatever bytes it is: one line, safe to show, and not lost. */
START_TEST(names)
{
	static const char *const keys[] = { "exe", "unit", "slice", "cgroup", "label" };
	char *name = (char *)hostile[_i].text;
	struct identity peer = {
		.pid = 1, .exe = name, .unit = name, .slice = name, .cgroup = name, .lsm = name
	};
	size_t length = format_event(
		&(struct audit_event){ .kind = AUDIT_GRANT, .peer = &peer, .by = &peer });
	struct json_object *record, *member;

	ck_assert_ptr_eq(strchr(body, '\n'), body + length - 1);
	body[length - 1] = 0;
	ck_assert_msg(is_safe(body), "%s", body);
	record = parse_body(length - 1);
	for (int by = 0; by < 2; by++)
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
			cleanup(cleanup_free) char *back = NULL;

			ck_assert(json_object_object_get_ex(record, by ? "by" : "peer", &member));
			ck_assert(json_object_object_get_ex(member, keys[i], &member));
			back = read_back(json_object_get_string(member));
			ck_assert_str_eq(back, name);
		}
	json_object_put(record);
}
END_TEST

START_TEST(cut)
{
	static char text[20000];
	struct audit_event event = { .kind = AUDIT_ERROR, .reason = text };
	size_t plain, control;

	memset(text, 'x', sizeof(text) - 1);
	plain = format_event(&event);
	ck_assert_ptr_nonnull(strstr(body, "xxx\\u2026\"}"));
	memset(text, '\n', sizeof(text) - 1);
	control = format_event(&event);
	ck_assert_ptr_nonnull(strstr(body, "\\u000a\\u2026\"}"));
	ck_assert_uint_le(control, plain + 6);
	memset(text, 'x', sizeof(text));
	text[AUDIT_FORMAT_TEXT_MAX - 1] = 0;
	format_event(&event);
	ck_assert_ptr_null(strstr(body, "\\u2026"));
}
END_TEST

/* Two programs whose paths differ where the record has no room any more. */
START_TEST(names_cut)
{
	static char one[4000], other[4000];
	static const char *const kinds[] = { "x", "\xff", "\n" };
	struct identity peer = { .pid = 1 };
	struct audit_event event = { .kind = AUDIT_GRANT, .peer = &peer };
	cleanup(cleanup_free) char *first = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		memset(one, kinds[i][0], sizeof(one) - 1);
		memset(other, kinds[i][0], sizeof(other) - 1);
		other[sizeof(other) - 2] = 'y';
		peer.exe = one;
		format_event(&event);
		ck_assert_int_eq(!strstr(body, "\\u2026sha256:"), i == 0);
		free(first);
		first = strdup(body);
		peer.exe = other;
		format_event(&event);
		ck_assert_str_ne(body, first);
	}
}
END_TEST

START_TEST(groups_cut)
{
	static gid_t groups[65536];
	struct identity peer = { .pid = 1, .gid = 5, .groups = groups };
	struct audit_event event = { .kind = AUDIT_ERROR, .peer = &peer };
	struct audit_copy *copy;

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		groups[i] = UINT32_MAX;
	peer.n_groups = AUDIT_FORMAT_GROUPS_MAX;
	format_event(&event);
	ck_assert_ptr_null(strstr(body, "gids-cut"));
	peer.n_groups = ARRAY_SIZE(groups);
	format_event(&event);
	ck_assert_ptr_nonnull(strstr(body, "],\"gids-cut\":true,\"pid\""));
	copy = audit_copy_new(&fields);
	ck_assert_uint_lt(copy->size, 8192);
	format_fields(&copy->fields);
	ck_assert_ptr_nonnull(strstr(body, "],\"gids-cut\":true,\"pid\""));
	free(copy);
}
END_TEST

START_TEST(clock_moves)
{
	struct audit_event event = { .kind = AUDIT_START };
	static const struct {
		uint64_t realtime;
		const char *text;
	} cases[] = {
		{ 0, "\"1970-01-01T00:00:00.000000Z\"" },
		{ 999999, "\"1970-01-01T00:00:00.999999Z\"" },
		{ 1000000, "\"1970-01-01T00:00:01.000000Z\"" },
		{ 0, "\"1970-01-01T00:00:00.000000Z\"" },
		{ UINT64_C(951782400000001), "\"2000-02-29T00:00:00.000001Z\"" },
		{ UINT64_C(253402300800000000), "\"10000-01-01T00:00:00.000000Z\"" },
		{ UINT64_MAX, "\"586524-01-19T08:01:49.551615Z\"" },
	};

	ck_assert_int_eq(audit_format_init(&format), 0);
	audit_fields_of(&event, &fields);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		body[audit_format_body(&format, &fields, cases[i].realtime, 0, body)] = 0;
		ck_assert_msg(strstr(body, cases[i].text), "%s", body);
	}
}
END_TEST

static uint32_t random_state = 1;

static uint32_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state;
}

/* Bytes of any kind, with more of those that matter than chance would have it. */
static char *random_text(char *text, size_t size)
{
	static const char special[] = "\"\\\n\r\t\x1b\x7f/u{}[]:,\xc2\xe2\x80\xf0\x9f\xed\xa0\xff";
	size_t length = random_number() % size;

	if (random_number() % 8 == 0)
		return NULL;
	for (size_t i = 0; i < length; i++) {
		uint32_t r = random_number();

		text[i] = r % 3 ? special[r / 3 % (sizeof(special) - 1)] : (char)(r >> 8);
		if (!text[i])
			text[i] = ' ';
	}
	text[length] = 0;
	return text;
}

static void check_hostile(const struct audit_event *event)
{
	size_t length = format_event(event);
	bool control = false;
	char line[AUDIT_FORMAT_BODY_MAX + 2];
	enum json_tokener_error error;
	struct json_tokener *tokener;
	struct json_object *object;

	ck_assert_uint_eq(strlen(body), length);
	ck_assert_ptr_eq(strchr(body, '\n'), body + length - 1);
	for (size_t i = 0; i < length - 1; i++)
		control = control || (unsigned char)body[i] < 0x20 || body[i] == 0x7f;
	ck_assert(!control);
	line[0] = '{';
	memcpy(line + 1, body, length + 1);
	tokener = json_tokener_new();
	/* Strictly, json-c 0.18 takes a byte above 0x7f for a control character. */
	ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
	ck_assert_uint_ne(mbstowcs(NULL, line, 0), (size_t)-1);
	object = json_tokener_parse_ex(tokener, line, (int)length);
	error = json_tokener_get_error(tokener);
	ck_assert_msg(object, "%s: %s", json_tokener_error_desc(error), line);
	ck_assert_int_eq(json_object_object_length(object) > 3, 1);
	json_object_put(object);
	json_tokener_free(tokener);
}

START_TEST(random_texts)
{
	static char texts[15][6000];

	for (int i = 0; i < 3000; i++) {
		size_t size = random_number() % 16 ? 64 : sizeof(texts[0]);
		struct identity peer = sample_peer, by = sample_peer;
		struct request request = sample_request;
		struct audit_event event = sample_denial();
		struct audit_copy *copy;
		char *before;

		peer.exe = random_text(texts[0], size);
		peer.unit = random_text(texts[1], size);
		peer.slice = random_text(texts[2], size);
		peer.cgroup = random_text(texts[3], size);
		peer.lsm = random_text(texts[4], size);
		event.use = random_text(texts[5], size);
		event.heap = random_text(texts[6], size);
		event.rule = random_text(texts[7], size);
		event.reason = random_text(texts[8], size);
		event.policy = random_text(texts[9], size);
		by.exe = random_text(texts[10], size);
		by.unit = random_text(texts[11], size);
		by.slice = random_text(texts[12], size);
		by.cgroup = random_text(texts[13], size);
		by.lsm = random_text(texts[14], size);
		event.peer = &peer;
		event.by = random_number() % 2 ? &by : NULL;
		event.request = random_number() % 2 ? &request : NULL;
		if (!random_text(request.use, sizeof(request.use)))
			request.use[0] = 0;
		if (!random_text(request.label, sizeof(request.label)))
			request.label[0] = 0;
		check_hostile(&event);
		/* A copy gives the same record. */
		before = strdup(body);
		copy = audit_copy_new(&fields);
		ck_assert_ptr_nonnull(copy);
		memset(texts, 'X', sizeof(texts));
		format_fields(&copy->fields);
		ck_assert_str_eq(body, before);
		free(copy);
		free(before);
	}
}
END_TEST

START_TEST(largest)
{
	static char text[6 * AUDIT_FORMAT_TEXT_MAX];
	static gid_t groups[2 * AUDIT_FORMAT_GROUPS_MAX];
	struct audit_buffer buffers[REQUEST_COUNT_MAX];
	struct request request = { .size = UINT64_MAX, .count = UINT32_MAX };
	struct identity peer = {
		.pid = INT32_MAX,
		.uid = UINT32_MAX,
		.groups = groups,
		.n_groups = ARRAY_SIZE(groups),
		.exe = text,
		.unit = text,
		.slice = text,
		.cgroup = text,
		.lsm = text,
	};
	struct audit_event event = {
		.kind = AUDIT_UNDELIVERED,
		.peer = &peer,
		.by = &peer,
		.request = &request,
		.use = text,
		.heap = text,
		.exposure = EXPOSURE_PROTECTED,
		.buffers = buffers,
		.n_buffers = REQUEST_COUNT_MAX,
		.rule = text,
		.verdict = CCBUF_IDENTITY_CHANGED,
		.reason = text,
		.policy = text,
		.repeated = UINT64_MAX,
	};

	memset(text, 1, sizeof(text) - 1);
	memset(groups, 0xff, sizeof(groups));
	memset(buffers, 0xff, sizeof(buffers));
	memset(request.label, 1, sizeof(request.label) - 1);
	check_hostile(&event);
	memset(text, 'x', sizeof(text) - 1);
	for (size_t i = 4090; i < sizeof(text) - 1; i++)
		text[i] = "\xf0\x9f\x98\x80"[(i - 4090) % 4];
	check_hostile(&event);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { folder_new, folder_free };
	const struct test tests[] = {
		{ whole_grant },
		{ little },
		{ escapes },
		{ forged_escapes },
		{ names, .times = ARRAY_SIZE(hostile) },
		{ names_cut },
		{ cut },
		{ groups_cut },
		{ clock_moves },
		{ random_texts },
		{ largest },
		{ NULL },
	};

	return run_tests(argc, argv, "audit-format", &hooks, tests);
}

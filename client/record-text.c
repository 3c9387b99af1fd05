/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Audit records for people: one line each, most important things first. It accepts records that
 * lack a member, or have one of another type.
 */
#include "record-text.h"

#include <pwd.h>
#include <stdio.h>

#include "output.h"
#include "size.h"

static bool has(struct json_object *object, const char *key)
{
	return json_object_object_get_ex(object, key, NULL);
}

static void put_peer(FILE *out, struct json_object *peer)
{
	const char *unit = member_text(peer, "unit"), *exe = member_text(peer, "exe");
	struct passwd *user = has(peer, "uid") ? getpwuid((uid_t)member_number(peer, "uid")) : NULL;

	if (user)
		fprintf(out, "  %s", user->pw_name);
	else
		fprintf(out, "  uid %s", has(peer, "uid") ? member_text(peer, "uid") : "unknown");
	if (has(peer, "pid"))
		fprintf(out, " pid %s", member_text(peer, "pid"));
	if (*unit)
		fprintf(out, " %s", unit);
	if (*exe)
		fprintf(out, " %s", exe);
	if (streq(member_text(peer, "identity"), "weak"))
		fputs(" (weak identity)", out);
	if (member_true(peer, "container"))
		fputs(" (container)", out);
}

/* "2 x 64K for rdma (ring) on system_cc_shared, shared, over dbus" */
static void put_buffers(FILE *out, struct json_object *record)
{
	uint64_t count = member_number(record, "count");
	char size[SIZE_TEXT_MAX];
	const char *separator = "  ";

	if (has(record, "size")) {
		fputs(separator, out);
		if (count > 1)
			fprintf(out, "%ju x ", (uintmax_t)count);
		fputs(size_format(member_number(record, "size"), size), out);
		separator = " ";
	}
	if (has(record, "use")) {
		fprintf(out, "%sfor %s", separator, member_text(record, "use"));
		separator = " ";
	}
	if (*member_text(record, "label")) {
		fprintf(out, "%s(%s)", separator, member_text(record, "label"));
		separator = " ";
	}
	if (has(record, "heap"))
		fprintf(out, "%son %s", separator, member_text(record, "heap"));
	if (has(record, "exposure") &&
		!streq(member_text(record, "exposure"), member_text(record, "heap")))
		fprintf(out, ", %s", member_text(record, "exposure"));
	if (member_true(record, "read-only"))
		fputs(", read-only", out);
	if (has(record, "transport"))
		fprintf(out, ", over %s", member_text(record, "transport"));
}

static void put_grants(FILE *out, struct json_object *buffers)
{
	size_t n = json_object_is_type(buffers, json_type_array) ? json_object_array_length(buffers)
								 : 0;

	if (!n)
		return;
	fprintf(out, "  grant%s", n > 1 ? "s" : "");
	for (size_t i = 0; i < n; i++)
		fprintf(out, " %s", member_text(json_object_array_get_idx(buffers, i), "grant"));
}

/* Keys that are shown above, or only with --json. */
static bool is_told(const char *key)
{
	static const char *const told[] = { "seq", "prev", "time", "boottime", "boot", "event",
		"peer", "by", "use", "label", "accept-shared", "read-only", "transport", "heap",
		"exposure", "size", "count", "buffers", "rule", "verdict", "reason", "policy",
		"repeated", "missing", "deleted" };

	for (size_t i = 0; i < ARRAY_SIZE(told); i++)
		if (streq(key, told[i]))
			return true;
	return false;
}

/* Writes "key value" for unknown keys: a later ccbufd may have written them. */
static void put_rest(FILE *out, struct json_object *record)
{
	json_object_object_foreach(record, key, value)
	{
		if (!is_told(key))
			fprintf(out, "  %s %s", key,
				json_object_is_type(value, json_type_string)
					? json_object_get_string(value)
					: json_object_to_json_string_ext(
						  value, JSON_C_TO_STRING_PLAIN));
	}
}

char *record_text(struct json_object *record)
{
	struct json_object *member;
	/* The mistakes of a policy are several lines. */
	cleanup(cleanup_free) char *reason =
		escape(member_text(record, "reason"), TEXT_VISIBLE | TEXT_JOINED);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		abort();
	fprintf(out, "%s %6s %-11s", member_text(record, "time"), member_text(record, "seq"),
		member_text(record, "event"));
	if (json_object_object_get_ex(record, "peer", &member))
		put_peer(out, member);
	if (json_object_object_get_ex(record, "by", &member)) {
		fputs("  by", out);
		put_peer(out, member);
	}
	put_buffers(out, record);
	put_grants(out, json_object_object_get(record, "buffers"));
	if (has(record, "verdict") && !streq(member_text(record, "verdict"), "granted"))
		fprintf(out, "  %s", member_text(record, "verdict"));
	if (*member_text(record, "rule"))
		fprintf(out, "  rule %s", member_text(record, "rule"));
	if (streq(member_text(record, "event"), "policy") && *member_text(record, "policy"))
		fprintf(out, "  digest %.12s...", member_text(record, "policy"));
	if (*reason)
		fprintf(out, "  %s", reason);
	if (member_number(record, "repeated") > 1)
		fprintf(out, "  (%s times)", member_text(record, "repeated"));
	put_rest(out, record);
	if (fclose(out))
		abort();
	while (size > 0 && text[size - 1] == ' ')
		text[--size] = 0;
	return text;
}

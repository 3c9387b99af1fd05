/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The list of doctor's findings, and checks that several examinations share.
 */
#include "findings.h"

#include <stdarg.h>
#include <stdio.h>

#include "output.h"
#include "way.h"

static const char *const status_names[] = {
	[STATUS_OK] = "ok",
	[STATUS_WARNING] = "warning",
	[STATUS_PROBLEM] = "problem",
};

static bool is_trusted(const struct places *places, uid_t uid)
{
	return uid == 0 || uid == places->user->uid || uid == geteuid();
}

static void tell_untrusted(struct findings *findings, const struct places *places, const char *path,
	const char *at, const struct stat *st, const char *topic)
{
	struct unmapped unmapped;
	char words[WAY_WORDS_MAX];
	uid_t uid;

	unmapped_detect(&unmapped);
	uid = !unmapped_uid(&unmapped, st->st_uid) && is_trusted(places, st->st_uid) ? st->st_uid
										     : 0;
	if (way_judge(st, uid, &unmapped) == WAY_TRUSTED)
		return;
	found(findings, STATUS_WARNING, topic, "only root may be able to change it",
		"others could replace the folder %s: %s %s", shown_name(path), shown_name(at),
		way_words(words, st, uid, &unmapped));
}

void examine_way(
	struct findings *findings, const struct places *places, const char *path, const char *topic)
{
	struct unmapped unmapped;
	struct way_end end;
	int fd = -1, r;

	unmapped_detect(&unmapped);
	r = way_open(path, places->user->uid, &unmapped, &fd, &end);
	if (r > 0)
		tell_untrusted(findings, places, path, end.path, &end.st, topic);
	close_fd(&fd);
	free(end.path);
}

void examine_folder(
	struct findings *findings, const struct places *places, const char *path, const char *topic)
{
	struct stat st;

	if (stat(path, &st) == 0)
		tell_untrusted(findings, places, path, path, &st, topic);
}

void found(struct findings *findings, enum status status, const char *topic, const char *advice,
	const char *format, ...)
{
	struct json_object *object = json_object_new_object();
	cleanup(cleanup_free) char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	text = format_text(format, arguments);
	va_end(arguments);
	findings->warnings += status == STATUS_WARNING;
	findings->problems += status == STATUS_PROBLEM;
	json_object_object_add(object, "status", json_object_new_string(status_names[status]));
	json_object_object_add(object, "topic", json_object_new_string(topic));
	json_object_object_add(object, "text", json_object_new_string(text));
	if (advice)
		json_object_object_add(object, "advice", json_object_new_string(advice));
	json_object_array_add(findings->list, object);
}

static void say_lines(const struct findings *findings)
{
	for (size_t i = 0; i < json_object_array_length(findings->list); i++) {
		struct json_object *finding = json_object_array_get_idx(findings->list, i);
		const char *advice = member_text(finding, "advice");

		say("%-8s %-9s %s%s%s", member_text(finding, "status"),
			member_text(finding, "topic"), member_text(finding, "text"),
			*advice ? "; " : "", advice);
	}
	say("%zu problem%s, %zu warning%s", findings->problems, findings->problems == 1 ? "" : "s",
		findings->warnings, findings->warnings == 1 ? "" : "s");
}

static void say_json_of(const struct findings *findings)
{
	cleanup(cleanup_json) struct json_object *object = json_object_new_object();

	json_object_object_add(object, "problems", json_object_new_uint64(findings->problems));
	json_object_object_add(object, "warnings", json_object_new_uint64(findings->warnings));
	json_object_object_add(object, "findings", json_object_get(findings->list));
	say_json(object, true);
}

void findings_say(const struct findings *findings, bool json)
{
	if (json)
		say_json_of(findings);
	else
		say_lines(findings);
}

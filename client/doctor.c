/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ccbuf-client doctor: runs the examinations and prints what they found. It must never change
 * anything, nor need a privilege to say something useful.
 */
#include <stdarg.h>
#include <stdio.h>

#include "client.h"
#include "findings.h"
#include "output.h"
#include "way.h"

static const char help[] =
	"ccbuf-client doctor [--json]\n"
	"\n"
	"Examines this machine: whether it is a confidential guest and of which kind, what the\n"
	"kernel offers, the module ccbuf_heap, which heaps there are, what the host can do with "
	"their memory and who may\n"
	"open them past the broker, the policy files, what this site has changed, the daemon with\n"
	"its socket, trail and the bus. What ccbufd must be able to read is looked at as its user. "
	"Each\n"
	"line is ok, a warning or a problem, and says what to do.\n"
	"\n"
	"Connecting to the socket and the bus starts ccbufd where it is activated by them. Root\n"
	"sees a little more than others.\n"
	"\n"
	"  --json         the findings as one object\n"
	"  --heaps DIR    look for heaps in DIR instead of /dev/dma_heap\n"
	"  --sys DIR      look for the module in DIR instead of /sys\n"
	"  --policy PATH  examine this file or folder instead of the installed policy; may be\n"
	"                 given several times\n"
	"\n"
	"Exit codes: 0 no problem (warnings do not count), 1 problems, 2 wrong usage.\n";

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
		"others could put another folder in the place of %s: %s %s", shown_name(path),
		shown_name(at), way_words(words, st, uid, &unmapped));
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
	int r;

	va_start(arguments, format);
	r = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (r < 0)
		abort();
	findings->warnings += status == STATUS_WARNING;
	findings->problems += status == STATUS_PROBLEM;
	json_object_object_add(object, "status", json_object_new_string(status_names[status]));
	json_object_object_add(object, "topic", json_object_new_string(topic));
	json_object_object_add(object, "text", json_object_new_string(text));
	if (advice)
		json_object_object_add(object, "advice", json_object_new_string(advice));
	json_object_array_add(findings->list, object);
}

static void say_findings(const struct findings *findings)
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

static void say_findings_json(const struct findings *findings)
{
	cleanup(cleanup_json) struct json_object *object = json_object_new_object();

	json_object_object_add(object, "problems", json_object_new_uint64(findings->problems));
	json_object_object_add(object, "warnings", json_object_new_uint64(findings->warnings));
	json_object_object_add(object, "findings", json_object_get(findings->list));
	say_json(object, true);
}

static int run(const struct verb *verb, int argc, char *argv[])
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "heaps", required_argument, NULL, 'd' },
		{ "sys", required_argument, NULL, 's' },
		{ "policy", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	cleanup(cleanup_free) char **policy = calloc((size_t)argc, sizeof(*policy));
	struct places places = {
		.heaps = "/dev/dma_heap", .sys = "/sys", .modules = "/lib/modules", .policy = policy
	};
	struct findings findings = { 0 };
	struct daemon_user user;
	bool json = false;
	int option;

	if (!policy)
		abort();
	while ((option = verb_option(argc, argv, "h", options)) >= 0)
		switch (option) {
		case 'j':
			json = true;
			break;
		case 'd':
			places.heaps = optarg;
			break;
		case 's':
			places.sys = optarg;
			break;
		case 'p':
			policy[places.n_policy++] = optarg;
			break;
		case 'h':
			return verb_help(verb);
		default:
			return verb_usage(verb);
		}
	if (optind < argc)
		return verb_mistake(
			verb, "%s: this verb takes no argument", shown_name(argv[optind]));
	findings.list = json_object_new_array();
	daemon_user_find(&user);
	places.user = &user;
	found(&findings, STATUS_OK, "user", NULL,
		"what ccbufd must read, open and write is looked at for %s", user.words);
	examine_platform(&findings);
	examine_kernel(&findings);
	examine_module(&findings, &places);
	examine_heaps(&findings, &places);
	examine_policy(&findings, &places);
	examine_site(&findings, &places);
	examine_daemon(&findings, &places);
	if (json)
		say_findings_json(&findings);
	else
		say_findings(&findings);
	json_object_put(findings.list);
	return finish(findings.problems ? EXIT_FAILED : EXIT_DONE);
}

const struct verb verb_doctor = {
	.name = "doctor",
	.summary = "what works on this machine, what does not, and what to do",
	.help = help,
	.run = run,
};

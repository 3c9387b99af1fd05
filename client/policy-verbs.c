/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ccbuf-client policy check and policy show: the daemon's own engine on files, without the daemon.
 * They must never accept a policy that the daemon would refuse.
 */
#include "policy.h"

#include <stdio.h>

#include "client.h"
#include "output.h"
#include "policy-files.h"
#include "policy-text.h"

static const char check_help[] =
	"ccbuf-client policy check [PATH...]\n"
	"\n"
	"Reads policy files as ccbufd does and prints all mistakes, each with its file and place.\n"
	"Without a PATH, it reads the folders that ccbufd reads, and checks owners, modes and the\n"
	"folders above. If root asks, it reads as the user that ccbufd runs as: a file that this\n"
	"user cannot read is a mistake. A PATH is a file or a folder; several are merged in that\n"
	"order.\n"
	"\n"
	"It warns about what is not a mistake but probably not meant: rules that nothing reaches\n"
	"or matches, such as for a program (exe) that does not exist or is a symbolic link; keys\n"
	"that cannot be known on this machine; limits in which nothing fits; files that are\n"
	"skipped for their name.\n"
	"\n"
	"Examples:\n"
	"  ccbuf-client policy check && sudo ccbuf-client reload\n"
	"  ccbuf-client policy check ./10-rdma.json\n"
	"\n"
	"Exit codes: 0 no mistake (warnings do not count), 1 mistakes, 2 wrong usage.\n";

static const char show_help[] =
	"ccbuf-client policy show [--json] [PATH...]\n"
	"\n"
	"Shows the policy that the files amount to: limits, uses, heaps and rules in the order in\n"
	"which they are tried, each with its file and place. Without a PATH, it reads the folders\n"
	"that ccbufd reads. The policy in force may be different until 'ccbuf-client reload';\n"
	"compare the digest with that of 'ccbuf-client status'.\n"
	"\n"
	"  --json   print one object\n"
	"\n"
	"Exit codes: 0 done, 1 the files have mistakes, 2 wrong usage.\n";

/* Returns -1 to go on, or the exit code. json may be NULL where there is no such option. */
static int parse(const struct verb *verb, int argc, char *argv[], bool *json)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 },
	};
	int option;

	while ((option = verb_option(argc, argv, "h", options)) >= 0)
		if (option == 'h')
			return verb_help(verb);
		else if (option == 'j' && json)
			*json = true;
		else if (option == 'j')
			return verb_mistake(verb, "--json is for 'policy show'");
		else
			return verb_usage(verb);
	return -1;
}

/* The effective policy in the form of policy_show(); NULL after reporting why there is none. */
static struct json_object *effective(char *const paths[], size_t n_paths)
{
	struct policy_errors errors = { 0 };
	struct json_object *shown = NULL;
	int r = policy_files_show((const char *const *)paths, n_paths, &errors, &shown);

	for (size_t i = 0; i < errors.count; i++)
		complain("%s", errors.lines[i]);
	if (r == -EINVAL)
		complain("%zu mistake%s; ccbufd would not use this policy", errors.count,
			errors.count == 1 ? "" : "s");
	else if (r < 0) {
		errno = -r;
		complain("cannot read the policy: %m");
	}
	policy_errors_done(&errors);
	return shown;
}

static size_t complain_all(struct json_object *object, const char *list, const char *prefix)
{
	struct json_object *lines = json_object_object_get(object, list);
	size_t n = lines ? json_object_array_length(lines) : 0;

	for (size_t i = 0; i < n; i++)
		complain("%s%s", prefix,
			json_object_get_string(json_object_array_get_idx(lines, i)));
	return n;
}

static int run_check(const struct verb *verb, int argc, char *argv[])
{
	cleanup(cleanup_json) struct json_object *object = NULL;
	struct json_object *shown;
	struct daemon_user user;
	size_t mistakes, rules, uses;
	int code = parse(verb, argc, argv, NULL);

	if (code >= 0)
		return code;
	daemon_user_find(&user);
	object = policy_files_examine(
		(const char *const *)argv + optind, (size_t)(argc - optind), &user);
	if (!object)
		return EXIT_FAILED;
	complain_all(object, "warnings", "warning: ");
	mistakes = complain_all(object, "mistakes", "");
	if (mistakes) {
		complain("%zu mistake%s; ccbufd would not use this policy (checked for %s)",
			mistakes, mistakes == 1 ? "" : "s", user.words);
		return EXIT_FAILED;
	}
	shown = json_object_object_get(object, "shown");
	rules = json_object_array_length(json_object_object_get(shown, "rules"));
	uses = (size_t)json_object_object_length(json_object_object_get(shown, "uses"));
	say("no mistakes: %zu rule%s, %zu use%s, digest %s", rules, rules == 1 ? "" : "s", uses,
		uses == 1 ? "" : "s", member_text(shown, "digest"));
	say("checked for %s", user.words);
	if (rules == 0)
		say("without a rule every request is refused; ccbuf-policy(5) shows how to allow "
		    "some");
	return finish(EXIT_DONE);
}

static int run_show(const struct verb *verb, int argc, char *argv[])
{
	cleanup(cleanup_json) struct json_object *shown = NULL;
	bool json = false;
	int code = parse(verb, argc, argv, &json);

	if (code >= 0)
		return code;
	shown = effective(argv + optind, (size_t)(argc - optind));
	if (!shown)
		return EXIT_FAILED;
	if (json)
		say_json(shown, true);
	else
		policy_text_say(shown);
	return finish(EXIT_DONE);
}

const struct verb verb_policy_check = {
	.name = "policy check",
	.summary = "find the mistakes in policy files",
	.help = check_help,
	.run = run_check,
};

const struct verb verb_policy_show = {
	.name = "policy show",
	.summary = "the effective policy, and where each part comes from",
	.help = show_help,
	.run = run_show,
};

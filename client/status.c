/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ccbuf-client list, status and reload: what the daemon says of itself. Only reload changes
 * anything.
 */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <time.h>

#include "broker.h"
#include "client.h"
#include "output.h"
#include "size.h"

static const char list_help[] =
	"ccbuf-client list [--all] [--json]\n"
	"\n"
	"Lists the grants of your user that are still charged. The process of an orphaned grant\n"
	"is gone, but something still holds the buffer. A revoked grant was taken back, but a\n"
	"device or the kernel still has some of it mapped.\n"
	"\n"
	"  --all    list everyone's grants (for root and members of group ccbuf-admin)\n"
	"  --json   print an array of objects\n"
	"\n"
	"Examples:\n"
	"  ccbuf-client list\n"
	"  sudo ccbuf-client list --all --json | jq '.[] | select(.exposure == \"shared\")'\n"
	"\n"
	"Exit codes: 0 done, 1 failed, 2 wrong usage.\n";

static const char status_help[] =
	"ccbuf-client status [--json]\n"
	"\n"
	"Shows the daemon's version, the platform, the policy in force (and the mistakes in the\n"
	"files, if the last reload failed), the heaps and the totals. For a heap of the module\n"
	"ccbuf_heap it shows how much memory is in buffers, in the module's pool, and leaked:\n"
	"leaked memory could not be made private again and is lost.\n"
	"\n"
	"  --json   print the D-Bus properties as one object\n"
	"\n"
	"Exit codes: 0 done, 1 failed (no bus, no daemon), 2 wrong usage.\n";

static const char reload_help[] =
	"ccbuf-client reload\n"
	"\n"
	"Makes ccbufd read its policy files again (for root and members of group ccbuf-admin). If\n"
	"they have mistakes, all mistakes are printed and the old policy stays in force. Existing\n"
	"grants are taken back only where the policy says so (\"on-reload\" in ccbuf-policy(5)),\n"
	"after this command has returned.\n"
	"\n"
	"Exit codes: 0 the new policy is in force, 1 failed, 2 wrong usage, 3 not permitted.\n";

struct flags {
	bool json;
	bool all;
};

/* Parses the options that these three share. Returns -1 to go on, or the exit code. */
static int parse(
	const struct verb *verb, int argc, char *argv[], const char *allowed, struct flags *flags)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "all", no_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	while ((option = verb_option(argc, argv, "h", options)) >= 0) {
		if (option == 'h')
			return verb_help(verb);
		if (option == '?')
			return verb_usage(verb);
		if (!strchr(allowed, option))
			return verb_mistake(verb, "--%s: not an option of this verb",
				option == 'j' ? "json" : "all");
		flags->json = flags->json || option == 'j';
		flags->all = flags->all || option == 'a';
	}
	if (optind < argc)
		return verb_mistake(
			verb, "%s: this verb takes no argument", shown_name(argv[optind]));
	return -1;
}

/* Calls a method without arguments (or with one string) and reads the one value that it returns. */
static int fetch(const char *interface, const char *method, const char *argument,
	struct json_object **ret_value)
{
	cleanup(cleanup_bus) sd_bus *bus = NULL;
	cleanup(cleanup_message) sd_bus_message *call = NULL, *reply = NULL;
	int code, r;

	code = broker_open(&bus);
	if (code != EXIT_DONE)
		return code;
	call = broker_method(bus, interface, method);
	if (argument && sd_bus_message_append(call, "s", argument) < 0)
		abort();
	code = broker_call(bus, call, false, &reply);
	if (code != EXIT_DONE || !ret_value)
		return code;
	r = broker_read(reply, ret_value);
	if (r < 0) {
		errno = -r;
		complain("ccbufd's answer could not be read: %m");
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}

static void add_text(struct json_object *cells, const char *text)
{
	json_object_array_add(cells, json_object_new_string(text));
}

static void add_user(struct json_object *cells, uint64_t uid)
{
	struct passwd *user = getpwuid((uid_t)uid);
	char number[24];

	snprintf(number, sizeof(number), "%ju", (uintmax_t)uid);
	add_text(cells, user ? user->pw_name : number);
}

/* CLOCK_REALTIME microseconds as local time. */
static void add_time(struct json_object *cells, uint64_t usec)
{
	time_t seconds = (time_t)(usec / 1000000);
	char text[32] = "";
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%F %T", &tm);
	add_text(cells, text);
}

static struct json_object *grant_row(struct json_object *grant)
{
	struct json_object *cells = json_object_new_array();
	char size[SIZE_TEXT_MAX];

	add_text(cells, member_text(grant, "grant"));
	add_text(cells, size_format(member_number(grant, "size"), size));
	add_text(cells, member_text(grant, "use"));
	add_text(cells, member_text(grant, "heap"));
	add_text(cells, member_text(grant, "exposure"));
	add_text(cells, member_text(grant, "state"));
	add_user(cells, member_number(grant, "uid"));
	add_text(cells, member_text(grant, "pid"));
	add_text(cells, member_text(grant, "unit"));
	add_text(cells, member_text(grant, "rule"));
	add_time(cells, member_number(grant, "since"));
	add_text(cells, member_text(grant, "label"));
	return cells;
}

static struct json_object *headings(const char *const *names, size_t n)
{
	struct json_object *cells = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		add_text(cells, names[i]);
	return cells;
}

/* Keeps only the grants of the caller's user. */
static struct json_object *own(struct json_object *grants)
{
	struct json_object *mine = json_object_new_array();

	for (size_t i = 0; i < json_object_array_length(grants); i++) {
		struct json_object *grant = json_object_array_get_idx(grants, i);

		if (member_number(grant, "uid") == getuid())
			json_object_array_add(mine, json_object_get(grant));
	}
	return mine;
}

/* Whether the daemon shows this caller the grants of others, as far as can be known here. */
static bool admin(void)
{
	struct group *group = getgrnam("ccbuf-admin");

	return geteuid() == 0 || (group && group_member(group->gr_gid));
}

static int run_list(const struct verb *verb, int argc, char *argv[])
{
	static const char *const names[] = { "GRANT", "SIZE", "USE", "HEAP", "EXPOSURE", "STATE",
		"USER", "PID", "UNIT", "RULE", "SINCE", "LABEL" };
	cleanup(cleanup_json) struct json_object *grants = NULL, *mine = NULL, *rows = NULL;
	struct json_object *shown;
	struct flags flags = { 0 };
	uint64_t total = 0;
	char size[SIZE_TEXT_MAX];
	int code = parse(verb, argc, argv, "ja", &flags);
	size_t n;

	if (code >= 0)
		return code;
	code = fetch(BROKER_INTERFACE, "ListGrants", NULL, &grants);
	if (code != EXIT_DONE)
		return code;
	if (!json_object_is_type(grants, json_type_array)) {
		complain("ccbufd's answer is no list; is it of another version?");
		return EXIT_FAILED;
	}
	mine = own(grants);
	shown = flags.all ? grants : mine;
	if (flags.all && !admin())
		complain("these are your own; others' are shown to root and group ccbuf-admin");
	if (flags.json) {
		say_json(shown, true);
		return finish(EXIT_DONE);
	}
	n = json_object_array_length(shown);
	rows = json_object_new_array();
	json_object_array_add(rows, headings(names, ARRAY_SIZE(names)));
	for (size_t i = 0; i < n; i++) {
		struct json_object *grant = json_object_array_get_idx(shown, i);

		json_object_array_add(rows, grant_row(grant));
		total += member_number(grant, "size");
	}
	if (n)
		say_table(rows);
	say("%zu grant%s, %s in total", n, n == 1 ? "" : "s", size_format(total, size));
	return finish(EXIT_DONE);
}

/* Adds a number that only heaps of the module have. An empty column is left out. */
static void add_bytes(struct json_object *cells, struct json_object *heap, const char *key)
{
	char size[SIZE_TEXT_MAX];

	add_text(cells, json_object_object_get_ex(heap, key, NULL)
				? size_format(member_number(heap, key), size)
				: "");
}

static void say_heaps(struct json_object *heaps)
{
	static const char *const names[] = { "HEAP", "EXPOSURE", "STATE", "LIVE", "POOL", "LEAKED",
		"WHY" };
	cleanup(cleanup_json) struct json_object *rows = json_object_new_array();

	json_object_array_add(rows, headings(names, ARRAY_SIZE(names)));
	for (size_t i = 0; i < json_object_array_length(heaps); i++) {
		struct json_object *heap = json_object_array_get_idx(heaps, i);
		struct json_object *cells = json_object_new_array();

		add_text(cells, member_text(heap, "name"));
		add_text(cells, member_text(heap, "exposure"));
		add_text(cells, member_true(heap, "available") ? "available" : "not available");
		add_bytes(cells, heap, "live");
		add_bytes(cells, heap, "pool");
		add_bytes(cells, heap, "leaked");
		add_text(cells, member_true(heap, "unshared")
					? "for development: NOTHING of it is shared with the host"
					: member_text(heap, "reason"));
		json_object_array_add(rows, cells);
	}
	say_table(rows);
}

static int run_status(const struct verb *verb, int argc, char *argv[])
{
	cleanup(cleanup_json) struct json_object *all = NULL;
	struct json_object *heaps;
	struct flags flags = { 0 };
	char size[SIZE_TEXT_MAX];
	const char *mistakes;
	int code = parse(verb, argc, argv, "j", &flags);

	if (code >= 0)
		return code;
	code = fetch("org.freedesktop.DBus.Properties", "GetAll", BROKER_INTERFACE, &all);
	if (code != EXIT_DONE)
		return code;
	if (flags.json) {
		say_json(all, true);
		return finish(EXIT_DONE);
	}
	say("version   %s", member_text(all, "Version"));
	say("platform  %s%s", member_text(all, "Platform"),
		streq(member_text(all, "Platform"), "none")
			? " (not a confidential guest: the host can read all memory, that of "
			  "private "
			  "heaps too)"
			: "");
	say("policy    %s", member_text(all, "PolicyDigest"));
	say("granted   %s in %ju buffer%s", size_format(member_number(all, "GrantedBytes"), size),
		(uintmax_t)member_number(all, "GrantCount"),
		member_number(all, "GrantCount") == 1 ? "" : "s");
	say("audit     record %ju is the last", (uintmax_t)member_number(all, "AuditSequence"));
	heaps = json_object_object_get(all, "Heaps");
	if (json_object_is_type(heaps, json_type_array) && json_object_array_length(heaps)) {
		say("%s", "");
		say_heaps(heaps);
	}
	mistakes = member_text(all, "PolicyError");
	if (*mistakes) {
		say("%s", "");
		say("The policy files have mistakes; the policy above was kept:");
		while (*mistakes) {
			size_t length = strcspn(mistakes, "\n");

			say("  %.*s", (int)length, mistakes);
			mistakes += length + (mistakes[length] == '\n');
		}
	}
	return finish(EXIT_DONE);
}

static int run_reload(const struct verb *verb, int argc, char *argv[])
{
	struct flags flags = { 0 };
	int code = parse(verb, argc, argv, "", &flags);

	if (code >= 0)
		return code;
	code = fetch(BROKER_INTERFACE, "Reload", NULL, NULL);
	if (code == EXIT_DONE)
		say("the policy has been read again and is in force");
	return finish(code);
}

const struct verb verb_list = {
	.name = "list",
	.summary = "list the grants that are still charged",
	.help = list_help,
	.run = run_list,
};

const struct verb verb_status = {
	.name = "status",
	.summary = "the daemon: version, platform, policy, heaps, totals",
	.help = status_help,
	.run = run_status,
};

const struct verb verb_reload = {
	.name = "reload",
	.summary = "make the daemon read its policy again",
	.help = reload_help,
	.run = run_reload,
};

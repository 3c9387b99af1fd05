/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ccbuf-client why: asks the daemon what it would decide, and by which rule. It decides nothing
 * itself.
 */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>

#include "broker.h"
#include "client.h"
#include "output.h"
#include "request.h"

#define GROUPS_MAX 256

static const char help[] =
	"ccbuf-client why --use USE --size SIZE [OPTION...]\n"
	"\n"
	"Says whether a request would be granted, by which rule of which file, and why, in words.\n"
	"Nothing is allocated or counted. Without options about the process, the request is this\n"
	"process's; anybody may ask that. Root and group ccbuf-admin may ask about others.\n"
	"\n"
	"  --use USE            the purpose\n"
	"  --size SIZE          bytes of one buffer: 4096, 64K, 256M, 2G\n"
	"  --accept-shared      as if the request accepted memory that the host can read\n"
	"  --read-only          as if it asked for read-only fds\n"
	"\n"
	"The process; rules do not know what is not given:\n"
	"  --user USER          name, or number if there is no such name (+N: always the number);\n"
	"                       its groups are looked up unless --group is given\n"
	"  --group GROUP        name or number, as above; may be given several times\n"
	"  --unit UNIT          such as mpi@3.service\n"
	"  --slice SLICE        such as system.slice\n"
	"  --cgroup PATH        such as /system.slice/mpi@3.service\n"
	"  --exe PATH           the program's file\n"
	"  --label LABEL        its LSM (AppArmor, SELinux) label\n"
	"  --container YESNO    yes or no: whether it is in a container\n"
	"  --identity KIND      strong or weak\n"
	"  --transport WAY      socket or dbus\n"
	"  --json               print the answer as one object\n"
	"\n"
	"Examples:\n"
	"  ccbuf-client why --use rdma --size 64M --accept-shared\n"
	"  sudo ccbuf-client why --use rdma --size 64M --user hpc --unit mpi@3.service\n"
	"\n"
	"Exit codes: 0 it would be granted, 3 it would be refused, 1 failed, 2 wrong usage.\n";

struct question {
	const char *use;
	uint64_t size;
	bool accept_shared, read_only, json;
	bool has_uid;
	uint32_t uid;
	uint32_t groups[GROUPS_MAX];
	size_t n_groups;
	const char *unit, *slice, *cgroup, *exe, *label, *identity, *transport, *container;
};

/* Looks up the groups that a login of the user would have. */
static void look_up_groups(struct question *question)
{
	struct passwd *user = getpwuid(question->uid);
	gid_t groups[GROUPS_MAX];
	int n = GROUPS_MAX;

	if (!user)
		return;
	if (getgrouplist(user->pw_name, user->pw_gid, groups, &n) < 0) {
		complain("user %s has more than %d groups; the first of them are used",
			user->pw_name, GROUPS_MAX);
		n = GROUPS_MAX;
	}
	for (int i = 0; i < n; i++)
		question->groups[question->n_groups++] = groups[i];
}

static int append_text(sd_bus_message *call, const char *key, const char *value)
{
	cleanup(cleanup_free) char *text = value ? escape(value, 0) : NULL;

	/* Escaped as elsewhere, where D-Bus does not accept it. */
	return text ? sd_bus_message_append(call, "{sv}", key, "s", text) : 0;
}

static int append_groups(sd_bus_message *call, const struct question *question)
{
	int r;

	if (!question->n_groups)
		return 0;
	r = sd_bus_message_open_container(call, 'e', "sv");
	if (r >= 0)
		r = sd_bus_message_append(call, "s", "gids");
	if (r >= 0)
		r = sd_bus_message_open_container(call, 'v', "au");
	if (r >= 0)
		r = sd_bus_message_append_array(
			call, 'u', question->groups, question->n_groups * sizeof(uint32_t));
	if (r >= 0)
		r = sd_bus_message_close_container(call);
	return r < 0 ? r : sd_bus_message_close_container(call);
}

static int append_question(sd_bus_message *call, const struct question *question)
{
	const struct {
		const char *key, *value;
	} texts[] = {
		{ "unit", question->unit },
		{ "slice", question->slice },
		{ "cgroup", question->cgroup },
		{ "exe", question->exe },
		{ "label", question->label },
		{ "identity", question->identity },
		{ "transport", question->transport },
	};
	cleanup(cleanup_free) char *use = escape(question->use, 0);
	int r = sd_bus_message_append(call, "st", use, question->size);

	if (r >= 0)
		r = sd_bus_message_open_container(call, 'a', "{sv}");
	if (r >= 0 && question->has_uid)
		r = sd_bus_message_append(call, "{sv}", "uid", "u", question->uid);
	if (r >= 0)
		r = append_groups(call, question);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(texts); i++)
		r = append_text(call, texts[i].key, texts[i].value);
	if (r >= 0 && question->container)
		r = sd_bus_message_append(
			call, "{sv}", "container", "b", (int)streq(question->container, "yes"));
	if (r >= 0 && question->accept_shared)
		r = sd_bus_message_append(call, "{sv}", "accept-shared", "b", 1);
	if (r >= 0 && question->read_only)
		r = sd_bus_message_append(call, "{sv}", "read-only", "b", 1);
	return r < 0 ? r : sd_bus_message_close_container(call);
}

static void say_answer(struct json_object *answer)
{
	const char *rule = member_text(answer, "rule"), *heap = member_text(answer, "heap");
	const char *reason = member_text(answer, "reason");
	const char *passed = member_text(answer, "passed-over");

	say("verdict  %s", member_text(answer, "verdict"));
	if (*rule)
		say("rule     %s (%s: /rules/%ju)", rule, member_text(answer, "file"),
			(uintmax_t)member_number(answer, "index"));
	else
		say("rule     none");
	if (*heap)
		say("heap     %s (%s)", heap, member_text(answer, "exposure"));
	if (*reason)
		say("reason   %s", reason);
	say("meaning  %s", member_text(answer, "words"));
	while (*passed) {
		int length = (int)strcspn(passed, "\n");

		say("remark   %.*s", length, passed);
		passed += length + (passed[length] == '\n');
	}
}

static int ask(const struct question *question)
{
	cleanup(cleanup_bus) sd_bus *bus = NULL;
	cleanup(cleanup_message) sd_bus_message *call = NULL, *reply = NULL;
	cleanup(cleanup_json) struct json_object *answer = NULL;
	int code, r;

	code = broker_open(&bus);
	if (code != EXIT_DONE)
		return code;
	call = broker_method(bus, BROKER_INTERFACE, "Why");
	r = append_question(call, question);
	if (r >= 0) {
		code = broker_call(bus, call, question->json, &reply);
		if (code != EXIT_DONE)
			return code;
		r = broker_read(reply, &answer);
	}
	if (r < 0) {
		errno = -r;
		complain("the question could not be sent to ccbufd: %m");
		return EXIT_FAILED;
	}
	if (question->json)
		say_json(answer, true);
	else
		say_answer(answer);
	return finish(member_number(answer, "code") == 0 ? EXIT_DONE : EXIT_REFUSED);
}

/* Whether value is one of two words. */
static bool either(const char *option, const char *value, const char *one, const char *other)
{
	if (streq(value, one) || streq(value, other))
		return true;
	complain("%s %s: there are '%s' and '%s'", option, shown_name(value), one, other);
	return false;
}

enum letters {
	USE = OPTION_FIRST,
	SIZE,
	ACCEPT_SHARED,
	READ_ONLY,
	JSON,
	USER,
	GROUP,
	UNIT,
	SLICE,
	CGROUP,
	EXE,
	LABEL,
	CONTAINER,
	IDENTITY,
	TRANSPORT,
};

static bool add_group(struct question *question, const char *value)
{
	if (question->n_groups == GROUPS_MAX) {
		complain("--group: at most %d", GROUPS_MAX);
		return false;
	}
	if (!option_group("--group", value, &question->groups[question->n_groups]))
		return false;
	question->n_groups++;
	return true;
}

/* Takes one option about the process. Returns false after reporting a wrong value. */
static bool take_peer_option(struct question *question, int option, const char *value)
{
	switch (option) {
	case USER:
		question->has_uid = true;
		return option_user("--user", value, &question->uid);
	case GROUP:
		return add_group(question, value);
	case UNIT:
		question->unit = value;
		return true;
	case SLICE:
		question->slice = value;
		return true;
	case CGROUP:
		question->cgroup = value;
		return true;
	case EXE:
		question->exe = value;
		return true;
	case LABEL:
		question->label = value;
		return true;
	case CONTAINER:
		question->container = value;
		return either("--container", value, "yes", "no");
	case IDENTITY:
		question->identity = value;
		return either("--identity", value, "strong", "weak");
	case TRANSPORT:
		question->transport = value;
		return either("--transport", value, "socket", "dbus");
	default:
		return false;
	}
}

static int run(const struct verb *verb, int argc, char *argv[])
{
	static const struct option options[] = {
		{ "use", required_argument, NULL, USE },
		{ "size", required_argument, NULL, SIZE },
		{ "accept-shared", no_argument, NULL, ACCEPT_SHARED },
		{ "read-only", no_argument, NULL, READ_ONLY },
		{ "json", no_argument, NULL, JSON },
		{ "user", required_argument, NULL, USER },
		{ "group", required_argument, NULL, GROUP },
		{ "unit", required_argument, NULL, UNIT },
		{ "slice", required_argument, NULL, SLICE },
		{ "cgroup", required_argument, NULL, CGROUP },
		{ "exe", required_argument, NULL, EXE },
		{ "label", required_argument, NULL, LABEL },
		{ "container", required_argument, NULL, CONTAINER },
		{ "identity", required_argument, NULL, IDENTITY },
		{ "transport", required_argument, NULL, TRANSPORT },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct question question = { 0 };
	bool sized = false;
	int option;

	while ((option = verb_option(argc, argv, "h", options)) >= 0)
		switch (option) {
		case USE:
			question.use = optarg;
			break;
		case SIZE:
			sized = option_size("--size", optarg, &question.size);
			if (!sized)
				return verb_usage(verb);
			break;
		case ACCEPT_SHARED:
			question.accept_shared = true;
			break;
		case READ_ONLY:
			question.read_only = true;
			break;
		case JSON:
			question.json = true;
			break;
		case 'h':
			return verb_help(verb);
		default:
			if (!take_peer_option(&question, option, optarg))
				return verb_usage(verb);
		}
	if (optind < argc)
		return verb_mistake(
			verb, "%s: this verb takes no argument", shown_name(argv[optind]));
	if (!question.use || !sized)
		return verb_mistake(verb, "--use and --size are needed");
	if (question.has_uid && !question.n_groups)
		look_up_groups(&question);
	return ask(&question);
}

const struct verb verb_why = {
	.name = "why",
	.summary = "would this be granted, by which rule, and why or why not",
	.help = help,
	.run = run,
};

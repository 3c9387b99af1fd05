/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ccbuf-client doctor: runs the examinations and prints their findings. It changes nothing, and is
 * useful without privileges.
 */
#include "client.h"
#include "findings.h"
#include "output.h"

static const char help[] =
	"ccbuf-client doctor [--json]\n"
	"\n"
	"Examines this machine: whether it is a confidential guest and of which kind, what the\n"
	"kernel offers, the module ccbuf_heap, which heaps exist, what the host can do with their\n"
	"memory and who may open them without the broker, the policy files, local changes, the\n"
	"daemon with its socket and trail, and the bus. Files that ccbufd must read are checked\n"
	"as its user. Each line is ok, a warning or a problem, and says what to do.\n"
	"\n"
	"A connection to the socket or the bus starts ccbufd where they activate it. Root sees a\n"
	"little more than others.\n"
	"\n"
	"  --json         print the findings as one object\n"
	"  --heaps DIR    look for heaps in DIR instead of /dev/dma_heap\n"
	"  --sys DIR      look for the module in DIR instead of /sys\n"
	"  --policy PATH  examine this file or folder instead of the installed policy; may be\n"
	"                 given several times\n"
	"\n"
	"Exit codes: 0 no problem (warnings do not count), 1 problems, 2 wrong usage.\n";

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
		"files that ccbufd must read, open and write are checked for %s", user.words);
	examine_platform(&findings);
	examine_kernel(&findings);
	examine_module(&findings, &places);
	examine_heaps(&findings, &places);
	examine_policy(&findings, &places);
	examine_site(&findings, &places);
	examine_daemon(&findings, &places);
	findings_say(&findings, json);
	json_object_put(findings.list);
	return finish(findings.problems ? EXIT_FAILED : EXIT_DONE);
}

const struct verb verb_doctor = {
	.name = "doctor",
	.summary = "what works on this machine, what does not, and what to do",
	.help = help,
	.run = run,
};

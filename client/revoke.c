/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ccbuf-client revoke: has one buffer taken back, and says what still holds it.
 */
#include <stdio.h>

#include "broker.h"
#include "client.h"
#include "output.h"

static const char help[] =
	"ccbuf-client revoke [--json] GRANT\n"
	"\n"
	"Takes the memory of a buffer back from all holders (for root and members of group\n"
	"ccbuf-admin). GRANT is its number as 'ccbuf-client list --all' shows it. The memory is\n"
	"cleared and private again when this returns. If a device or the kernel still has it\n"
	"mapped, that happens as soon as the device or the kernel lets go. A process that touches\n"
	"the memory afterwards is killed by SIGBUS, unless it handles that signal.\n"
	"\n"
	"Only heaps of the module ccbuf_heap can do this. Repeat the command to see what holds\n"
	"the buffer now.\n"
	"\n"
	"  --json   print the answer as one object\n"
	"\n"
	"Examples:\n"
	"  sudo ccbuf-client revoke 17\n"
	"\n"
	"Exit codes: 0 the memory is taken back (or will be, as the output says), 1 failed,\n"
	"2 wrong usage, 3 refused: not permitted, no such grant, or the heap cannot do it.\n";

static void say_held(struct json_object *held)
{
	uint64_t mappings = member_number(held, "mappings"), vmaps = member_number(held, "vmaps");
	const char *grant = member_text(held, "grant"), *device = member_text(held, "device");

	if (member_true(held, "released")) {
		say("grant %s is taken back, its memory is private again", grant);
		return;
	}
	say("grant %s is taken back from all processes; not all of its memory is private yet:",
		grant);
	if (mappings)
		say("  %ju mapping%s by devices, one of them %s: it has to be let go by whoever "
		    "drives that device",
			(uintmax_t)mappings, mappings == 1 ? "" : "s",
			*device ? device : "without a name");
	if (vmaps)
		say("  the kernel itself has it mapped, for a driver");
	if (member_true(held, "busy"))
		say("  a device is at work in it; ccbufd asks again until it is done");
	else if (!mappings && !vmaps)
		say("  it shares pages with other buffers, or is being cleared");
	say("it stays charged until then; 'ccbuf-client revoke %s' says what holds it now", grant);
}

static int take_back(uint64_t grant, bool json)
{
	cleanup(cleanup_bus) sd_bus *bus = NULL;
	cleanup(cleanup_message) sd_bus_message *call = NULL, *reply = NULL;
	cleanup(cleanup_json) struct json_object *held = NULL;
	int code, r;

	code = broker_open(&bus);
	if (code != EXIT_DONE)
		return code;
	call = broker_method(bus, BROKER_INTERFACE, "Revoke");
	if (sd_bus_message_append(call, "t", grant) < 0)
		abort();
	code = broker_call(bus, call, json, &reply);
	if (code != EXIT_DONE)
		return code;
	r = broker_read(reply, &held);
	if (r < 0) {
		errno = -r;
		complain("ccbufd's answer could not be read: %m");
		return EXIT_FAILED;
	}
	if (json)
		say_json(held, true);
	else
		say_held(held);
	return EXIT_DONE;
}

static int run(const struct verb *verb, int argc, char *argv[])
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool json = false;
	uint64_t grant;
	int option;

	while ((option = verb_option(argc, argv, "h", options)) >= 0) {
		if (option == 'h')
			return verb_help(verb);
		if (option == '?')
			return verb_usage(verb);
		json = true;
	}
	if (optind + 1 != argc)
		return verb_mistake(verb, "%s",
			optind == argc ? "the number of a grant is missing"
				       : "one grant at a time");
	if (!option_number("GRANT", argv[optind], 1, UINT64_MAX, &grant))
		return verb_usage(verb);
	return finish(take_back(grant, json));
}

const struct verb verb_revoke = {
	.name = "revoke",
	.summary = "take a buffer back from all holders",
	.help = help,
	.run = run,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ccbuf-client request: requests buffers, then holds them or becomes the program that uses them. It
 * must never accept shared memory unless the user says so.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "client.h"
#include "holding.h"
#include "output.h"
#include "size.h"

static const char help[] =
	"ccbuf-client request --use USE --size SIZE [OPTION...] [-- COMMAND [ARGUMENT...]]\n"
	"\n"
	"Requests buffers from ccbufd. Without a command, it prints each grant and holds it until\n"
	"interrupted (Ctrl-C, SIGTERM, SIGHUP), then gives it back. With a command, it becomes\n"
	"that program, with the buffers as file descriptors from 3 on, as sd_listen_fds(3)\n"
	"expects. The grants then belong to that program.\n"
	"\n"
	"  --use USE            the purpose: a name that the policy maps to a heap\n"
	"  --size SIZE          bytes of each buffer: 4096, 64K, 256M, 2G\n"
	"  --count N            the number of buffers, 1 to 64; default 1\n"
	"  --accept-shared      accept memory that the host can read and write; without this,\n"
	"                       such memory is refused\n"
	"  --read-only          fds that cannot be written through\n"
	"  --label LABEL        shown in listings and in the audit trail, up to 31 characters;\n"
	"                       also the name in LISTEN_FDNAMES (default: the use)\n"
	"  --transport WAY      socket (default) or dbus\n"
	"  --json               print one object for each grant\n"
	"\n"
	"Examples:\n"
	"  ccbuf-client request --use scratch --size 64K\n"
	"  ccbuf-client request --use rdma --size 256M --accept-shared --label ring -- ./server\n"
	"  ccbuf-client request --use scratch --size 1M --count 4 -- sh -c 'ls -l /proc/self/fd'\n"
	"\n"
	"Exit codes: 0 held and given back, 1 failed, 2 wrong usage, 3 refused (the verdict, the\n"
	"rule and the reason are printed). With a command, the exit code of the command.\n";

static void say_grant(const struct asking *asking, const struct ccbuf_buffer *buffer)
{
	char size[SIZE_TEXT_MAX];
	struct stat st = { 0 };

	fstat(buffer->fd, &st);
	if (asking->json) {
		cleanup(cleanup_json) struct json_object *object = json_object_new_object();

		json_object_object_add(object, "grant", json_object_new_uint64(buffer->grant));
		json_object_object_add(object, "use", json_object_new_string(asking->request.use));
		json_object_object_add(object, "size", json_object_new_uint64(buffer->size));
		if (buffer->exposure)
			json_object_object_add(object, "exposure",
				json_object_new_string(ccbuf_exposure_name(buffer->exposure)));
		if (asking->request.label)
			json_object_object_add(
				object, "label", json_object_new_string(asking->request.label));
		json_object_object_add(object, "transport",
			json_object_new_string(transport_name(asking->transport)));
		json_object_object_add(object, "inode", json_object_new_uint64(st.st_ino));
		json_object_object_add(object, "pid", json_object_new_int64(getpid()));
		json_object_object_add(object, "fd", json_object_new_int64(buffer->fd));
		say_json(object, false);
		return;
	}
	size_format(buffer->size, size);
	if (buffer->exposure)
		say("grant %ju: %s for %s, %s, fd %d", (uintmax_t)buffer->grant, size,
			asking->request.use, ccbuf_exposure_name(buffer->exposure), buffer->fd);
	else
		say("grant %ju: %s for %s, fd %d", (uintmax_t)buffer->grant, size,
			asking->request.use, buffer->fd);
}

static int hold(const struct asking *asking, struct holding *holding, const sigset_t *signals)
{
	int code = EXIT_DONE, received;

	for (size_t i = 0; i < holding->n_buffers; i++)
		say_grant(asking, &holding->buffers[i]);
	/* The program that started us may wait for these lines. */
	code = finish(EXIT_DONE);
	if (code != EXIT_DONE)
		return code;
	while (sigwait(signals, &received) == EINTR)
		;
	for (size_t i = 0; i < holding->n_buffers; i++) {
		uint64_t grant = holding->buffers[i].grant;
		bool held = false;

		code = give_back(holding, i, &held);
		if (code != EXIT_DONE)
			return code;
		if (!asking->json)
			say(held ? "grant %ju: closed, but something still holds the buffer"
				 : "grant %ju: given back",
				(uintmax_t)grant);
	}
	return finish(EXIT_DONE);
}

static int become(const struct asking *asking, struct holding *holding)
{
	const char *name = asking->request.label ? asking->request.label : asking->request.use;
	int fds[CCBUF_COUNT_MAX], r;

	for (size_t i = 0; i < holding->n_buffers; i++)
		fds[i] = holding->buffers[i].fd;
	r = listen_fds_exec(asking->command, fds, holding->n_buffers, name);
	name = shown_name(asking->command[0]);
	errno = -r;
	complain("cannot run %s: %m", name);
	return r == -ENOENT ? EXIT_NO_COMMAND : EXIT_CANNOT_RUN;
}

static int run_asking(const struct asking *asking)
{
	cleanup(holding_done) struct holding holding = HOLDING_NONE;
	sigset_t signals;
	int code;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	code = asking->transport == TRANSPORT_DBUS ? obtain_by_bus(asking, &holding)
						   : obtain_by_socket(asking, &holding);
	if (code != EXIT_DONE)
		return code;
	if (asking->command)
		return become(asking, &holding);
	/* Blocked before the first line is printed, so that no signal in answer to it is missed. */
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return hold(asking, &holding, &signals);
}

static int run(const struct verb *verb, int argc, char *argv[])
{
	enum { USE = OPTION_FIRST, SIZE, COUNT, ACCEPT_SHARED, READ_ONLY, LABEL, TRANSPORT, JSON };
	static const struct option options[] = {
		{ "use", required_argument, NULL, USE },
		{ "size", required_argument, NULL, SIZE },
		{ "count", required_argument, NULL, COUNT },
		{ "accept-shared", no_argument, NULL, ACCEPT_SHARED },
		{ "read-only", no_argument, NULL, READ_ONLY },
		{ "label", required_argument, NULL, LABEL },
		{ "transport", required_argument, NULL, TRANSPORT },
		{ "json", no_argument, NULL, JSON },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct asking asking = { .request.count = 1, .transport = TRANSPORT_SOCKET };
	bool sized = false;
	uint64_t number;
	int option;

	while ((option = verb_option(argc, argv, "+h", options)) >= 0)
		switch (option) {
		case USE:
			asking.request.use = optarg;
			break;
		case SIZE:
			if (!option_size("--size", optarg, &asking.request.size))
				return verb_usage(verb);
			sized = true;
			break;
		case COUNT:
			if (!option_number("--count", optarg, 1, CCBUF_COUNT_MAX, &number))
				return verb_usage(verb);
			asking.request.count = (uint32_t)number;
			break;
		case ACCEPT_SHARED:
			asking.request.flags |= CCBUF_ACCEPT_SHARED;
			break;
		case READ_ONLY:
			asking.request.flags |= CCBUF_READ_ONLY;
			break;
		case LABEL:
			asking.request.label = optarg;
			break;
		case TRANSPORT:
			if (streq(optarg, "dbus"))
				asking.transport = TRANSPORT_DBUS;
			else if (!streq(optarg, "socket"))
				return verb_mistake(verb,
					"--transport %s: there are 'socket' and 'dbus'",
					shown_name(optarg));
			break;
		case JSON:
			asking.json = true;
			break;
		case 'h':
			return verb_help(verb);
		default:
			return verb_usage(verb);
		}
	if (!asking.request.use || !sized)
		return verb_mistake(verb, "--use and --size are needed");
	if (!use_name_valid(asking.request.use))
		return verb_mistake(verb,
			"--use %s: a use has 1 to %d letters, digits, '.', '_' and '-'",
			shown_name(asking.request.use), USE_NAME_MAX);
	if (asking.request.label && !label_valid(asking.request.label))
		return verb_mistake(
			verb, "--label: at most %d printable ASCII characters", LABEL_MAX);
	if (optind < argc)
		asking.command = argv + optind;
	return run_asking(&asking);
}

const struct verb verb_request = {
	.name = "request",
	.summary = "get buffers: hold them, or run a program that inherits them",
	.help = help,
	.run = run,
};

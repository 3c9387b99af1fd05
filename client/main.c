/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ccbuf-client: finds the verb and runs it.
 */
#include <fcntl.h>
#include <stdio.h>

#include "client.h"
#include "config.h"
#include "output.h"

static const struct verb *const verbs[] = {
	&verb_request,
	&verb_list,
	&verb_status,
	&verb_why,
	&verb_reload,
	&verb_revoke,
	&verb_policy_check,
	&verb_policy_show,
	&verb_audit_show,
	&verb_audit_verify,
	&verb_doctor,
};

static int help(void)
{
	printf("ccbuf-client VERB [OPTION...]\n"
	       "\n"
	       "Requests buffers from ccbufd, the broker of memory that a confidential guest\n"
	       "shares with its host, and shows who holds, may have, was granted or refused what.\n"
	       "\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		printf("  %-14s %s\n", verbs[i]->name, verbs[i]->summary);
	printf("\n"
	       "  ccbuf-client VERB --help explains a verb, with examples.\n"
	       "  --help, --version\n"
	       "\n"
	       "First steps:\n"
	       "  ccbuf-client doctor                           what works here, and what to do\n"
	       "  ccbuf-client why --use rdma --size 64M        may I, and by which rule\n"
	       "  ccbuf-client request --use scratch --size 64K hold a buffer until Ctrl-C\n"
	       "  ccbuf-client request --use rdma --size 64M --accept-shared -- ./program\n"
	       "                                                run a program with it as fd 3\n"
	       "\n"
	       "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by policy or limits.\n"
	       "See ccbuf-client(1), and ccbuf-policy(5) for what administrators can allow.\n");
	return finish(EXIT_DONE);
}

/* The number of words of a command line that are a verb's name; 0 when they are not. */
static int words_of(const struct verb *verb, int argc, char *argv[])
{
	size_t length = strcspn(verb->name, " ");

	if (argc < 1 || strlen(argv[0]) != length || strncmp(argv[0], verb->name, length) != 0)
		return 0;
	if (!verb->name[length])
		return 1;
	return argc > 1 && streq(argv[1], verb->name + length + 1) ? 2 : 0;
}

/* Reports an unknown verb. For "policy" alone, says what can follow. */
static int unknown_verb(char *name)
{
	bool family = false;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		size_t length = strcspn(verbs[i]->name, " ");

		if (verbs[i]->name[length] && strlen(name) == length &&
			strncmp(name, verbs[i]->name, length) == 0) {
			if (!family)
				complain("'%s' is followed by another word:", shown_name(name));
			family = true;
			complain("  %s: %s", verbs[i]->name, verbs[i]->summary);
		}
	}
	if (!family)
		complain("there is no verb '%s'; 'ccbuf-client --help' lists them",
			shown_name(name));
	return EXIT_USAGE;
}

/* A shell may start us with some of the first three fds closed; a socket must not get their
 * numbers. */
static void open_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char *argv[])
{
	open_standard_fds();
	if (argc < 2) {
		complain("a verb is missing; 'ccbuf-client --help' lists them");
		return EXIT_USAGE;
	}
	if (streq(argv[1], "--version")) {
		printf("ccbuf-client %s\n", CCBUF_VERSION);
		return finish(EXIT_DONE);
	}
	if (streq(argv[1], "--help") || streq(argv[1], "-h"))
		return help();
	if (streq(argv[1], "help")) {
		for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
			if (words_of(verbs[i], argc - 2, argv + 2))
				return verb_help(verbs[i]);
		return argc > 2 ? unknown_verb(argv[2]) : help();
	}
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		int words = words_of(verbs[i], argc - 1, argv + 1);

		if (!words)
			continue;
		return verbs[i]->run(verbs[i], argc - words, argv + words);
	}
	return unknown_verb(argv[1]);
}

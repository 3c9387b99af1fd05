/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ccbuf-client: the verbs, their exit codes, and what all of them share.
 */
#pragma once

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "util.h"

/* How the command ends; scripts rely on these. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_REFUSED = 3,
	EXIT_CANNOT_RUN = 126, /* both as in shells, for the command of a request */
	EXIT_NO_COMMAND = 127,
};

struct verb {
	const char *name;    /* one word or two: "request", "policy check" */
	const char *summary; /* one line of `ccbuf-client --help` */
	const char *help;    /* all of `ccbuf-client VERB --help`, with its own newlines */
	/* Returns the exit code. argv[0] is the verb, argv[argc] is NULL. */
	int (*run)(const struct verb *verb, int argc, char *argv[]);
};

extern const struct verb verb_request;
extern const struct verb verb_list;
extern const struct verb verb_status;
extern const struct verb verb_why;
extern const struct verb verb_reload;
extern const struct verb verb_revoke;
extern const struct verb verb_policy_check;
extern const struct verb verb_policy_show;
extern const struct verb verb_audit_show;
extern const struct verb verb_audit_verify;
extern const struct verb verb_doctor;

/* Values of options that have no letter. */
enum { OPTION_FIRST = 256 };

/* Prints the verb's help. EXIT_DONE. */
int verb_help(const struct verb *verb);
/* Says where help is, after the mistake was reported. EXIT_USAGE. */
int verb_usage(const struct verb *verb);
/* Complains, then as verb_usage(). */
int verb_mistake(const struct verb *verb, const char *format, ...) printf_like(2, 3);

/* Like getopt_long(), but reports the mistake itself when it returns '?'. */
int verb_option(int argc, char *argv[], const char *letters, const struct option *options);

/* Reads the value of an option: a size, a number, or a user or group (a name; or a number if there
 * is no such name, or after a +). Returns false after reporting a wrong value. */
bool option_size(const char *option, const char *value, uint64_t *ret_bytes);
bool option_number(
	const char *option, const char *value, uint64_t least, uint64_t most, uint64_t *ret_number);
bool option_user(const char *option, const char *value, uint32_t *ret_uid);
bool option_group(const char *option, const char *value, uint32_t *ret_gid);

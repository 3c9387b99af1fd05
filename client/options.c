/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Values of options, and messages for wrong ones. It guesses nothing.
 */
#include "client.h"

#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>

#include "output.h"
#include "size.h"

int verb_help(const struct verb *verb)
{
	fputs(verb->help, stdout);
	return finish(EXIT_DONE);
}

int verb_usage(const struct verb *verb)
{
	complain("'ccbuf-client %s --help' explains.", verb->name);
	return EXIT_USAGE;
}

int verb_mistake(const struct verb *verb, const char *format, ...)
{
	cleanup(cleanup_free) char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	text = format_text(format, arguments);
	va_end(arguments);
	complain("%s", text);
	return verb_usage(verb);
}

int verb_option(int argc, char *argv[], const char *letters, const struct option *options)
{
	int before = optind, option;
	const char *word;

	/* getopt would print the argument without escapes. */
	opterr = 0;
	option = getopt_long(argc, argv, letters, options, NULL);
	if (option != '?')
		return option;
	word = argv[optind - 1];
	if (optind == before || strncmp(word, "--", 2))
		complain("unrecognized option '-%c'", optopt);
	else if (!optopt)
		complain("unrecognized option '%s'", shown_name(word));
	else if (strchr(word, '='))
		complain("option '%s' takes no value", shown_name(word));
	else
		complain("option '%s' requires an argument", shown_name(word));
	return option;
}

bool option_size(const char *option, const char *value, uint64_t *ret_bytes)
{
	switch (size_parse(value, ret_bytes)) {
	case 0:
		return true;
	case -ERANGE:
		complain("%s %s: more bytes than 64 bits can count", option, shown_name(value));
		return false;
	default:
		complain("%s %s: not a size; write 4096, 64K, 256M or 2G", option,
			shown_name(value));
		return false;
	}
}

/* A plain decimal number: as in size_parse(), but without a unit. */
static bool plain_number(const char *value, uint64_t *ret_number)
{
	return value[strspn(value, "0123456789")] == 0 && size_parse(value, ret_number) == 0;
}

bool option_number(
	const char *option, const char *value, uint64_t least, uint64_t most, uint64_t *ret_number)
{
	uint64_t number;

	if (!plain_number(value, &number) || number < least || number > most) {
		if (most == UINT64_MAX)
			complain("%s %s: not a number from %ju on", option, shown_name(value),
				(uintmax_t)least);
		else
			complain("%s %s: not a number from %ju to %ju", option, shown_name(value),
				(uintmax_t)least, (uintmax_t)most);
		return false;
	}
	*ret_number = number;
	return true;
}

/* A number that is not a name. "+5" is always a number, as in chown(1). */
static bool id_of(const char *value, uint32_t *ret_id)
{
	uint64_t number;

	if (!plain_number(value + (value[0] == '+'), &number) || number >= UINT32_MAX)
		return false;
	*ret_id = (uint32_t)number;
	return true;
}

/* Whether the result is for a name: some databases accept a number as a name. */
static bool is_name(const char *value, const char *found)
{
	return value[strspn(value, "0123456789")] != 0 || streq(value, found);
}

bool option_user(const char *option, const char *value, uint32_t *ret_uid)
{
	const struct passwd *user = value[0] == '+' ? NULL : getpwnam(value);

	if (user && is_name(value, user->pw_name))
		*ret_uid = user->pw_uid;
	else if (!id_of(value, ret_uid)) {
		complain("%s %s: there is no such user", option, shown_name(value));
		return false;
	}
	return true;
}

bool option_group(const char *option, const char *value, uint32_t *ret_gid)
{
	const struct group *group = value[0] == '+' ? NULL : getgrnam(value);

	if (group && is_name(value, group->gr_name))
		*ret_gid = group->gr_gid;
	else if (!id_of(value, ret_gid)) {
		complain("%s %s: there is no such group", option, shown_name(value));
		return false;
	}
	return true;
}

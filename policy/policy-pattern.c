/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Values of units, slices, programs and cgroups that nothing can match, and why: for example syntax
 * of shells or unit files, which means nothing here. It must never refuse a value that something
 * can match; doubtful ones are policy-remark's.
 */
#include "policy-internal.h"

/* The first of some characters that is literal, not in [...]. */
static const char *plain(const char *pattern, const char *wanted)
{
	for (const char *p = pattern; *p; p++) {
		const char *end = *p == '[' && p[1] ? strchr(p + 2, ']') : NULL;

		if (end)
			p = end;
		else if (strchr(wanted, *p))
			return p;
	}
	return NULL;
}

static const char *path_reason(enum policy_text_key key, const char *path)
{
	size_t length = strlen(path);

	if (path[0] == '~' || path[0] == '$')
		return "must be a whole path, which begins with \"/\"; \"~\" and \"$\" mean "
		       "nothing here";
	if (strstr(path, "://") && path[0] != '/')
		return "must be a path, which begins with \"/\", not an address";
	if (path[0] == ' ' || path[0] == '"' || path[0] == '\'')
		return "must begin with \"/\"; blanks and quotes around it would be part of it";
	if (path[0] != '/')
		return "must be a whole path, which begins with \"/\"";
	if (key == POLICY_CGROUP && !strncmp(path, "/sys/fs/cgroup", 14) &&
		(path[14] == '/' || !path[14]))
		return "is a path in the file system; write it as it stands in /proc/PID/cgroup, "
		       "without \"/sys/fs/cgroup\"";
	if (length > 1 && path[length - 1] == '/')
		return "must not end with \"/\"";
	if (policy_glob_possible(key, path))
		return NULL;
	if (length == 1)
		return "is a folder, but must be the path of a program";
	if (strstr(path, "//") || strstr(path, "/./") || strstr(path, "/../") ||
		streq(strrchr(path, '/'), "/.") || streq(strrchr(path, '/'), "/.."))
		return "must not hold \"//\", \"/.\" or \"/..\": the kernel writes no such path";
	return "is a pattern that no path can match";
}

static const char *letter_reason(char c)
{
	if (c == '/')
		return "must be a name without \"/\"";
	if (c == '{' || c == '}' || c == ',')
		return "holds \"{\", \"}\" or \",\", which mean nothing here and are in no name of "
		       "a "
		       "unit; write a list of names";
	if (c == '%')
		return "holds \"%\", which is in no name of a unit; the specifiers of unit files "
		       "mean nothing here";
	if (c == ' ')
		return "holds a blank, which is in no name of a unit";
	return "holds a character that is in no name of a unit; systemd-escape(1) shows how "
	       "systemd writes it";
}

/* Only these kinds of units have processes. */
static bool has_kind(const char *name)
{
	static const char *const kinds[] = { ".service", ".scope", ".socket", ".mount", ".swap" };
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < ARRAY_SIZE(kinds); i++)
		if (streq(dot, kinds[i]))
			return true;
	return false;
}

static const char *unit_reason(enum policy_text_key key, const char *name)
{
	const char *dot = strrchr(name, '.'), *at = strchr(name, '@'), *p;
	bool slice = dot && streq(dot, ".slice");

	if (strchr(name, '/'))
		return letter_reason('/');
	if (policy_glob_possible(key, name))
		return NULL;
	for (p = name; (p = plain(p, "{},% \"'$~!#&()+;<=>^`|")); p++)
		return letter_reason(*p);
	for (p = name; *p; p++)
		if ((unsigned char)*p >= 0x80)
			return letter_reason(*p);
	if (key == POLICY_SLICE && !slice && !strpbrk(dot ? dot : name, "*?["))
		return "must end with \".slice\"";
	if (key == POLICY_SLICE && slice && at)
		return "holds \"@\", which is in no name of a slice";
	if (key == POLICY_SLICE && slice)
		return "is no name that a slice can have: a \"-\" in it stands between two others, "
		       "and the whole is not longer than 255 bytes";
	if (slice)
		return "is a slice; match it with the key \"slice\"";
	if (!has_kind(name) && !strpbrk(dot ? dot : name, "*?["))
		return "must end with the kind of a unit that holds processes, such as "
		       "\".service\" or \".scope\"";
	if (at && at + 1 == dot)
		return "is a template, of which no process is part; an instance has its name "
		       "between \"@\" and the dot";
	return key == POLICY_SLICE ? "is a pattern that no name of a slice can match"
				   : "is a pattern that no name of a unit can match";
}

const char *policy_pattern_reason(enum policy_text_key key, const char *text)
{
	if (key == POLICY_LABEL)
		return NULL;
	if (key == POLICY_EXE || key == POLICY_CGROUP)
		return path_reason(key, text);
	return unit_reason(key, text);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of values that nothing can match: each is a mistake with a reason, and nothing else is.
 */
#include <fnmatch.h>

#include "test-policy.h"

struct impossible {
	enum policy_text_key key;
	const char *text, *reason; /* the reason holds this */
};

static const struct impossible impossible[] = {
	/* no process is part of a template */
	{ POLICY_UNIT, "mpi@.service", "template" },
	{ POLICY_UNIT, "a-b@.socket", "template" },
	/* what shells and unit files expand */
	{ POLICY_UNIT, "{a,b}.service", "list of names" },
	{ POLICY_UNIT, "mpi@{1..9}.service", "list of names" },
	{ POLICY_UNIT, "a.service,b.service", "list of names" },
	{ POLICY_UNIT, "mpi@%i.service", "specifiers" },
	{ POLICY_UNIT, "%n", "specifiers" },
	{ POLICY_UNIT, "$UNIT.service", "character" },
	/* blanks and quotes */
	{ POLICY_UNIT, " mpi.service", "blank" },
	{ POLICY_UNIT, "mpi.service ", "blank" },
	{ POLICY_UNIT, "a.service b.service", "blank" },
	{ POLICY_UNIT, "\"a.service\"", "character" },
	{ POLICY_UNIT, "* .service", "blank" },
	/* letters that systemd escapes */
	{ POLICY_UNIT, "caf\xc3\xa9.service", "systemd-escape" },
	{ POLICY_UNIT, "a#b.service", "systemd-escape" },
	{ POLICY_UNIT, "dev/sda.mount", "\"/\"" },
	{ POLICY_UNIT, "/usr/lib/systemd/system/a.service", "\"/\"" },
	/* kinds */
	{ POLICY_UNIT, "mpi", "kind of a unit" },
	{ POLICY_UNIT, "mpi.timer", "kind of a unit" },
	{ POLICY_UNIT, "mpi.target", "kind of a unit" },
	{ POLICY_UNIT, "mpi.Service", "kind of a unit" },
	{ POLICY_UNIT, "mpi.service.d", "kind of a unit" },
	{ POLICY_UNIT, ".service", NULL },
	{ POLICY_UNIT, "*.t[aei]mer", NULL },
	{ POLICY_UNIT, "a.s?", NULL },
	{ POLICY_UNIT, "?????", NULL },
	{ POLICY_UNIT, "@1.service", NULL },
	{ POLICY_UNIT, "system.slice", "key \"slice\"" },
	{ POLICY_UNIT, "a[].service", NULL },
	{ POLICY_UNIT, "a[z-a].service", NULL },
	{ POLICY_UNIT, "a.service[ ]", NULL },
	{ POLICY_SLICE, "mpi", "end with \".slice\"" },
	{ POLICY_SLICE, "mpi.service", "end with \".slice\"" },
	{ POLICY_SLICE, "a--b.slice", "\"-\"" },
	{ POLICY_SLICE, "-a.slice", "\"-\"" },
	{ POLICY_SLICE, "a-.slice", "\"-\"" },
	{ POLICY_SLICE, ".slice", NULL },
	{ POLICY_SLICE, "a@b.slice", "\"@\"" },
	{ POLICY_SLICE, "user slice", "blank" },
	{ POLICY_SLICE, "user-%i.slice", "specifiers" },
	{ POLICY_SLICE, "*--*", NULL },
	{ POLICY_SLICE, "system.slice/a.service", "\"/\"" },
	{ POLICY_EXE, "~/bin/x", "\"~\"" },
	{ POLICY_EXE, "~hpc/bin/x", "\"~\"" },
	{ POLICY_EXE, "$HOME/bin/x", "\"$\"" },
	{ POLICY_EXE, "${HOME}/bin/x", "\"$\"" },
	{ POLICY_EXE, "file:///usr/bin/x", "address" },
	{ POLICY_EXE, "bin/x", "whole path" },
	{ POLICY_EXE, "x", "whole path" },
	{ POLICY_EXE, "*/x", "whole path" },
	{ POLICY_EXE, " /usr/bin/x", "blanks" },
	{ POLICY_EXE, "'/usr/bin/x'", "blanks" },
	{ POLICY_EXE, "/", NULL },
	{ POLICY_EXE, "/usr/bin/", "end with \"/\"" },
	{ POLICY_EXE, "/usr//bin/x", "\"//\"" },
	{ POLICY_EXE, "/usr/../bin/x", "\"/..\"" },
	{ POLICY_EXE, "/usr/./bin/x", "\"/.\"" },
	{ POLICY_EXE, "/usr/bin/..", "\"/..\"" },
	{ POLICY_EXE, "/..", "\"/..\"" },
	{ POLICY_EXE, "/usr/[.]/x", "pattern" },
	{ POLICY_EXE, "/usr/*/", "end with \"/\"" },
	{ POLICY_CGROUP, "/sys/fs/cgroup/system.slice", "file system" },
	{ POLICY_CGROUP, "/sys/fs/cgroup", "file system" },
	{ POLICY_CGROUP, "/sys/fs/cgroup/unified/a*", "file system" },
	{ POLICY_CGROUP, "system.slice", "whole path" },
	{ POLICY_CGROUP, "0::/system.slice", "whole path" },
	{ POLICY_CGROUP, "/system.slice/", "end with \"/\"" },
	{ POLICY_CGROUP, "/a/../b", "\"/..\"" },
	{ POLICY_CGROUP, "/a//b", "\"//\"" },
};

static const struct impossible possible[] = {
	{ POLICY_UNIT, "mpi@1.service", NULL },
	{ POLICY_UNIT, "mpi@*.service", NULL },
	{ POLICY_UNIT, "mpi@?.service", NULL },
	{ POLICY_UNIT, "mpi@*", NULL },
	{ POLICY_UNIT, "mpi*.service", NULL },
	{ POLICY_UNIT, "a@b@c.service", NULL },
	{ POLICY_UNIT, "a@.b.service", NULL },
	{ POLICY_UNIT, "m*@.service", NULL }, /* mpi@1@.service */
	{ POLICY_UNIT, "dev-disk-by\\x2dlabel-x.swap", NULL },
	{ POLICY_UNIT, "systemd-fsck@dev-disk-by\\x2duuid-1.service", NULL },
	{ POLICY_UNIT, "-.mount", NULL },
	{ POLICY_UNIT, "_cpu.service", NULL },
	{ POLICY_UNIT, "_x.scope", NULL },
	{ POLICY_UNIT, "a:b.c-d_e.service", NULL },
	{ POLICY_UNIT, "app-org.gnome.Terminal-12.scope", NULL },
	{ POLICY_UNIT, "init.scope", NULL },
	{ POLICY_UNIT, "user@1000.service", NULL },
	{ POLICY_UNIT, "session-c1.scope", NULL },
	{ POLICY_UNIT, "dbus-:1.2-org.x@0.service", NULL },
	{ POLICY_UNIT, "a.service.service", NULL },
	{ POLICY_UNIT, "a.timer.service", NULL },
	{ POLICY_UNIT, "a.socket.scope", NULL },
	{ POLICY_UNIT, "[!{]*.service", NULL },
	{ POLICY_UNIT, "[[:alpha:]]*.service", NULL },
	{ POLICY_UNIT, "*", NULL },
	{ POLICY_UNIT, "*.*", NULL },
	{ POLICY_UNIT, "*e", NULL },
	{ POLICY_UNIT, "*.s[ec]*", NULL },
	{ POLICY_UNIT, "**", NULL },
	{ POLICY_UNIT, "??????", NULL },
	{ POLICY_SLICE, "system.slice", NULL },
	{ POLICY_SLICE, "user-1000.slice", NULL },
	{ POLICY_SLICE, "a-b-c.slice", NULL },
	{ POLICY_SLICE, "a.b.slice", NULL },
	{ POLICY_SLICE, "a-.b.slice", NULL },
	{ POLICY_SLICE, "system-systemd\\x2dfsck.slice", NULL },
	{ POLICY_SLICE, "-.slice", NULL },
	{ POLICY_SLICE, "*-.slice", NULL },
	{ POLICY_SLICE, "user-*.slice", NULL },
	{ POLICY_SLICE, "*", NULL },
	{ POLICY_EXE, "/x", NULL },
	{ POLICY_EXE, "/opt/My Program/x", NULL },
	{ POLICY_EXE, "/opt/x ", NULL },
	{ POLICY_EXE, "/opt/x (deleted)", NULL },
	{ POLICY_EXE, "/opt/{a,b}/$x%i~", NULL },
	{ POLICY_EXE, "/opt/caf\xc3\xa9/*", NULL },
	{ POLICY_EXE, "/opt/a\\x2db", NULL },
	{ POLICY_EXE, "/opt/http://x", NULL }, /* see below */
	{ POLICY_EXE, "/.x/..y/...", NULL },
	{ POLICY_EXE, "/opt/**", NULL },
	{ POLICY_EXE, "/*/*", NULL },
	{ POLICY_EXE, "/opt/[]/x", NULL },
	{ POLICY_EXE, "/opt/[/]/x", NULL },
	{ POLICY_EXE, "/sys/fs/cgroup/x", NULL },
	{ POLICY_EXE, "/opt/?", NULL },
	{ POLICY_CGROUP, "/", NULL },
	{ POLICY_CGROUP, "/sys", NULL },
	{ POLICY_CGROUP, "/sys/fs/cgroups", NULL },
	{ POLICY_CGROUP, "/system.slice/_cpu.service", NULL },
	{ POLICY_CGROUP, "/kubepods/burstable/pod1", NULL },
	{ POLICY_CGROUP, "/system.slice/a b", NULL },
	{ POLICY_CGROUP, "/..", NULL },
	{ POLICY_CGROUP, "/../../system.slice", NULL },
	{ POLICY_CGROUP, "/*", NULL },
	{ POLICY_CGROUP, "/../*", NULL },
};

START_TEST(nothing_can_match)
{
	for (size_t i = 0; i < ARRAY_SIZE(impossible); i++) {
		const struct impossible *it = &impossible[i];
		const char *reason = policy_pattern_reason(it->key, it->text);

		ck_assert_msg(reason != NULL, "%s", it->text);
		ck_assert_msg(
			!it->reason || strstr(reason, it->reason), "%s: %s", it->text, reason);
	}
}
END_TEST

START_TEST(something_can_match)
{
	for (size_t i = 0; i < ARRAY_SIZE(possible); i++) {
		const struct impossible *it = &possible[i];
		const char *reason = policy_pattern_reason(it->key, it->text);

		/* two slashes, which no path has */
		if (streq(it->text, "/opt/http://x"))
			ck_assert_ptr_nonnull(reason);
		else
			ck_assert_msg(!reason, "%s: %s", it->text, reason);
	}
}
END_TEST

START_TEST(long_names)
{
	char name[300];

	memset(name, 'a', sizeof(name));
	strcpy(name + 247, ".service");
	ck_assert_uint_eq(strlen(name), 255);
	ck_assert_ptr_null(policy_pattern_reason(POLICY_UNIT, name));
	memset(name, 'a', sizeof(name));
	strcpy(name + 248, ".service");
	ck_assert_ptr_nonnull(policy_pattern_reason(POLICY_UNIT, name));
	strcpy(name + 248, "*.service");
	ck_assert_ptr_nonnull(policy_pattern_reason(POLICY_UNIT, name));
}
END_TEST

/* What matches a name that there can be is possible: patterns made of names, at random. */
START_TEST(never_refuses_what_matches)
{
	static const char letters[] = "ab@.-_\\:/1 {]";
	uint32_t state = 12345;
	size_t matched = 0;

#define RANDOM(n) ((state = state * 1103515245 + 12345) >> 16) % (n)
	for (int round = 0; round < 20000; round++) {
		const struct impossible *it = &possible[RANDOM(ARRAY_SIZE(possible))];
		char pattern[160], *to = pattern;
		int flags = FNM_NOESCAPE;

		if (strpbrk(it->text, "*?[") || strstr(it->text, "//"))
			continue;
		for (const char *p = it->text; *p && to < pattern + 140; p++)
			switch (RANDOM(12)) {
			case 0:
				*to++ = '*';
				p += RANDOM(3);
				p = p > it->text + strlen(it->text) - 1
					    ? it->text + strlen(it->text) - 1
					    : p;
				break;
			case 1:
				*to++ = '?';
				break;
			case 2:
				to += sprintf(
					to, "[%c%c]", letters[RANDOM(sizeof(letters) - 1)], *p);
				break;
			case 3:
				to += sprintf(to, "[!%c]", letters[RANDOM(sizeof(letters) - 1)]);
				break;
			case 4:
				to += sprintf(
					to, "[%c-%c]", letters[RANDOM(sizeof(letters) - 1)], *p);
				break;
			default:
				*to++ = *p;
			}
		*to = 0;
		if (it->key == POLICY_EXE || it->key == POLICY_CGROUP)
			flags |= FNM_PATHNAME;
		if (fnmatch(pattern, it->text, flags))
			continue;
		matched++;
		ck_assert_msg(
			policy_glob_possible(it->key, pattern), "%s matches %s", pattern, it->text);
	}
#undef RANDOM
	ck_assert_uint_gt(matched, 1000);
}
END_TEST

/* The mistake is told with the value and its place. */
START_TEST(message)
{
	static const char *const text =
		"{'version':1,'rules':[{'name':'r','match':{'unit':'mpi@.service','not':"
		"{'slice':['a.slice','a--b.slice']}},'deny':'x'}]}";
	char *lines = test_mistakes(&text, 1);

	ck_assert_str_eq(lines,
		"a.json: /rules/0/match/unit: \"mpi@.service\" is a template, of which no process "
		"is part; an instance has its name between \"@\" and the dot\n"
		"a.json: /rules/0/match/not/slice/1: \"a--b.slice\" is no name that a slice can "
		"have: a \"-\" in it stands between two others, and the whole is not longer than "
		"255 bytes\n");
	free(lines);
}
END_TEST

/* Ids that stand for nobody, as a user namespace that maps a few shows all the others. */
START_TEST(ids_of_nobody)
{
	static const char *const text =
		"{'version':1,'rules':[{'name':'r','match':{'user':['overflow',65534,'root'],"
		"'group':['overflow',5]},'deny':'x'}]}";
	static const char *const minus =
		"{'version':1,'rules':[{'name':'r','match':{'user':'minus-one'},'deny':'x'}]}";
	char *quoted = test_quotes(text), *lines;
	struct policy_source source = { "a.json", quoted, strlen(quoted) };
	struct policy_env env = test_env;
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;

	ck_assert_int_eq(policy_new(&source, 1, &env, &errors, &policy), 0);
	policy = policy_unref(policy);
	env.unmapped = (struct unmapped){ .uids = true, .uid = 65534, .gid = 65534 };
	ck_assert_int_eq(policy_new(&source, 1, &env, &errors, &policy), -EINVAL);
	ck_assert_uint_eq(errors.count, 2);
	ck_assert_ptr_nonnull(strstr(errors.lines[0],
		"a.json: /rules/0/match/user/0: is user 65534, which in this user namespace is "
		"every user without a number of its own"));
	ck_assert_ptr_nonnull(strstr(errors.lines[1], "/rules/0/match/user/1: is user 65534"));
	policy_errors_done(&errors);
	env.unmapped.gids = true;
	ck_assert_int_eq(policy_new(&source, 1, &env, &errors, &policy), -EINVAL);
	ck_assert_uint_eq(errors.count, 3);
	ck_assert_ptr_nonnull(strstr(errors.lines[2], "/rules/0/match/group/0: is group 65534"));
	policy_errors_done(&errors);
	free(quoted);
	lines = test_mistakes(&minus, 1);
	ck_assert_str_eq(lines, "a.json: /rules/0/match/user: is user 4294967295, a number that no "
				"process has; correct the user database\n");
	free(lines);
}
END_TEST

/* In quotes stands a name, whatever it is made of. */
START_TEST(names_of_digits)
{
	static const char text[] =
		"{'version':1,'rules':[{'name':'r','match':{'user':['4711',4711],"
		"'group':'4711'},'deny':'x'}]}";
	struct policy *policy = test_policy(text);
	const struct policy_ids *users = &policy->rules[0].match.users;
	uint32_t id;

	ck_assert_int_eq(test_resolve(NULL, "4711", &id), 0);
	ck_assert_uint_ne(id, 4711);
	ck_assert_uint_eq(users->count, 2);
	for (size_t i = 0; i < 2; i++)
		ck_assert_uint_eq(users->items[i].id, users->items[i].name ? id : 4711);
	ck_assert_uint_eq(policy->rules[0].match.groups.items[0].id, id);
	policy_unref(policy);
}
END_TEST

int main(int argc, char *argv[])
{
	const struct test tests[] = {
		{ nothing_can_match },
		{ something_can_match },
		{ long_names },
		{ never_refuses_what_matches },
		{ message },
		{ ids_of_nobody },
		{ names_of_digits },
		{ NULL },
	};

	return run_tests(argc, argv, "policy-pattern", NULL, tests);
}

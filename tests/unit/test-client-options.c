/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of options that name users and groups, with user databases of the test's own.
 */
#include <grp.h>
#include <pwd.h>

#include "client.h"
#include "runner.h"

/* user and group alice, and some that are called like numbers; "7" is believed to be a name by a
 * database that knows the number 7 */
static const struct {
	const char *name, *found;
	uint32_t id;
} known[] = { { "alice", "alice", 1001 }, { "4711", "4711", 5000 }, { "7", "bob", 7 } };

struct passwd *__wrap_getpwnam(const char *name);
struct group *__wrap_getgrnam(const char *name);

struct passwd *__wrap_getpwnam(const char *name)
{
	static struct passwd found;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (streq(known[i].name, name)) {
			found.pw_name = (char *)known[i].found;
			found.pw_uid = known[i].id;
			return &found;
		}
	return NULL;
}

struct group *__wrap_getgrnam(const char *name)
{
	static struct group found;
	const struct passwd *user = __wrap_getpwnam(name);

	if (!user)
		return NULL;
	found.gr_name = user->pw_name;
	found.gr_gid = user->pw_uid;
	return &found;
}

START_TEST(names_first)
{
	static const struct {
		const char *value;
		uint32_t id;
	} cases[] = {
		{ "alice", 1001 },
		{ "4711", 5000 },
		{ "+4711", 4711 },
		{ "+5", 5 },
		{ "0", 0 },
		{ "7", 7 },
		{ "1000", 1000 },
		{ "4294967294", UINT32_MAX - 1 },
	};
	static const char *const wrong[] = { "", "+", "++5", "+alice", "bob", "-1", "4294967295",
		"+4294967295", "1k", " 5", "0x10" };
	uint32_t id;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ck_assert_msg(option_user("--user", cases[i].value, &id), "%s", cases[i].value);
		ck_assert_msg(id == cases[i].id, "%s: %u", cases[i].value, id);
		ck_assert(option_group("--group", cases[i].value, &id));
		ck_assert_uint_eq(id, cases[i].id);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		ck_assert_msg(!option_user("--user", wrong[i], &id), "%s", wrong[i]);
		ck_assert_msg(!option_group("--group", wrong[i], &id), "%s", wrong[i]);
	}
}
END_TEST

int main(int argc, char *argv[])
{
	const struct test tests[] = {
		{ names_first },
		{ NULL },
	};

	return run_tests(argc, argv, "client-options", NULL, tests);
}

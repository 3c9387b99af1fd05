/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the policy in force: loaded as a whole, kept when the next one is wrong, recorded either
 * way. And of who may administer.
 */
#include <sys/stat.h>

#include "broker.h"
#include "fixture.h"

static struct broker broker;
static char dir[96];
static const char *dirs[] = { dir, NULL };
static unsigned int n_changes;

static void on_changed(void *userdata)
{
	ck_assert_ptr_eq(userdata, &broker);
	n_changes++;
}

static void set_up(void)
{
	fixture_set_up();
	n_changes = 0;
	snprintf(dir, sizeof(dir), "%s/policy.d", fixture.folder);
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	broker = (struct broker){ .loop = fixture.loop,
		.audit = fixture.audit,
		.policy_dirs = dirs,
		.policy_trusted_uid = geteuid(),
		.admin_gid = (gid_t)-1,
		.on_policy_changed = on_changed,
		.on_policy_changed_userdata = &broker };
}

static void tear_down(void)
{
	broker.policy = policy_unref(broker.policy);
	free(steal_pointer(&broker.policy_error));
	fixture_tear_down();
}

static void put(const char *name, const char *text)
{
	char path[160];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fchmod(fileno(file), 0600), 0);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

static const char good[] = "{ \"version\": 1, \"uses\": { \"u\": { \"heap\": \"emulated\" } } }";

START_TEST(wrong_one_changes_nothing)
{
	const struct policy *before;

	put("a.json", good);
	ck_assert_int_eq(broker_load_policy(&broker), 0);
	before = broker.policy;
	ck_assert_ptr_nonnull(before);
	ck_assert_ptr_null(broker.policy_error);
	put("b.json", "{ \"version\": 1, \"rulez\": [], \"uses\": 7 }");
	ck_assert_int_eq(broker_load_policy(&broker), -EINVAL);
	ck_assert_ptr_eq(broker.policy, before);
	/* all the mistakes, a line each */
	ck_assert_ptr_nonnull(strstr(broker.policy_error, "rulez"));
	ck_assert_ptr_nonnull(strstr(broker.policy_error, "uses"));
	ck_assert_ptr_nonnull(strchr(broker.policy_error, '\n'));
	ck_assert_int_ne(broker.policy_error[strlen(broker.policy_error) - 1], '\n');
	put("b.json", "{ \"version\": 1 }");
	ck_assert_int_eq(broker_load_policy(&broker), 0);
	ck_assert_ptr_null(broker.policy_error);
	ck_assert_uint_eq(n_changes, 3);
	fixture_audit_wait();
	ck_assert_uint_eq(fixture_trail_count("\"event\":\"policy\""), 3);
	ck_assert_uint_eq(fixture_trail_count("\"verdict\":\"malformed\""), 1);
	ck_assert_uint_eq(fixture_trail_count(policy_digest(broker.policy)), 3);
}
END_TEST

START_TEST(first_one_is_wrong)
{
	put("a.json", "{");
	ck_assert_int_eq(broker_load_policy(&broker), -EINVAL);
	ck_assert_ptr_null(broker.policy);
	ck_assert_ptr_nonnull(strstr(broker.policy_error, "a.json"));
	fixture_audit_wait();
	ck_assert_uint_eq(fixture_trail_count("\"event\":\"policy\""), 1);
}
END_TEST

START_TEST(file_that_others_may_write)
{
	char path[160];

	put("a.json", good);
	snprintf(path, sizeof(path), "%s/a.json", dir);
	ck_assert_int_eq(chmod(path, 0622), 0);
	ck_assert_int_eq(broker_load_policy(&broker), -EINVAL);
	ck_assert_ptr_null(broker.policy);
}
END_TEST

START_TEST(admins)
{
	gid_t groups[] = { 7 };
	struct peer peer = { .refs = 1,
		.identity = { .uid = 1000, .gid = 1000, .groups = groups, .n_groups = 1 } };

	/* no such group: nobody is in it, whatever their number */
	ck_assert(!broker_is_admin(&broker, &peer));
	peer.identity.gid = (gid_t)-1;
	ck_assert(!broker_is_admin(&broker, &peer));
	broker.admin_gid = 7;
	ck_assert(broker_is_admin(&broker, &peer));
	broker.admin_gid = 8;
	ck_assert(!broker_is_admin(&broker, &peer));
	peer.identity.uid = 0;
	ck_assert(broker_is_admin(&broker, &peer));
}
END_TEST

START_TEST(failing_is_said_once)
{
	broker_note_audit(&broker, 0);
	ck_assert(!broker.audit_failing);
	broker_note_audit(&broker, -ENOSPC);
	broker_note_audit(&broker, -ENOSPC);
	ck_assert(broker.audit_failing);
	broker_note_audit(&broker, 0);
	ck_assert(!broker.audit_failing);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("broker");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, wrong_one_changes_nothing);
	tcase_add_test(tcase, first_one_is_wrong);
	tcase_add_test(tcase, file_that_others_may_write);
	tcase_add_test(tcase, admins);
	tcase_add_test(tcase, failing_is_said_once);
	return fixture_run("broker", tcase);
}

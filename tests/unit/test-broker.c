/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the policy in force: loaded as a whole, kept when the next one is wrong, recorded either
 * way. And of who may administer.
 */
#include <sys/stat.h>

#include "broker.h"
#include "fixture.h"
#include "reload.h"

static struct broker broker;
static char dir[96];
static const char *dirs[] = { dir, NULL };
static unsigned int n_changes;
static struct helper_settings settings = { .policy_dirs = dirs, .admin_group = ADMIN_GROUP };

static void on_lost(void *userdata)
{
	(void)userdata;
	ck_abort_msg("the helper is gone");
}

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
		.admin_gid = (gid_t)-1,
		.on_policy_changed = on_changed,
		.on_policy_changed_userdata = &broker };
	settings.policy_trusted_uid = geteuid();
	ck_assert_int_eq(helper_new(&settings, &broker.helper), 0);
	ck_assert_int_eq(helper_attach(broker.helper, fixture.loop, on_lost, NULL), 0);
	ck_assert_int_eq(workers_new(fixture.loop, &broker.workers), 0);
}

static void tear_down(void)
{
	reload_stop(&broker);
	workers_free(broker.workers);
	helper_free(broker.helper);
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

static void on_loaded(void *userdata, int result)
{
	*(int *)userdata = result;
}

static int load_policy(void)
{
	int result = 1;

	ck_assert_int_eq(reload_policy(&broker, on_loaded, &result), 0);
	fixture_run_until(result != 1);
	return result;
}

static const char good[] = "{ \"version\": 1, \"uses\": { \"u\": { \"heap\": \"emulated\" } } }";

START_TEST(wrong_one_changes_nothing)
{
	const struct policy *before;

	put("a.json", good);
	ck_assert_int_eq(load_policy(), 0);
	before = broker.policy;
	ck_assert_ptr_nonnull(before);
	ck_assert_ptr_null(broker.policy_error);
	put("b.json", "{ \"version\": 1, \"rulez\": [], \"uses\": 7 }");
	ck_assert_int_eq(load_policy(), -EINVAL);
	ck_assert_ptr_eq(broker.policy, before);
	/* all the mistakes, a line each */
	ck_assert_ptr_nonnull(strstr(broker.policy_error, "rulez"));
	ck_assert_ptr_nonnull(strstr(broker.policy_error, "uses"));
	ck_assert_ptr_nonnull(strchr(broker.policy_error, '\n'));
	ck_assert_int_ne(broker.policy_error[strlen(broker.policy_error) - 1], '\n');
	put("b.json", "{ \"version\": 1 }");
	ck_assert_int_eq(load_policy(), 0);
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
	ck_assert_int_eq(load_policy(), -EINVAL);
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
	ck_assert_int_eq(load_policy(), -EINVAL);
	ck_assert_ptr_null(broker.policy);
}
END_TEST

/* Without end: the policy is not read again and again for one who asks once. */
START_TEST(stopped)
{
	int first = 1, second = 1;

	put("a.json", good);
	ck_assert_int_eq(reload_policy(&broker, on_loaded, &first), 0);
	ck_assert_int_eq(reload_policy(&broker, on_loaded, &second), 0);
	ck_assert_int_eq(reload_policy(&broker, on_loaded, &second), 1);
	ck_assert_uint_eq(broker.n_requests, 1);
	reload_stop(&broker);
	ck_assert_int_eq(first, -ECANCELED);
	ck_assert_int_eq(second, -ECANCELED);
	ck_assert_uint_eq(broker.n_requests, 0);
	ck_assert_ptr_null(broker.policy);
	reload_stop(&broker);
}
END_TEST

START_TEST(group_of_admins)
{
	broker_settle_admins(&broker, 0, 7);
	ck_assert_uint_eq(broker.admin_gid, 7);
	broker_settle_admins(&broker, -ENOENT, (gid_t)-1);
	ck_assert_uint_eq(broker.admin_gid, (gid_t)-1);
	broker_settle_admins(&broker, 0, 8);
	/* who cannot be asked for is not known to be the same */
	broker_settle_admins(&broker, -EIO, 8);
	ck_assert_uint_eq(broker.admin_gid, (gid_t)-1);
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

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, tear_down };
	const struct test tests[] = {
		{ wrong_one_changes_nothing },
		{ first_one_is_wrong },
		{ file_that_others_may_write },
		{ stopped },
		{ group_of_admins },
		{ admins },
		{ failing_is_said_once },
		{ NULL },
	};

	return run_tests(argc, argv, "broker", &hooks, tests);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of policy folders: order, masks, owners and modes, files that cannot be used. They run as
 * root and as anybody; what needs another owner is done by root only.
 */
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>

#include "policy-load.h"
#include "test-policy.h"

static char base[] = "/tmp/test-policy-XXXXXX";
static char etc[64], run[64], lib[64];
static const char *const dirs[] = { etc, run, lib, NULL };

static void setup(void)
{
	strcpy(base + sizeof(base) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	snprintf(etc, sizeof(etc), "%s/etc", base);
	snprintf(run, sizeof(run), "%s/run", base);
	snprintf(lib, sizeof(lib), "%s/lib", base);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(mkdir(dirs[i], 0755), 0);
		ck_assert_int_eq(chmod(dirs[i], 0755), 0);
	}
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", base);
	ck_assert_int_eq(system(command), 0);
}

static char *path_of(const char *dir, const char *name)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void put(const char *dir, const char *name, const char *text)
{
	char *quoted = test_quotes(text);
	int fd = open(path_of(dir, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchmod(fd, 0644), 0);
	ck_assert_int_eq((int)write(fd, quoted, strlen(quoted)), (int)strlen(quoted));
	close(fd);
	free(quoted);
}

/* A policy of one rule. */
static void put_rule(const char *dir, const char *file, const char *name)
{
	char text[256];

	snprintf(text, sizeof(text), "{'version':1,'rules':[{'name':'%s','match':{},'deny':'x'}]}",
		name);
	put(dir, file, text);
}

/* The names of the rules in order, each with a blank after it. */
static void expect(const char *names)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;
	char found[256] = "";
	int r = policy_load(dirs, getuid(), &errors, &policy);

	ck_assert_msg(r == 0, "%s", errors.count ? errors.lines[0] : strerror(-r));
	for (size_t i = 0; i < policy->n_rules; i++) {
		strcat(found, policy->rules[i].rule.name);
		strcat(found, " ");
	}
	ck_assert_str_eq(found, names);
	policy_unref(policy);
}

/* One mistake, its folder left out. */
static void expect_mistake(const char *line)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;

	ck_assert_int_eq(policy_load(dirs, getuid(), &errors, &policy), -EINVAL);
	ck_assert_ptr_null(policy);
	ck_assert_uint_eq(errors.count, 1);
	ck_assert_str_eq(errors.lines[0] + strlen(base), line);
	policy_errors_done(&errors);
}

START_TEST(default_folders)
{
	ck_assert_ptr_nonnull(strstr(policy_default_dirs[0], "/ccbufd/policy.d"));
	ck_assert_str_eq(policy_default_dirs[1], "/run/ccbufd/policy.d");
	ck_assert_ptr_nonnull(strstr(policy_default_dirs[2], "/lib/ccbufd/policy.d"));
	ck_assert_ptr_null(policy_default_dirs[3]);
}
END_TEST

START_TEST(nothing)
{
	expect("");
	ck_assert_int_eq(rmdir(run), 0);
	expect("");
}
END_TEST

START_TEST(order)
{
	put_rule(lib, "10-a.json", "a");
	put_rule(etc, "20-b.json", "b");
	put_rule(run, "15-c.json", "c");
	put_rule(run, "9-d.json", "d");
	put_rule(etc, ".hidden.json", "no");
	put_rule(etc, "30-x.json~", "no");
	put_rule(etc, "30-x.conf", "no");
	put_rule(etc, ".json", "no");
	expect("a c b d ");
}
END_TEST

START_TEST(masks)
{
	put_rule(lib, "a.json", "a-lib");
	put_rule(run, "a.json", "a-run");
	put_rule(run, "b.json", "b-run");
	put_rule(lib, "b.json", "b-lib");
	put_rule(lib, "c.json", "c-lib");
	put_rule(lib, "d.json", "d-lib");
	put_rule(lib, "e.json", "e-lib");
	expect("a-run b-run c-lib d-lib e-lib ");
	put_rule(etc, "a.json", "a-etc");
	ck_assert_int_eq(symlink("/dev/null", path_of(etc, "c.json")), 0);
	ck_assert_int_eq(symlink("/dev/null", path_of(run, "d.json")), 0);
	ck_assert_int_eq(symlink("/dev/null", path_of(lib, "z.json")), 0);
	expect("a-etc b-run e-lib ");
	/* what an editor has just truncated must not take rules away */
	put(etc, "e.json", "");
	expect_mistake(
		"/etc/e.json: is empty; to mask the file of that name in a later folder, make "
		"it a link to /dev/null");
}
END_TEST

START_TEST(limits_in_order)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;

	put(etc, "10.json", "{'version':1,'limits':{'total':1}}");
	put(lib, "20.json", "{'version':1,'limits':{'total':2}}");
	ck_assert_int_eq(policy_load(dirs, getuid(), &errors, &policy), 0);
	ck_assert_uint_eq(policy_settings(policy)->total, 2);
	policy_unref(policy);
	ck_assert_int_eq(unlink(path_of(lib, "20.json")), 0);
	put(lib, "20.json", "{'version':1}");
	ck_assert_int_eq(unlink(path_of(etc, "10.json")), 0);
	ck_assert_int_eq(policy_load(dirs, getuid(), &errors, &policy), 0);
	/* a quarter of this machine's memory */
	ck_assert_uint_gt(policy_settings(policy)->total, UINT64_C(1) << 20);
	policy_unref(policy);
}
END_TEST

START_TEST(modes)
{
	put_rule(etc, "a.json", "a");
	ck_assert_int_eq(chmod(path_of(etc, "a.json"), 0664), 0);
	expect_mistake("/etc/a.json: may be written by its group (mode 0664); only its owner may "
		       "(chmod go-w)");
	ck_assert_int_eq(chmod(path_of(etc, "a.json"), 0646), 0);
	expect_mistake("/etc/a.json: may be written by everyone (mode 0646); only its owner may "
		       "(chmod go-w)");
	ck_assert_int_eq(chmod(path_of(etc, "a.json"), 0600), 0);
	expect("a ");
	ck_assert_int_eq(chmod(etc, 0777), 0);
	expect_mistake("/etc: may be written by everyone (mode 0777); only its owner may (chmod "
		       "go-w)");
}
END_TEST

START_TEST(owners)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;

	put_rule(etc, "a.json", "a");
	if (getuid() != 0) {
		/* our own files are not root's */
		ck_assert_int_eq(policy_load(dirs, 0, &errors, &policy), -EINVAL);
		policy_errors_done(&errors);
		return;
	}
	ck_assert_int_eq(chown(path_of(etc, "a.json"), 65534, 65534), 0);
	expect_mistake("/etc/a.json: belongs to user 65534; a policy must belong to root (chown "
		       "root)");
	ck_assert_int_eq(policy_load(dirs, 65534, &errors, &policy), 0);
	policy = policy_unref(policy);
	ck_assert_int_eq(chown(path_of(etc, "a.json"), 0, 0), 0);
	ck_assert_int_eq(symlink("/dev/null", path_of(etc, "b.json")), 0);
	ck_assert_int_eq(lchown(path_of(etc, "b.json"), 65534, 65534), 0);
	expect_mistake("/etc/b.json: belongs to user 65534; a policy must belong to root (chown "
		       "root)");
	ck_assert_int_eq(unlink(path_of(etc, "b.json")), 0);
	ck_assert_int_eq(chown(etc, 65534, 65534), 0);
	expect_mistake("/etc: belongs to user 65534; a policy must belong to root (chown root)");
}
END_TEST

/* Who can change a folder above could put another one in its place. */
START_TEST(folders_above)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;
	char line[320];

	put_rule(etc, "a.json", "a");
	ck_assert_int_eq(chmod(base, 0777), 0);
	ck_assert_int_eq(policy_load(dirs, getuid(), &errors, &policy), -EINVAL);
	ck_assert_ptr_null(policy);
	ck_assert_uint_eq(errors.count, 3);
	snprintf(line, sizeof(line),
		"%s: the way to it leads through %s, which may be written by everyone (mode 0777); "
		"only its owner may (chmod go-w)",
		etc, base);
	ck_assert_str_eq(errors.lines[0], line);
	policy_errors_done(&errors);
}
END_TEST

/* A folder may be a link, where nobody else can change the link or what it leads to. */
START_TEST(linked_folders)
{
	char other[64], line[128];

	snprintf(other, sizeof(other), "%s/other", base);
	put_rule(etc, "a.json", "a");
	ck_assert_int_eq(rename(etc, other), 0);
	ck_assert_int_eq(symlink("other", etc), 0);
	expect("a ");
	ck_assert_int_eq(chmod(other, 0775), 0);
	expect_mistake("/etc: may be written by its group (mode 0775); only its owner may (chmod "
		       "go-w)");
	ck_assert_int_eq(unlink(etc), 0);
	expect("");
	ck_assert_int_eq(symlink("gone", etc), 0);
	snprintf(line, sizeof(line), "/etc: cannot be opened: %s/gone: No such file or directory",
		base);
	expect_mistake(line);
}
END_TEST

START_TEST(odd_files)
{
	put_rule(base, "target.json", "t");
	ck_assert_int_eq(symlink("../target.json", path_of(etc, "a.json")), 0);
	expect_mistake("/etc/a.json: is a symbolic link; put the file itself here (only a link to "
		       "/dev/null, which masks, is followed)");
	ck_assert_int_eq(unlink(path_of(etc, "a.json")), 0);
	ck_assert_int_eq(symlink("/dev/nullx", path_of(etc, "a.json")), 0);
	expect_mistake("/etc/a.json: is a symbolic link; put the file itself here (only a link to "
		       "/dev/null, which masks, is followed)");
	ck_assert_int_eq(unlink(path_of(etc, "a.json")), 0);
	ck_assert_int_eq(mkdir(path_of(etc, "a.json"), 0755), 0);
	expect_mistake("/etc/a.json: is not a regular file; remove it or rename it");
	ck_assert_int_eq(rmdir(path_of(etc, "a.json")), 0);
	/* opening it must not wait for a writer */
	ck_assert_int_eq(mkfifo(path_of(etc, "a.json"), 0644), 0);
	expect_mistake("/etc/a.json: is not a regular file; remove it or rename it");
	ck_assert_int_eq(unlink(path_of(etc, "a.json")), 0);
	ck_assert_int_eq(rmdir(run), 0);
	put(base, "run", "");
	expect_mistake("/run: cannot be opened: Not a directory");
}
END_TEST

START_TEST(unreadable)
{
	put_rule(etc, "a.json", "a");
	put(etc, "b.json", "{'version':1,'rules':[{'name':'b','match':{},'allow':{'use':'u'}}]}");
	ck_assert_int_eq(chmod(path_of(etc, "a.json"), 0), 0);
	if (getuid() == 0)
		return;
	/* what the unreadable file may define is not called missing */
	expect_mistake("/etc/a.json: cannot be opened: Permission denied");
}
END_TEST

START_TEST(large)
{
	put(etc, "a.json", "{'version':1}");
	ck_assert_int_eq(truncate(path_of(etc, "a.json"), POLICY_FILE_MAX + 1), 0);
	expect_mistake("/etc/a.json: is larger than 4 MiB; split it into several files");
	ck_assert_int_eq(truncate(path_of(etc, "a.json"), POLICY_FILE_MAX), 0);
	expect_mistake("/etc/a.json:1:14: a NUL byte; a policy is plain text");
}
END_TEST

START_TEST(all_mistakes)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;

	put(etc, "a.json", "{");
	put(etc, "b.json", "{'version':1,'rulez':[]}");
	put_rule(run, "c.json", "c");
	ck_assert_int_eq(chmod(path_of(run, "c.json"), 0666), 0);
	put(lib, "d.json",
		"{'version':1,'rules':[{'name':'d','match':{'user':'no-such-user-'},"
		"'allow':{'use':'u'}}]}");
	ck_assert_int_eq(policy_load(dirs, getuid(), &errors, &policy), -EINVAL);
	ck_assert_uint_eq(errors.count, 4);
	ck_assert_ptr_nonnull(strstr(errors.lines[0], "/run/c.json: may be written by everyone"));
	ck_assert_ptr_nonnull(strstr(errors.lines[1], "/etc/a.json:1:2: the text ends too early"));
	ck_assert_ptr_nonnull(strstr(errors.lines[2], "/etc/b.json: /rulez: unknown key"));
	ck_assert_ptr_nonnull(strstr(errors.lines[3], "there is no user \"no-such-user-\""));
	policy_errors_done(&errors);
}
END_TEST

START_TEST(real_users)
{
	put(etc, "a.json",
		"{'version':1,'uses':{'u':{'heap':'system'}},'rules':[{'name':'a','match':"
		"{'user':'root','group':['root',5]},'allow':{'use':'u'}}]}");
	expect("a ");
	put(etc, "a.json",
		"{'version':1,'uses':{'u':{'heap':'system'}},'rules':[{'name':'a',"
		"'match':{'group':'no-such-group-'},'allow':{'use':'u'}}]}");
	expect_mistake("/etc/a.json: /rules/0/match/group: there is no group \"no-such-group-\" on "
		       "this system; correct the name or create it first");
}
END_TEST

int __real_getpwnam_r(
	const char *name, struct passwd *pw, char *buffer, size_t size, struct passwd **found);
int __wrap_getpwnam_r(
	const char *name, struct passwd *pw, char *buffer, size_t size, struct passwd **found);

/* Users "1234" and "1235", which the latter's database takes for the number. */
int __wrap_getpwnam_r(
	const char *name, struct passwd *pw, char *buffer, size_t size, struct passwd **found)
{
	static char digits[] = "1234", other[] = "other";

	if (!streq(name, "1234") && !streq(name, "1235"))
		return __real_getpwnam_r(name, pw, buffer, size, found);
	*pw = (struct passwd){ .pw_name = streq(name, digits) ? digits : other, .pw_uid = 77 };
	*found = pw;
	return 0;
}

START_TEST(users_of_digits)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;

	put(etc, "a.json",
		"{'version':1,'rules':[{'name':'a','match':{'user':'1234'},'deny':'x'}]}");
	ck_assert_int_eq(policy_load(dirs, getuid(), &errors, &policy), 0);
	ck_assert_uint_eq(policy->rules[0].match.users.items[0].id, 77);
	policy_unref(policy);
	put(etc, "a.json",
		"{'version':1,'rules':[{'name':'a','match':{'user':'1235'},'deny':'x'}]}");
	expect_mistake("/etc/a.json: /rules/0/match/user: there is no user \"1235\" on this system "
		       "(in quotes stands a name); correct the name or create it first");
}
END_TEST

static void expect_paths(const char *const *paths, size_t n, const char *names)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;
	char found[256] = "";
	int r = policy_load_paths(paths, n, &errors, &policy);

	ck_assert_msg(r == 0, "%s", errors.count ? errors.lines[0] : strerror(-r));
	for (size_t i = 0; i < policy->n_rules; i++) {
		strcat(found, policy->rules[i].rule.name);
		strcat(found, " ");
	}
	ck_assert_str_eq(found, names);
	policy_unref(policy);
}

START_TEST(paths)
{
	char z[64], q[64], missing[64];
	const char *const list[] = { z, lib, q };
	const char *const layers[] = { etc, lib };
	const char *const reversed[] = { q, z };
	const char *const wrong[] = { missing, q, q };
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;

	snprintf(z, sizeof(z), "%s/z.txt", base);
	snprintf(q, sizeof(q), "%s/q.json", base);
	snprintf(missing, sizeof(missing), "%s/missing.json", base);
	put_rule(base, "z.txt", "z");
	put_rule(base, "q.json", "q");
	put_rule(lib, "2.json", "lib2");
	put_rule(lib, "1.json", "lib1");
	put_rule(etc, "2.json", "etc2");
	/* anybody's files may be checked */
	ck_assert_int_eq(chmod(q, 0666), 0);
	ck_assert_int_eq(chmod(path_of(lib, "1.json"), 0666), 0);
	expect_paths(list, 3, "z lib1 lib2 q ");
	expect_paths(layers, 2, "lib1 etc2 ");
	expect_paths(reversed, 2, "q z ");
	expect_paths(NULL, 0, "");
	ck_assert_int_eq(policy_load_paths(wrong, 3, &errors, &policy), -EINVAL);
	ck_assert_uint_eq(errors.count, 2);
	ck_assert_str_eq(errors.lines[0] + strlen(base),
		"/missing.json: cannot be opened: No such file or directory");
	ck_assert_ptr_nonnull(strstr(errors.lines[1], "/q.json: /rules/0/name: a rule \"q\""));
	policy_errors_done(&errors);
}
END_TEST

static void expect_leftovers(const char *const *of, size_t n, const char *wanted)
{
	struct policy_errors errors = { 0 };
	char found[1024] = "";

	ck_assert_int_eq(policy_leftovers(of, n, &errors), 0);
	for (size_t i = 0; i < errors.count; i++) {
		strcat(found, errors.lines[i] + strlen(base));
		strcat(found, "\n");
	}
	ck_assert_str_eq(found, wanted);
	policy_errors_done(&errors);
}

/* What looks like policy and is not read. */
START_TEST(leftovers)
{
	static const char *const known[] = { "a.json~", "a.json.dpkg-dist", "a.json.rpmsave",
		".a.swp", "#a.json#", ".hidden.json", "README", "a.json.ucf-old",
		"b.json.disabled" };
	char file[96];
	const char *const files[] = { file, etc };

	put_rule(etc, "a.json", "a");
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		put(etc, known[i], "x");
	expect_leftovers(dirs, 3, "");
	put_rule(etc, "05-deny.jsonc", "x");
	put_rule(etc, "06-deny.JSON", "x");
	put_rule(run, "07-deny.conf", "x");
	put_rule(lib, "08-deny", "x");
	ck_assert_int_eq(mkdir(path_of(lib, "more"), 0755), 0);
	expect_leftovers(dirs, 3,
		"/etc/05-deny.jsonc: is not read: the name of a policy file ends in .json\n"
		"/etc/06-deny.JSON: is not read: the name of a policy file ends in .json\n"
		"/run/07-deny.conf: is not read: the name of a policy file ends in .json\n"
		"/lib/08-deny: is not read: the name of a policy file ends in .json\n"
		"/lib/more: is a folder, into which ccbufd does not look\n");
	snprintf(file, sizeof(file), "%s/05-deny.jsonc", etc);
	expect_leftovers(files, 1,
		"/etc/05-deny.jsonc: ccbufd would not read a file of this name: it must end in "
		".json and not begin with a dot\n");
	snprintf(file, sizeof(file), "%s/a.json", etc);
	expect_leftovers(files, 1, "");
}
END_TEST

START_TEST(hidden_files)
{
	char line[256];

	put_rule(etc, "a.json", "a");
	put_rule(lib, "a.json", "b");
	put_rule(lib, "c.json", "c");
	put_rule(run, "c.json", "d");
	put_rule(lib, "z.json", "z");
	/* on purpose */
	ck_assert_int_eq(symlink("/dev/null", path_of(etc, "z.json")), 0);
	snprintf(line, sizeof(line),
		"/lib/a.json: is hidden by %s/a.json\n/lib/c.json: is hidden by "
		"%s/c.json\n",
		etc, run);
	expect_leftovers(dirs, 3, line);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { setup, teardown };
	const struct test tests[] = {
		{ default_folders },
		{ nothing },
		{ order },
		{ masks },
		{ limits_in_order },
		{ modes },
		{ owners },
		{ folders_above },
		{ linked_folders },
		{ odd_files },
		{ unreadable },
		{ large },
		{ all_mistakes },
		{ real_users },
		{ users_of_digits },
		{ paths },
		{ leftovers },
		{ hidden_files },
		{ NULL },
	};

	umask(022);
	return run_tests(argc, argv, "policy-load", &hooks, tests);
}

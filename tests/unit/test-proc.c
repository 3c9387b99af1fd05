/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of reading /proc: real processes, and files that hold what a hostile one could bring about.
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "fixture.h"
#include "helper/proc.h"
#include "peer/pidfd-info.h"

#define FIELDS "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 "

static int folder = -1, self = -1;

static void set_up(void)
{
	fixture_set_up();
	folder = open(fixture.folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(folder, 0);
	ck_assert_int_ge(self, 0);
}

static void tear_down(void)
{
	close_fd(&folder);
	close_fd(&self);
	fixture_tear_down();
}

static void put(const char *name, const char *text)
{
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* --- small files --- */

START_TEST(reads_small_files)
{
	char buffer[8];

	put("f", "1234567");
	ck_assert_int_eq(proc_read(folder, "f", buffer, sizeof(buffer)), 7);
	ck_assert_str_eq(buffer, "1234567");
	put("f", "12345678");
	ck_assert_int_eq(proc_read(folder, "f", buffer, sizeof(buffer)), 7);
	ck_assert_str_eq(buffer, "1234567");
	put("f", "");
	ck_assert_int_eq(proc_read(folder, "f", buffer, sizeof(buffer)), 0);
	ck_assert_str_eq(buffer, "");
	ck_assert_int_eq(proc_read(folder, "none", buffer, sizeof(buffer)), -ENOENT);
	ck_assert_int_eq(proc_read(folder, ".", buffer, sizeof(buffer)), -EISDIR);
}
END_TEST

/* --- start time --- */

static const struct {
	const char *stat;
	int r;
	uint64_t ticks;
} stats[] = {
	{ "1 (cat) " FIELDS "4711 0 0\n", 0, 4711 },
	/* a command may hold anything but its own end */
	{ "1 (a) R 1 (b) " FIELDS "4711 0\n", 0, 4711 },
	{ "1 (a) R 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 99) " FIELDS "4711 0\n", 0,
		4711 },
	{ "1 ())))) " FIELDS "4711 0\n", 0, 4711 },
	{ "1 (\n) " FIELDS "4711 0\n", 0, 4711 },
	{ "1 () " FIELDS "18446744073709551615 0\n", 0, UINT64_MAX },
	{ "", -EBADMSG, 0 },
	{ "1 (cat", -EBADMSG, 0 },
	{ "1 (cat) S 1 2 3", -EBADMSG, 0 },
	{ "1 (cat) " FIELDS "x 0\n", -EBADMSG, 0 },
	{ "1 (cat) " FIELDS, -EBADMSG, 0 },
};

START_TEST(start_times)
{
	uint64_t ticks = 0;

	put("stat", stats[_i].stat);
	ck_assert_int_eq(proc_start_time(folder, &ticks), stats[_i].r);
	ck_assert_uint_eq(ticks, stats[_i].ticks);
}
END_TEST

START_TEST(start_time_of_a_hostile_name)
{
	uint64_t before, after;

	ck_assert_int_eq(proc_start_time(self, &before), 0);
	ck_assert_int_eq(prctl(PR_SET_NAME, "a) R 1 (b"), 0);
	ck_assert_int_eq(proc_start_time(self, &after), 0);
	ck_assert_uint_eq(before, after);
	ck_assert_int_eq(prctl(PR_SET_NAME, ") 1 2 3 4 5 6 7"), 0);
	ck_assert_int_eq(proc_start_time(self, &after), 0);
	ck_assert_uint_eq(before, after);
	ck_assert_uint_gt(before, 0);
}
END_TEST

/* --- credentials --- */

static char status[65536];
static gid_t groups[8];
static size_t n_groups;

static int credentials(int proc, struct proc_credentials *ret_credentials)
{
	return proc_credentials(proc, status, sizeof(status), ret_credentials, groups,
		ARRAY_SIZE(groups), &n_groups);
}

START_TEST(credentials_of_self)
{
	struct proc_credentials c;
	uid_t uids[3];
	gid_t gids[3];

	ck_assert_int_eq(getresuid(&uids[0], &uids[1], &uids[2]), 0);
	ck_assert_int_eq(getresgid(&gids[0], &gids[1], &gids[2]), 0);
	ck_assert_int_eq(credentials(self, &c), 0);
	ck_assert_mem_eq(c.uids, uids, sizeof(uids));
	ck_assert_mem_eq(c.gids, gids, sizeof(gids));
	/* a name cannot pass for a line of its own */
	ck_assert_int_eq(prctl(PR_SET_NAME, "\nUid:\t7\t7\t7"), 0);
	ck_assert_int_eq(credentials(self, &c), 0);
	ck_assert_mem_eq(c.uids, uids, sizeof(uids));
}
END_TEST

START_TEST(credentials_of_text)
{
	struct proc_credentials c;

	put("status", "Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t4294967295\nGroups:\t\nCapPrm:"
		      "\t0000000000000040\n");
	ck_assert_int_eq(credentials(folder, &c), 0);
	ck_assert_uint_eq(c.uids[0], 1);
	ck_assert_uint_eq(c.uids[3], 4);
	ck_assert_uint_eq(c.gids[0], 5);
	ck_assert_uint_eq(c.gids[3], UINT32_MAX);
	ck_assert_uint_eq(c.permitted, 64);
	put("status", "Name:\tx\nUid:\t1\t2\t3\nGid:\t5\t6\t7\t8\n");
	ck_assert_int_eq(credentials(folder, &c), -EBADMSG);
	put("status", "Name:\tx\nUid:\t1\t2\t3\t4\n");
	ck_assert_int_eq(credentials(folder, &c), -EBADMSG);
	put("status", "Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n");
	ck_assert_int_eq(credentials(folder, &c), -EBADMSG);
	put("status", "");
	ck_assert_int_eq(credentials(folder, &c), -EBADMSG);
}
END_TEST

#define CAPS "CapPrm:\t0\n"
#define IDS  "Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n"

START_TEST(groups_of_text)
{
	static char text[sizeof(status) + 16];
	struct proc_credentials c;

	put("status", IDS "Groups:\t \nNStgid:\t7\n" CAPS);
	ck_assert_int_eq(credentials(folder, &c), 0);
	ck_assert_uint_eq(n_groups, 0);
	put("status", IDS "Groups:\t4 4711 4294967295 \n7 8\n" CAPS);
	ck_assert_int_eq(credentials(folder, &c), 0);
	ck_assert_uint_eq(n_groups, 3);
	ck_assert_uint_eq(groups[1], 4711);
	ck_assert_uint_eq(groups[2], UINT32_MAX);
	/* more than there is room for, of the one or the other, are never cut off */
	put("status", IDS "Groups:\t1 2 3 4 5 6 7 8 \n" CAPS);
	ck_assert_int_eq(credentials(folder, &c), 0);
	put("status", IDS "Groups:\t1 2 3 4 5 6 7 8 9 \n" CAPS);
	ck_assert_int_eq(credentials(folder, &c), -EMSGSIZE);
	memset(text, ' ', sizeof(text) - 1);
	memcpy(text, IDS "Groups:\t", strlen(IDS "Groups:\t"));
	put("status", text);
	ck_assert_int_eq(credentials(folder, &c), -EMSGSIZE);
}
END_TEST

/* Where the kernel can say it by the pidfd it says the same. */
START_TEST(credentials_of_a_pidfd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0), r;
	uint64_t cgroup;
	struct proc_credentials c, d;

	ck_assert_int_ge(pidfd, 0);
	r = pidfd_info_credentials(pidfd, &c, &cgroup);
	close(pidfd);
	ck_assert_int_eq(pidfd_info_credentials(folder, &d, &cgroup), -EOPNOTSUPP);
	if (r == -EOPNOTSUPP)
		fixture_skip("this kernel does not tell");
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(credentials(self, &d), 0);
	ck_assert_mem_eq(c.uids, d.uids, sizeof(c.uids));
	ck_assert_mem_eq(c.gids, d.gids, sizeof(c.gids));
}
END_TEST

/* --- cgroups --- */

static const struct {
	const char *text, *path; /* NULL for -ENODATA */
} cgroups[] = {
	{ "0::/system.slice/a.service\n", "/system.slice/a.service" },
	{ "0::/\n", "/" },
	{ "0::/system.slice/a.service", "/system.slice/a.service" },
	{ "12:pids:/x\n1:name=systemd:/y\n0::/z\n", "/z" },
	{ "1:name=systemd:/0::/fake\n0::/z\n", "/z" },
	{ "10::/fake\n0::/z\n", "/z" },
	{ "12:pids:/x\n1:name=systemd:/y\n", NULL },
	{ "", NULL },
	{ "\n", NULL },
};

START_TEST(cgroup_paths)
{
	const char *path = NULL;
	char buffer[256];

	put("cgroup", cgroups[_i].text);
	ck_assert_int_eq(proc_cgroup(folder, buffer, sizeof(buffer), &path),
		cgroups[_i].path ? 0 : -ENODATA);
	ck_assert_pstr_eq(path, cgroups[_i].path);
}
END_TEST

/* What was cut off must not pass for the whole: "/a.service" of "/a.serviceable". */
START_TEST(cgroup_that_is_too_long)
{
	static char text[3 * PATH_MAX], buffer[PATH_MAX + 256];
	size_t length = PATH_MAX + 255 - strlen("\n0::/system.slice/a.service");
	const char *path = NULL;

	memset(text, 'x', length);
	memcpy(text, "1:name=systemd:/", strlen("1:name=systemd:/"));
	strcpy(text + length, "\n0::/system.slice/a.serviceable/b\n");
	put("cgroup", text);
	ck_assert_int_eq(proc_cgroup(folder, buffer, sizeof(buffer), &path), -EMSGSIZE);
	ck_assert_ptr_null(path);
}
END_TEST

static const struct {
	const char *cgroup, *unit, *slice;
} units[] = {
	{ "/", NULL, NULL },
	{ "", NULL, NULL },
	{ "/init.scope", "init.scope", NULL },
	{ "/system.slice", NULL, "system.slice" },
	{ "/system.slice/mpi.service", "mpi.service", "system.slice" },
	{ "/system.slice/system-mpi.slice/mpi@3.service", "mpi@3.service", "system-mpi.slice" },
	/* what a unit makes of its own subtree is not a unit */
	{ "/system.slice/mpi.service/other.service", "mpi.service", "system.slice" },
	{ "/system.slice/mpi.service/x.slice/other.service", "mpi.service", "system.slice" },
	{ "/system.slice/mpi.service/payload", "mpi.service", "system.slice" },
	/* a user's manager is one unit, whatever it runs */
	{ "/user.slice/user-1000.slice/user@1000.service/app.slice/x.service", "user@1000.service",
		"user-1000.slice" },
	{ "/user.slice/user-1000.slice/user@1000.service/app.slice/app-a.slice/mpi@3.service",
		"user@1000.service", "user-1000.slice" },
	{ "/user.slice/user-1000.slice/user@1000.service/system.slice/mpi.service",
		"user@1000.service", "user-1000.slice" },
	{ "/user.slice/user-1000.slice/session-3.scope", "session-3.scope", "user-1000.slice" },
	/* containers */
	{ "/system.slice/docker-0123456789abcdef.scope", "docker-0123456789abcdef.scope",
		"system.slice" },
	{ "/system.slice/docker-0123.scope/system.slice/mpi.service", "docker-0123.scope",
		"system.slice" },
	{ "/docker/0123456789abcdef", NULL, NULL },
	{ "/docker/0123456789abcdef/system.slice/mpi.service", NULL, NULL },
	{ "/machine.slice/libpod-0123.scope/container", "libpod-0123.scope", "machine.slice" },
	{ "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-0123.scope",
		"user@1000.service", "user-1000.slice" },
	{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/"
	  "cri-containerd-0123.scope",
		"cri-containerd-0123.scope", "kubepods-burstable-pod1.slice" },
	{ "/kubepods/burstable/pod1/0123/mpi.service", NULL, NULL },
	{ "/machine.slice/systemd-nspawn@c.service/payload/system.slice/mpi.service",
		"systemd-nspawn@c.service", "machine.slice" },
	{ "/lxc.payload.c/system.slice/mpi.service", NULL, NULL },
	/* escapes: a name that the kernel could take for its own */
	{ "/system.slice/_cpu.service", "cpu.service", "system.slice" },
	{ "/system.slice/__x.service", "_x.service", "system.slice" },
	{ "/system.slice/_", NULL, "system.slice" },
	{ "/system.slice/_.service", NULL, "system.slice" },
	{ "/system.slice/a\\x2db.service", "a\\x2db.service", "system.slice" },
	{ "/system.slice/dev-hugepages.mount", "dev-hugepages.mount", "system.slice" },
	{ "/system.slice/a.swap", "a.swap", "system.slice" },
	{ "/system.slice/a.socket", "a.socket", "system.slice" },
	/* no units */
	{ "/system.slice/.service", NULL, "system.slice" },
	{ "/.slice/mpi.service", NULL, NULL },
	{ "/system.slice/mpi.serviceable", NULL, "system.slice" },
	{ "/system.slice/mpi.service (deleted)", NULL, "system.slice" },
	{ "/system.slice/mpi.timer", NULL, "system.slice" },
	{ "/system.slice//mpi.service", NULL, "system.slice" },
	{ "system.slice/mpi.service", NULL, NULL },
	{ "/../system.slice/mpi.service", NULL, NULL },
	{ "/system.slice/../mpi.service", NULL, "system.slice" },
	{ "/system.slice/", NULL, "system.slice" },
	{ "//", NULL, NULL },
};

START_TEST(cgroup_units)
{
	char *unit = NULL, *slice = NULL;

	ck_assert_int_eq(proc_cgroup_unit(units[_i].cgroup, &unit, &slice), 0);
	ck_assert_pstr_eq(unit, units[_i].unit);
	ck_assert_pstr_eq(slice, units[_i].slice);
	free(unit);
	free(slice);
}
END_TEST

/* --- links --- */

START_TEST(links)
{
	char target[PATH_MAX], text[PATH_MAX];
	uint64_t dev = 0, ino = 0, inode = 0;
	struct stat st;

	ck_assert_int_eq(stat("/proc/self/exe", &st), 0);
	ck_assert_int_eq(proc_link_target(self, "exe", &dev, &ino), 0);
	ck_assert_uint_eq(dev, st.st_dev);
	ck_assert_uint_eq(ino, st.st_ino);
	ck_assert_int_eq(proc_link_text(self, "exe", text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(realpath("/proc/self/exe", target));
	ck_assert_str_eq(text, target);
	ck_assert_int_eq(proc_link_text(self, "exe", text, strlen(target)), -ENAMETOOLONG);
	ck_assert_int_eq(proc_link_text(self, "stat", text, sizeof(text)), -EINVAL);
	ck_assert_int_eq(proc_link_text(self, "none", text, sizeof(text)), -ENOENT);
	ck_assert_int_eq(proc_link_target(self, "none", &dev, &ino), -ENOENT);
	ck_assert_uint_eq(ino, st.st_ino);
	ck_assert_int_eq(fstat(folder, &st), 0);
	ck_assert_int_eq(proc_link_target(folder, "", &dev, &ino), 0);
	ck_assert_uint_eq(ino, st.st_ino);
	ck_assert_int_eq(stat("/proc/self/ns/mnt", &st), 0);
	ck_assert_int_eq(proc_namespace(self, "mnt", &inode), 0);
	ck_assert_uint_eq(inode, st.st_ino);
	ck_assert_int_eq(proc_namespace(self, "none", &inode), -ENOENT);
}
END_TEST

static void wait_for_word(int fd, void *userdata)
{
	char word;

	(void)userdata;
	(void)!read(fd, &word, 1);
}

/* The folder belongs to one process for good. */
START_TEST(folder_of_a_dead_process)
{
	struct proc_credentials c;
	struct child child;
	const char *found = NULL;
	char path[32], text[256];
	uint64_t ticks, inode;
	int proc;

	child_start(&child, wait_for_word, NULL);
	snprintf(path, sizeof(path), "/proc/%d", (int)child.pid);
	proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(proc, 0);
	ck_assert_int_eq(proc_start_time(proc, &ticks), 0);
	child_kill(&child);
	ck_assert_int_lt(proc_start_time(proc, &ticks), 0);
	ck_assert_int_lt(credentials(proc, &c), 0);
	ck_assert_int_lt(proc_cgroup(proc, text, sizeof(text), &found), 0);
	ck_assert_int_lt(proc_namespace(proc, "mnt", &inode), 0);
	ck_assert_int_lt(proc_link_text(proc, "exe", text, sizeof(text)), 0);
	ck_assert_ptr_null(found);
	close(proc);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, tear_down };
	const struct test tests[] = {
		{ reads_small_files },
		{ start_times, .times = ARRAY_SIZE(stats) },
		{ start_time_of_a_hostile_name },
		{ credentials_of_self },
		{ credentials_of_text },
		{ groups_of_text },
		{ credentials_of_a_pidfd },
		{ cgroup_paths, .times = ARRAY_SIZE(cgroups) },
		{ cgroup_that_is_too_long },
		{ cgroup_units, .times = ARRAY_SIZE(units) },
		{ links },
		{ folder_of_a_dead_process },
		{ NULL },
	};

	return run_tests(argc, argv, "proc", &hooks, tests);
}

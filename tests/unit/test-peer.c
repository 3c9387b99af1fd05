/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of who a peer is and of PID 1's namespaces: real processes on real sockets, in namespaces
 * of their own, dead, changed.
 */
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "fixture.h"
#include "helper/init-ns.h"

static struct init_ns init_ns;

static void set_up(void)
{
	fixture_set_up();
	ck_assert_int_eq(init_ns_init(&init_ns), 0);
}

static void tear_down(void)
{
	init_ns_done(&init_ns);
	fixture_tear_down();
}

static void wait_for_word(int fd, void *userdata)
{
	char word;

	(void)userdata;
	(void)!read(fd, &word, 1);
}

static void say_and_wait(int fd, bool good)
{
	char word = good ? 'y' : 'n';

	(void)!write(fd, &word, 1);
	wait_for_word(fd, NULL);
}

static bool sees_init_ns(void)
{
	struct stat st;

	return stat("/proc/self/ns/mnt", &st) == 0 && st.st_ino == init_ns.mount_ns;
}

static int claim_of(pid_t pid, uid_t uid, bool strong, struct peer **ret_peer)
{
	struct peer_claim claim = { .pid = pid, .uid = uid, .gid = getegid(), .pidfd = -1 };

	claim.groups = calloc(2, sizeof(gid_t));
	claim.n_groups = 2;
	if (strong)
		claim.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return fixture_identify(&claim, ret_peer);
}

static int check(const struct peer *peer)
{
	const char *why = NULL;
	int r = peer_check(peer, &why);

	ck_assert_int_eq(why != NULL, r < 0);
	return r;
}

static int from_socket(int fd, struct peer **ret_peer)
{
	struct peer_claim claim;
	int r = peer_claim_socket(fd, &claim);

	return r < 0 ? r : fixture_identify(&claim, ret_peer);
}

/* --- the namespaces of PID 1 --- */

START_TEST(init_ns_is_that_of_pid_1)
{
	const char *process = access("/proc/1/ns/mnt", R_OK) ? "self" : "1";
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s/ns/user", process);
	if (stat(path, &st) == 0)
		ck_assert_uint_eq(init_ns.user_ns, st.st_ino);
	snprintf(path, sizeof(path), "/proc/%s/root", process);
	if (stat(path, &st) == 0)
		ck_assert_uint_eq(init_ns.root_ino, st.st_ino);
}
END_TEST

START_TEST(init_ns_files)
{
	char path[PATH_MAX], long_name[NAME_MAX + 8];
	uint64_t dev, ino;
	struct stat st;

	/* a root of its own, as a container's */
	close(init_ns.root);
	init_ns.root = open(fixture.folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/a", fixture.folder);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/a/b", fixture.folder);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(init_ns_find(&init_ns, "/a/b", false, &dev, &ino), 0);
	ck_assert_uint_eq(st.st_ino, ino);
	ck_assert_uint_eq(st.st_dev, dev);
	ck_assert_int_eq(stat(fixture.trail, &st), 0);
	ck_assert_int_eq(init_ns_find(&init_ns, "/audit.jsonl", false, &dev, &ino), 0);
	ck_assert_uint_eq(st.st_ino, ino);
	ck_assert_int_eq(init_ns_find(&init_ns, "/none", false, &dev, &ino), -ENOENT);
	ck_assert_int_eq(init_ns_find(&init_ns, "/audit.jsonl/x", false, &dev, &ino), -ENOTDIR);
	/* what the kernel never shows */
	ck_assert_int_eq(init_ns_find(&init_ns, "", false, &dev, &ino), -EINVAL);
	ck_assert_int_eq(init_ns_find(&init_ns, "/", false, &dev, &ino), -EINVAL);
	ck_assert_int_eq(init_ns_find(&init_ns, "a/b", false, &dev, &ino), -EINVAL);
	ck_assert_int_eq(init_ns_find(&init_ns, "/a//b", false, &dev, &ino), -EINVAL);
	ck_assert_int_eq(init_ns_find(&init_ns, "/a/b/", false, &dev, &ino), -EINVAL);
	ck_assert_int_eq(init_ns_find(&init_ns, "/a/./b", false, &dev, &ino), -EINVAL);
	ck_assert_int_eq(init_ns_find(&init_ns, "/../audit.jsonl", false, &dev, &ino), -EINVAL);
	ck_assert_int_eq(init_ns_find(&init_ns, "/a/..", false, &dev, &ino), -EINVAL);
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[0] = '/';
	long_name[sizeof(long_name) - 1] = 0;
	ck_assert_int_eq(init_ns_find(&init_ns, long_name, false, &dev, &ino), -EINVAL);
	/* links lead nowhere, within the root or out of it */
	snprintf(path, sizeof(path), "%s/link", fixture.folder);
	ck_assert_int_eq(symlink("a", path), 0);
	ck_assert_int_eq(init_ns_find(&init_ns, "/link/b", false, &dev, &ino), -ENOTDIR);
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert_int_eq(init_ns_find(&init_ns, "/link", false, &dev, &ino), 0);
	ck_assert_uint_eq(st.st_ino, ino);
}
END_TEST

/* What may not answer is not asked, if that is not wanted: here it is what is on no device. */
START_TEST(init_ns_files_with_care)
{
	uint64_t dev, ino;

	ck_assert_int_eq(init_ns_find(&init_ns, "/proc/self", true, &dev, &ino), -EBUSY);
	ck_assert_int_eq(init_ns_find(&init_ns, "/proc", true, &dev, &ino), 0);
	ck_assert_int_eq(init_ns_find(&init_ns, "/proc/self", false, &dev, &ino), 0);
}
END_TEST

/* --- from a socket --- */

struct connecting {
	struct sockaddr_un address;
	gid_t groups[100];
	int n_groups; /* -1: as they are */
};

static void connect_and_wait(int fd, void *userdata)
{
	const struct connecting *to = userdata;
	int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (to->n_groups >= 0 && setgroups((size_t)to->n_groups, to->groups) < 0)
		_exit(1);
	if (connect(s, (const struct sockaddr *)&to->address, sizeof(to->address)) < 0)
		_exit(1);
	wait_for_word(fd, NULL);
}

static int accept_child(struct child *child, struct connecting *to)
{
	int listening = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), fd;

	to->address.sun_family = AF_UNIX;
	snprintf(to->address.sun_path, sizeof(to->address.sun_path), "%s/socket", fixture.folder);
	ck_assert_int_eq(bind(listening, (struct sockaddr *)&to->address, sizeof(to->address)), 0);
	ck_assert_int_eq(listen(listening, 1), 0);
	child_start(child, connect_and_wait, to);
	fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	close(listening);
	return fd;
}

START_TEST(peer_of_a_socket)
{
	struct connecting to = { .n_groups = -1 };
	gid_t groups[NGROUPS_MAX];
	char exe[PATH_MAX];
	struct child child;
	struct peer *peer;
	int fd = accept_child(&child, &to), n, pidfd;
	socklen_t size = sizeof(pidfd);
	bool strong = getsockopt(fd, SOL_SOCKET, 77 /* SO_PEERPIDFD */, &pidfd, &size) == 0;

	if (strong)
		close(pidfd);
	ck_assert_int_eq(from_socket(fd, &peer), 0);
	close(fd);
	ck_assert_int_eq(peer->identity.pid, child.pid);
	ck_assert_uint_eq(peer->identity.uid, geteuid());
	ck_assert_uint_eq(peer->identity.gid, getegid());
	ck_assert_uint_gt(peer->identity.start_time, 0);
	ck_assert_int_eq(peer->identity.strong, strong);
	n = getgroups(NGROUPS_MAX, groups);
	ck_assert_uint_eq(peer->identity.n_groups, (size_t)n);
	if (n > 0)
		ck_assert_mem_eq(peer->identity.groups, groups, sizeof(gid_t) * (size_t)n);
	if (sees_init_ns()) {
		ck_assert_ptr_nonnull(realpath("/proc/self/exe", exe));
		ck_assert_pstr_eq(peer->identity.exe, exe);
	}
	ck_assert_int_eq(fcntl(peer->process->pidfd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(check(peer), 0);
	ck_assert_int_eq(fixture_recheck(peer), 0);
	ck_assert(peer_alive(peer));
	child_kill(&child);
	ck_assert(!peer_alive(peer));
	ck_assert_int_eq(check(peer), -ESRCH);
	ck_assert_int_eq(fixture_recheck(peer), -ESRCH);
	peer_unref(peer);
}
END_TEST

/* More groups than the first guess has room for. */
START_TEST(peer_with_many_groups)
{
	struct connecting to = { .n_groups = 100 };
	struct child child;
	struct peer *peer;
	int fd;

	if (geteuid() != 0)
		fixture_skip("setting groups needs root");
	for (unsigned int i = 0; i < 100; i++)
		to.groups[i] = 5000 + i;
	fd = accept_child(&child, &to);
	ck_assert_int_eq(from_socket(fd, &peer), 0);
	close(fd);
	ck_assert_uint_eq(peer->identity.n_groups, 100);
	ck_assert_mem_eq(peer->identity.groups, to.groups, sizeof(to.groups));
	peer_unref(peer);
	child_kill(&child);
}
END_TEST

/* It connected and died before we looked. */
START_TEST(peer_of_a_socket_is_dead)
{
	struct connecting to = { .n_groups = -1 };
	struct child child;
	struct peer *peer = NULL;
	int fd = accept_child(&child, &to);

	child_kill(&child);
	ck_assert_int_eq(from_socket(fd, &peer), -ESRCH);
	ck_assert_ptr_null(peer);
	close(fd);
	ck_assert_int_lt(from_socket(init_ns.root, &peer), 0);
}
END_TEST

/* --- claims --- */

START_TEST(strong_and_weak)
{
	struct peer *peer;

	ck_assert_int_eq(claim_of(getpid(), geteuid(), true, &peer), 0);
	ck_assert(peer->identity.strong);
	ck_assert_uint_eq(peer->identity.n_groups, 2);
	ck_assert_uint_eq(peer->user->uid, geteuid());
	peer_unref(peer);
	ck_assert_int_eq(claim_of(getpid(), geteuid(), false, &peer), 0);
	ck_assert(!peer->identity.strong);
	ck_assert(peer_alive(peer));
	ck_assert_int_eq(check(peer), 0);
	ck_assert_int_eq(fixture_recheck(peer), 0);
	peer_unref(peer);
}
END_TEST

/* What was noted at connect decides; it must be what is now. */
START_TEST(contradictions)
{
	static const char *const words[] = { NULL, "another user", "another group", "other groups",
		"other groups", "other groups", NULL, NULL };
	struct peer_claim claim = { .pid = getpid(),
		.uid = geteuid(),
		.gid = getegid(),
		.groups_known = true,
		.pidfd = -1 };
	struct peer *peer = NULL;
	int n = getgroups(0, NULL), r;

	claim.groups = calloc((size_t)n + 3, sizeof(gid_t));
	ck_assert_int_eq(getgroups(n, claim.groups), n);
	claim.n_groups = (size_t)n;
	if (_i == 1)
		claim.uid++;
	else if (_i == 2)
		claim.gid++;
	else if (_i == 3)
		claim.groups[claim.n_groups++] = 47114711;
	else if (_i == 4)
		claim.gid = (gid_t)-1, claim.n_groups = 0;
	else if (_i == 5)
		claim.groups[claim.n_groups++] = 47114711, claim.gid = (gid_t)-1;
	/* as the bus has it: the primary one is among the others; twice does not matter, nor where
	 */
	if (_i == 6 || _i == 5) {
		memmove(claim.groups + 1, claim.groups, claim.n_groups * sizeof(gid_t));
		claim.groups[0] = getegid();
		claim.n_groups++;
		claim.gid = (gid_t)-1;
	}
	if (_i == 7)
		claim.groups_known = false, claim.n_groups = 0;
	r = fixture_identify(&claim, &peer);
	ck_assert_int_eq(r, words[_i] ? -ESTALE : 0);
	if (words[_i])
		ck_assert_msg(strstr(fixture.why, words[_i]), "%s", fixture.why);
	peer_unref(peer);
}
END_TEST

START_TEST(labels)
{
	struct peer_claim claim = {
		.pid = getpid(), .uid = geteuid(), .gid = getegid(), .pidfd = -1
	};
	char label[4096] = "no such label";
	int fd = open("/proc/self/attr/current", O_RDONLY | O_CLOEXEC);
	struct peer *peer = NULL;
	ssize_t n = fd < 0 ? -1 : read(fd, label, sizeof(label) - 1);
	int r;

	close_fd(&fd);
	if (n > 0)
		label[n] = 0;
	else
		copy_string(label, sizeof(label), "no such label");
	claim.lsm = strdup(label);
	ck_assert_int_eq(fixture_identify(&claim, &peer), 0);
	label[strcspn(label, "\n")] = 0;
	ck_assert_str_eq(peer->identity.lsm, label);
	peer = peer_unref(peer);
	claim = (struct peer_claim){
		.pid = getpid(), .uid = geteuid(), .gid = getegid(), .pidfd = -1
	};
	claim.lsm = strdup("another");
	r = fixture_identify(&claim, &peer);
	/* where there are no labels in /proc there is nothing to hold it against */
	ck_assert_int_eq(r, n > 0 ? -ESTALE : 0);
	peer_unref(peer);
}
END_TEST

/* Whatever is refused, what the claim brought is freed (which the fixture and the sanitizers see).
 */
START_TEST(claims_that_are_refused)
{
	struct peer_claim claim = { .pid = 0, .uid = geteuid(), .pidfd = dup(init_ns.root) };
	struct peer *peer = NULL;

	claim.groups = calloc(1, sizeof(gid_t));
	claim.lsm = strdup("label");
	ck_assert_int_eq(fixture_identify(&claim, &peer), -ESRCH);
	ck_assert_int_eq(claim.pidfd, -1);
	ck_assert_ptr_null(claim.groups);
	ck_assert_ptr_null(claim.lsm);
	/* it is not who it said */
	ck_assert_int_eq(claim_of(getpid(), geteuid() + 1, true, &peer), -ESTALE);
	ck_assert_int_eq(claim_of(getpid(), geteuid() + 1, false, &peer), -ESTALE);
	/* no such process */
	ck_assert_int_eq(claim_of(INT_MAX, geteuid(), false, &peer), -ESRCH);
	ck_assert_ptr_null(peer);
}
END_TEST

START_TEST(claims_of_the_dead)
{
	struct peer_claim claim = { .uid = geteuid(), .gid = getegid() };
	struct peer *peer = NULL;
	struct child child;
	siginfo_t info;

	child_start(&child, wait_for_word, NULL);
	claim.pid = child.pid;
	claim.pidfd = (int)syscall(SYS_pidfd_open, child.pid, 0);
	kill(child.pid, SIGKILL);
	ck_assert_int_eq(waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT), 0);
	/* not waited for: it still has a folder */
	ck_assert_int_eq(claim_of(child.pid, geteuid(), true, &peer), -ESRCH);
	ck_assert_int_eq(claim_of(child.pid, geteuid(), false, &peer), -ESRCH);
	child_kill(&child);
	ck_assert_int_eq(fixture_identify(&claim, &peer), -ESRCH);
	ck_assert_ptr_null(peer);
}
END_TEST

/* --- changes --- */

static void exec_program(int fd, void *userdata)
{
	wait_for_word(fd, NULL);
	dup2(fd, STDIN_FILENO);
	execl(userdata, "cat", NULL);
	_exit(1);
}

/* Starts a child and has it exec() a program; returns once it did. before is the peer of before. */
static void child_exec(struct child *child, const char *program, struct peer **ret_before)
{
	int fds[2];
	char byte;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	child_start(child, exec_program, (void *)program);
	close(fds[1]);
	*ret_before = child_peer(child);
	child_say(child, 'x');
	ck_assert_int_eq(read(fds[0], &byte, 1), 0);
	close(fds[0]);
}

START_TEST(another_program)
{
	struct peer *before, *after;
	struct child child;

	child_exec(&child, "/bin/cat", &before);
	ck_assert_int_eq(fixture_recheck(before), -ESTALE);
	after = child_peer(&child);
	ck_assert_int_eq(fixture_recheck(after), 0);
	if (sees_init_ns())
		ck_assert_str_ne(before->identity.exe, after->identity.exe);
	/* the same process all the same */
	ck_assert_uint_eq(before->identity.start_time, after->identity.start_time);
	child_kill(&child);
	ck_assert_int_eq(fixture_recheck(before), -ESRCH);
	peer_unref(before);
	peer_unref(after);
}
END_TEST

static void change_saved_uid(int fd, void *userdata)
{
	(void)userdata;
	wait_for_word(fd, NULL);
	say_and_wait(fd, setresuid((uid_t)-1, (uid_t)-1, 65534) == 0);
}

static void change_fs_gid(int fd, void *userdata)
{
	(void)userdata;
	wait_for_word(fd, NULL);
	syscall(SYS_setfsgid, 65534);
	say_and_wait(fd, true);
}

START_TEST(other_credentials)
{
	struct child child;
	struct peer *peer;

	if (geteuid() != 0)
		fixture_skip("changing credentials needs root");
	child_start(&child, _i ? change_saved_uid : change_fs_gid, NULL);
	peer = child_peer(&child);
	ck_assert_int_eq(fixture_recheck(peer), 0);
	child_say(&child, 'x');
	ck_assert_int_eq(child_hear(&child), 'y');
	ck_assert_int_eq(fixture_recheck(peer), -ESTALE);
	peer_unref(peer);
	child_kill(&child);
}
END_TEST

static void copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	char buffer[65536];
	ssize_t n;

	ck_assert_int_ge(in, 0);
	ck_assert_int_ge(out, 0);
	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		ck_assert_int_eq(write(out, buffer, (size_t)n), n);
	ck_assert_int_eq(n, 0);
	close(in);
	close(out);
}

/* A path counts only while PID 1's file of that path is the one that runs. */
START_TEST(exe_that_is_replaced)
{
	char program[96], other[96];
	struct peer *before, *peer;
	struct child child;

	if (!sees_init_ns())
		fixture_skip("not in the mount namespace of process 1");
	snprintf(program, sizeof(program), "%s/program", fixture.folder);
	snprintf(other, sizeof(other), "%s/other", fixture.folder);
	copy_file("/bin/cat", program);
	copy_file("/bin/cat", other);
	child_exec(&child, program, &before);
	peer_unref(before);
	peer = child_peer(&child);
	ck_assert_pstr_eq(peer->identity.exe, program);
	peer_unref(peer);
	ck_assert_int_eq(rename(other, program), 0);
	peer = child_peer(&child);
	ck_assert_ptr_null(peer->identity.exe);
	/* what runs has not changed, though */
	ck_assert_int_eq(fixture_recheck(peer), 0);
	peer_unref(peer);
	ck_assert_int_eq(unlink(program), 0);
	peer = child_peer(&child);
	ck_assert_ptr_null(peer->identity.exe);
	peer_unref(peer);
	/* nor can a file be called what the kernel shows for one that is deleted */
	snprintf(other, sizeof(other), "%s/program (deleted)", fixture.folder);
	copy_file("/bin/cat", other);
	peer = child_peer(&child);
	ck_assert_ptr_null(peer->identity.exe);
	peer_unref(peer);
	child_kill(&child);
}
END_TEST

/* --- namespaces --- */

static void unshare_and_wait(int fd, void *userdata)
{
	say_and_wait(fd, unshare(*(const int *)userdata) == 0);
}

static void chroot_and_wait(int fd, void *userdata)
{
	say_and_wait(fd, chroot(userdata) == 0);
}

/* A process of a PID namespace of its own, and its number in ours. */
static void fork_into_pid_namespace(int fd, void *userdata)
{
	pid_t pid = -1;

	(void)userdata;
	if (unshare(CLONE_NEWPID) == 0)
		pid = fork();
	if (pid == 0) {
		wait_for_word(fd, NULL);
		_exit(0);
	}
	(void)!write(fd, &pid, sizeof(pid));
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

START_TEST(own_mount_namespace)
{
	int flags = CLONE_NEWNS;
	struct child child;
	struct peer *peer;

	child_start(&child, unshare_and_wait, &flags);
	if (child_hear(&child) == 'y') {
		peer = child_peer(&child);
		ck_assert_ptr_null(peer->identity.exe);
		ck_assert_int_eq(fixture_recheck(peer), 0);
		peer_unref(peer);
		child_kill(&child);
		return;
	}
	child_kill(&child);
	flags = CLONE_NEWNS | CLONE_NEWUSER;
	child_start(&child, unshare_and_wait, &flags);
	if (child_hear(&child) != 'y') {
		child_kill(&child);
		fixture_skip("no mount namespaces here");
	}
	peer = child_peer(&child);
	ck_assert_ptr_null(peer->identity.exe);
	ck_assert(peer->identity.container);
	peer_unref(peer);
	child_kill(&child);
}
END_TEST

START_TEST(own_user_namespace)
{
	int flags = CLONE_NEWUSER;
	struct child child;
	struct peer *peer;

	child_start(&child, unshare_and_wait, &flags);
	if (child_hear(&child) != 'y') {
		child_kill(&child);
		fixture_skip("no user namespaces here");
	}
	peer = child_peer(&child);
	ck_assert(peer->identity.container);
	/* who it is does not depend on what it calls itself there */
	ck_assert_uint_eq(peer->identity.uid, geteuid());
	peer_unref(peer);
	child_kill(&child);
}
END_TEST

START_TEST(own_pid_namespace)
{
	struct child child;
	struct peer *peer;
	pid_t pid = -1;

	child_start(&child, fork_into_pid_namespace, NULL);
	ck_assert_int_eq(recv(child.fd, &pid, sizeof(pid), 0), sizeof(pid));
	if (pid < 0) {
		child_wait(&child);
		fixture_skip("no PID namespaces here");
	}
	ck_assert_int_eq(claim_of(pid, geteuid(), true, &peer), 0);
	ck_assert(peer->identity.container);
	ck_assert_int_eq(peer->identity.pid, pid);
	peer_unref(peer);
	child_say(&child, 'x');
	child_wait(&child);
}
END_TEST

START_TEST(own_root)
{
	struct child child;
	struct peer *peer;

	child_start(&child, chroot_and_wait, fixture.folder);
	if (child_hear(&child) != 'y') {
		child_kill(&child);
		fixture_skip("chroot() needs root");
	}
	peer = child_peer(&child);
	ck_assert(peer->identity.container);
	peer_unref(peer);
	child_kill(&child);
}
END_TEST

START_TEST(no_container)
{
	struct peer *peer = fixture_self();
	struct stat user, pid, root;

	ck_assert_int_eq(stat("/proc/self/ns/user", &user), 0);
	ck_assert_int_eq(stat("/proc/self/ns/pid", &pid), 0);
	ck_assert_int_eq(stat("/", &root), 0);
	ck_assert_int_eq(peer->identity.container,
		user.st_ino != init_ns.user_ns || pid.st_ino != init_ns.pid_ns ||
			root.st_ino != init_ns.root_ino || root.st_dev != init_ns.root_dev);
	peer_unref(peer);
}
END_TEST

/* --- the rest --- */

START_TEST(groups)
{
	gid_t list[] = { 7, 9 };
	struct peer peer = { .refs = 1, .identity = { .uid = 1, .gid = 5 } };

	ck_assert(peer_in_group(&peer, 5));
	ck_assert(!peer_in_group(&peer, 7));
	peer.identity.groups = list;
	peer.identity.n_groups = 2;
	ck_assert(peer_in_group(&peer, 7));
	ck_assert(peer_in_group(&peer, 9));
	ck_assert(!peer_in_group(&peer, 8));
	peer.identity.uid = 0;
	ck_assert(peer_in_group(&peer, 8));
}
END_TEST

START_TEST(references)
{
	struct peer *peer = fixture_self();
	int fd = peer->process->pidfd;

	ck_assert_ptr_eq(peer_ref(peer), peer);
	ck_assert_ptr_null(peer_unref(peer));
	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	ck_assert_ptr_null(peer_unref(peer));
	ck_assert_int_lt(fcntl(fd, F_GETFD), 0);
	ck_assert_ptr_null(peer_unref(NULL));
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, tear_down };
	const struct test tests[] = {
		{ init_ns_is_that_of_pid_1 },
		{ init_ns_files },
		{ init_ns_files_with_care },
		{ peer_of_a_socket },
		{ peer_with_many_groups },
		{ peer_of_a_socket_is_dead },
		{ strong_and_weak },
		{ contradictions, .times = 8 },
		{ labels },
		{ claims_that_are_refused },
		{ claims_of_the_dead },
		{ another_program },
		{ other_credentials, .times = 2 },
		{ exe_that_is_replaced },
		{ own_mount_namespace },
		{ own_user_namespace },
		{ own_pid_namespace },
		{ own_root },
		{ no_container },
		{ groups },
		{ references },
		{ NULL },
	};

	return run_tests(argc, argv, "peer", &hooks, tests);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inspects a process. It must never ask a file system for anything before all else is known, and
 * never act for a peer: it is only given a number.
 */
#include "helper/inspect-child.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "helper/init-ns.h"
#include "helper/inspect-filter.h"
#include "helper/inspect-wire.h"
#include "helper/proc.h"
#include "util.h"

/* Bytes: a number and a blank for each group, and the rest. */
#define STATUS_MAX (INSPECT_GROUPS_MAX * 11u + 8192u)
#define DEPTH_MAX  64 /* of user namespaces; the kernel has 32 */

/* Static, as the filter has no call to allocate memory. */
static union {
	struct inspect_answer answer;
	char space[INSPECT_ANSWER_MAX];
} out;
static char status[STATUS_MAX], text[INSPECT_TEXT_MAX + 256];
static gid_t groups[INSPECT_GROUPS_MAX + 1];

static int socket_fd, proc_fd;
static struct init_ns init_ns;

static size_t text_size(void)
{
	size_t size = 0;

	for (int i = 0; i < INSPECT_TEXTS; i++)
		size += out.answer.sizes[i];
	return size;
}

/* Texts are put in the order of the enum. */
static void put_text(enum inspect_text which, enum inspect_known known, const char *value)
{
	size_t size = strlen(value) + 1;

	memcpy(out.answer.texts + text_size(), value, size);
	out.answer.sizes[which] = (uint16_t)size;
	out.answer.known |= known;
}

static void say(enum inspect_kind kind)
{
	size_t size = sizeof(out.answer) + (kind == INSPECT_ANSWER ? text_size() : 0);

	out.answer.kind = kind;
	/* The filter does not allow sendmsg(), which could pass on an fd. */
	while (sendto(socket_fd, &out, size, MSG_NOSIGNAL, NULL, 0) < 0)
		if (errno != EINTR)
			_exit(EXIT_FAILURE);
}

static bool unseen(int r)
{
	return r == -EACCES || r == -EPERM || r == -ENOENT;
}

static int see_credentials(int proc)
{
	struct proc_credentials now;
	size_t n = 0;
	int r = proc_credentials(
		proc, status, sizeof(status), &now, groups, INSPECT_GROUPS_MAX, &n);

	if (r < 0)
		return r == -EMSGSIZE ? -E2BIG : r;
	memcpy(out.answer.uids, now.uids, sizeof(now.uids));
	memcpy(out.answer.gids, now.gids, sizeof(now.gids));
	out.answer.may_set_groups = now.permitted >> CAP_SETGID & 1;
	groups[n++] = now.gids[1];
	inspect_hash_groups(groups, n, out.answer.groups);
	return 0;
}

static int see_cgroup(int proc)
{
	const char *path;
	int r = proc_cgroup(proc, text, sizeof(text), &path);

	if (r == -ENODATA)
		return 0;
	if (r < 0)
		return r;
	if (strlen(path) >= INSPECT_TEXT_MAX)
		return -EMSGSIZE;
	put_text(INSPECT_TEXT_CGROUP, INSPECT_CGROUP, path);
	return 0;
}

static void see_lsm(int proc)
{
	ssize_t n = proc_read(proc, "attr/current", text, INSPECT_TEXT_MAX);

	if (n < 0)
		return;
	text[strcspn(text, "\n")] = 0;
	put_text(INSPECT_TEXT_LSM, INSPECT_LSM, text);
}

static void see_namespace(int proc, const char *name, enum inspect_known known, uint64_t *ret_inode)
{
	if (proc_namespace(proc, name, ret_inode) >= 0)
		out.answer.known |= known;
}

/* Who made the user namespace of the process: of those on its way up, the one just below PID 1's.
 */
static void see_person(int proc)
{
	struct inspect_person *person = &out.answer.person;
	cleanup(cleanup_fd) int ns = -1;
	uint64_t dev, inode;
	uid_t owner;

	*person = (struct inspect_person){ .uid = out.answer.uids[1] };
	if (!(out.answer.known & INSPECT_USER_NS) || out.answer.user_ns == init_ns.user_ns)
		return;
	ns = openat(proc, "ns/user", O_RDONLY | O_CLOEXEC);
	for (int i = 0; ns >= 0 && i < DEPTH_MAX; i++) {
		cleanup(cleanup_fd) int parent = ioctl(ns, NS_GET_PARENT);

		if (parent < 0 || proc_link_target(ns, "", &dev, &inode) < 0 ||
			ioctl(ns, NS_GET_OWNER_UID, &owner) < 0)
			return;
		*person = (struct inspect_person){ .uid = owner, .ns = owner ? 0 : inode };
		if (proc_link_target(parent, "", &dev, &inode) < 0 || inode == init_ns.user_ns)
			return;
		close_fd(&ns);
		ns = steal_fd(&parent);
	}
}

static bool hangs(const struct inspect_question *question)
{
	const struct inspect_person *person = &out.answer.person;

	if (question->careful)
		return true;
	for (uint32_t i = 0; i < question->n_hanging; i++)
		if (question->hanging[i].uid == person->uid &&
			question->hanging[i].ns == person->ns)
			return true;
	return false;
}

/* The path of the executable, if it can be relied on: the process is in PID 1's mount namespace,
 * and the file at that path there is the one that runs. */
static int see_path(int proc, bool careful)
{
	const struct inspect_answer *answer = &out.answer;
	uint64_t dev, ino;
	int r;

	if (!(answer->known & INSPECT_EXE) || !(answer->known & INSPECT_MOUNT_NS) ||
		answer->mount_ns != init_ns.mount_ns)
		return 0;
	r = proc_link_text(proc, "exe", text, INSPECT_TEXT_MAX);
	if (r < 0)
		return unseen(r) || r == -ENAMETOOLONG ? 0 : r;
	/* Carefully at first, whoever it is: another file system may lie on the way to the program
	 * than that of the program, mounted later. */
	r = init_ns_find(&init_ns, text, true, &dev, &ino);
	if (r == -EBUSY && careful)
		return r;
	if (r == -EBUSY) {
		say(INSPECT_NOTICE);
		r = init_ns_find(&init_ns, text, false, &dev, &ino);
	}
	if (r >= 0 && dev == answer->exe_dev && ino == answer->exe_ino)
		put_text(INSPECT_TEXT_EXE, INSPECT_PATH, text);
	return 0;
}

static int see_files(int proc, const struct inspect_question *question)
{
	struct inspect_answer *answer = &out.answer;
	int r = proc_link_target(proc, "exe", &answer->exe_dev, &answer->exe_ino);

	if (r >= 0)
		answer->known |= INSPECT_EXE;
	else if (!unseen(r))
		return r;
	if (proc_link_target(proc, "root", &answer->root_dev, &answer->root_ino) >= 0)
		answer->known |= INSPECT_ROOT;
	/* A rule for processes outside containers must not match one that cannot be inspected. */
	answer->container =
		!(answer->known & INSPECT_USER_NS) || answer->user_ns != init_ns.user_ns ||
		!(answer->known & INSPECT_PID_NS) || answer->pid_ns != init_ns.pid_ns ||
		!(answer->known & INSPECT_ROOT) || answer->root_dev != init_ns.root_dev ||
		answer->root_ino != init_ns.root_ino;
	return question->wanted & INSPECT_WANT_PATH ? see_path(proc, hangs(question)) : 0;
}

static int inspection(const struct inspect_question *question)
{
	struct inspect_answer *answer = &out.answer;
	cleanup(cleanup_fd) int proc = -1;
	char name[16];
	int r;

	snprintf(name, sizeof(name), "%d", (int)question->pid);
	proc = openat(proc_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	r = question->wanted & INSPECT_WANT_CREDENTIALS ? see_credentials(proc) : 0;
	if (r >= 0 && question->wanted & INSPECT_WANT_START)
		r = proc_start_time(proc, &answer->start_time);
	if (r >= 0 && question->wanted & INSPECT_WANT_CGROUP)
		r = see_cgroup(proc);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	if (question->wanted & INSPECT_WANT_LSM)
		see_lsm(proc);
	see_namespace(proc, "mnt", INSPECT_MOUNT_NS, &answer->mount_ns);
	see_namespace(proc, "user", INSPECT_USER_NS, &answer->user_ns);
	if (question->wanted & INSPECT_WANT_START) {
		see_namespace(proc, "pid", INSPECT_PID_NS, &answer->pid_ns);
		see_person(proc);
	}
	r = see_files(proc, question);
	return r == -ENOENT ? -ESRCH : r;
}

void inspect_child(int fd, const struct helper_settings *settings)
{
	static struct inspect_question question;

	socket_fd = fd;
	proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc_fd < 0 || init_ns_init(&init_ns) < 0)
		_exit(EXIT_FAILURE);
	if (!settings->no_filter && inspect_filter_enter() < 0)
		_exit(EXIT_FAILURE);
	for (;;) {
		ssize_t n = recv(fd, &question, sizeof(question), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		memset(&out, 0, sizeof(out.answer));
		out.answer.number = question.number;
		if (question.n_hanging > INSPECT_HANGING_MAX)
			question.n_hanging = INSPECT_HANGING_MAX;
		out.answer.error = inspection(&question);
		say(INSPECT_ANSWER);
	}
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of the daemon's parts share. It must never stand in for a part: the trail, the
 * policy and the peers are the real ones.
 */
#include "fixture.h"

#include <dirent.h>
#include <ftw.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "peer/inspect-internal.h"

#define PAD_TO	 (64u << 10) /* allocations up to here are possible while the trail fails */
#define PAD_TEXT 4000

struct fixture fixture;

static int remove_entry(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(name);
}

static size_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* The trail's thread opens a file for a moment now and then: the least of several counts. */
size_t fixture_fds(void)
{
	size_t least = count_fds();

	for (int i = 0; i < 10; i++) {
		size_t n;

		usleep(2000);
		n = count_fds();
		least = n < least ? n : least;
	}
	return least;
}

static void on_helper_lost(void *userdata)
{
	(void)userdata;
	ck_abort_msg("the helper is gone");
}

void fixture_set_up(void)
{
	static const char *const no_dirs[] = { NULL };
	static struct helper_settings helper_settings = {
		.policy_dirs = no_dirs, .admin_group = "root", .no_filter = UNDER_SANITIZER
	};
	struct audit_settings settings = { .path = fixture.trail };

	fixture.fds = fixture_fds();
	signal(SIGXFSZ, SIG_IGN);
	copy_string(fixture.folder, sizeof(fixture.folder), "/tmp/ccbuf-unit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fixture.folder));
	snprintf(fixture.trail, sizeof(fixture.trail), "%s/audit.jsonl", fixture.folder);
	/* before there are threads */
	ck_assert_int_eq(helper_new(&helper_settings, &fixture.helper), 0);
	ck_assert_int_ge(sd_event_new(&fixture.loop), 0);
	ck_assert_int_eq(helper_attach(fixture.helper, fixture.loop, on_helper_lost, NULL), 0);
	ck_assert_int_eq(audit_new(fixture.loop, &settings, &fixture.audit), 0);
	audit_set_durability(fixture.audit, POLICY_WRITTEN);
	fixture.users = users_new();
	ck_assert_ptr_nonnull(fixture.users);
	ck_assert_int_eq(
		inspections_new(fixture.helper, fixture.loop, fixture.users, &fixture.inspections),
		0);
	fixture_run_until(inspections_ready(fixture.inspections));
}

void fixture_end_audit(void)
{
	fixture.audit = audit_free(fixture.audit);
}

void fixture_tear_down(void)
{
	fixture_end_audit();
	fixture.inspections = inspections_free(fixture.inspections);
	fixture.helper = helper_free(fixture.helper);
	fixture.users = users_free(fixture.users);
	fixture.loop = sd_event_unref(fixture.loop);
	nftw(fixture.folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	ck_assert_uint_eq(fixture_fds(), fixture.fds);
}

static bool looking(void)
{
	for (const struct inspector *inspector = fixture.inspections->inspectors; inspector;
		inspector = inspector->next)
		if (inspector->inspection)
			return true;
	return fixture.inspections->turns != NULL;
}

void fixture_settle(void)
{
	int r;

	do
		r = sd_event_run(fixture.loop, looking() ? 10000000 : 0);
	while (r > 0);
	ck_assert_int_eq(r, 0);
}

static void on_waited(void *userdata, int result)
{
	(void)result;
	*(bool *)userdata = true;
}

static void append_error(const char *reason)
{
	struct audit_event event = { .kind = AUDIT_ERROR, .reason = reason };
	bool done = false;

	ck_assert_int_eq(audit_append(fixture.audit, &event, on_waited, &done), 0);
	fixture_run_until(done);
}

void fixture_audit_wait(void)
{
	append_error("marker");
}

static char *read_trail(size_t *ret_size)
{
	FILE *file = fopen(fixture.trail, "re");
	char *text = NULL;
	size_t capacity = 0;
	ssize_t n;

	ck_assert_ptr_nonnull(file);
	n = getdelim(&text, &capacity, -1, file);
	if (n < 0) {
		free(text);
		text = strdup("");
		n = 0;
	}
	fclose(file);
	*ret_size = (size_t)n;
	return text;
}

static size_t find(const char *part, char **ret_last)
{
	size_t size, n = 0;
	char *text = read_trail(&size), *save, *line;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (part && !strstr(line, part))
			continue;
		n++;
		if (ret_last) {
			free(*ret_last);
			*ret_last = strdup(line);
		}
	}
	free(text);
	return n;
}

size_t fixture_trail_count(const char *part)
{
	return find(part, NULL);
}

char *fixture_trail_last(const char *part)
{
	char *last = NULL;

	find(part, &last);
	return last;
}

static void limit_files(rlim_t size)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = size < limit.rlim_max ? size : limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

void fixture_audit_fail(void)
{
	char text[PAD_TEXT + 1];
	struct stat st;

	/* The limit is for every file, memfds too: it must leave room for small buffers. */
	memset(text, 'x', PAD_TEXT);
	text[PAD_TEXT] = 0;
	for (;;) {
		ck_assert_int_eq(stat(fixture.trail, &st), 0);
		if (st.st_size >= PAD_TO)
			break;
		append_error(text);
	}
	fixture_audit_wait();
	ck_assert_int_eq(stat(fixture.trail, &st), 0);
	limit_files((rlim_t)st.st_size + 1);
}

void fixture_audit_heal(void)
{
	limit_files(RLIM_INFINITY);
}

static int find_user(void *userdata, const char *name, uid_t *ret_uid)
{
	(void)userdata;
	*ret_uid = streq(name, "root") ? 0 : 4000;
	return 0;
}

static int find_group(void *userdata, const char *name, gid_t *ret_gid)
{
	(void)userdata, (void)name;
	*ret_gid = 4000;
	return 0;
}

struct policy *fixture_policy(const char *text)
{
	struct policy_source source = { "test.json", text, strlen(text) };
	struct policy_env env = { .user = find_user, .group = find_group, .ram = 1u << 30 };
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;
	int r = policy_new(&source, 1, &env, &errors, &policy);

	ck_assert_msg(r == 0, "%s", errors.count ? errors.lines[0] : strerror(-r));
	policy_errors_done(&errors);
	return policy;
}

struct outcome_of_look {
	bool done;
	int result;
	struct peer *peer;
};

static void on_look(void *userdata, int result, const char *why, struct peer *peer)
{
	struct outcome_of_look *outcome = userdata;

	*outcome = (struct outcome_of_look){ true, result, peer };
	copy_string(fixture.why, sizeof(fixture.why), why ? why : "");
}

int fixture_identify(struct peer_claim *claim, struct peer **ret_peer)
{
	struct outcome_of_look outcome = { 0 };
	struct user *user;
	struct peer_op *op;
	int r;

	ck_assert_int_eq(users_get(fixture.users, claim->uid, 0, &user), 0);
	r = peer_identify(fixture.inspections, fixture.users, user, claim, on_look, &outcome, &op);
	user_unref(user);
	if (r < 0)
		return r;
	fixture_run_until(outcome.done);
	if (outcome.result >= 0)
		*ret_peer = outcome.peer;
	return outcome.result;
}

int fixture_recheck(struct peer *peer)
{
	struct outcome_of_look outcome = { 0 };
	struct peer_op *op;

	ck_assert_int_eq(peer_recheck(fixture.inspections, peer, on_look, &outcome, &op), 0);
	fixture_run_until(outcome.done);
	return outcome.result;
}

static struct peer *peer_of(pid_t pid)
{
	struct peer_claim claim = { .pid = pid, .uid = geteuid(), .gid = getegid() };
	struct peer *peer = NULL;
	int r;

	claim.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	ck_assert_int_ge(claim.pidfd, 0);
	r = fixture_identify(&claim, &peer);
	ck_assert_msg(r == 0, "%s", fixture.why);
	return peer;
}

struct peer *fixture_self(void)
{
	return peer_of(getpid());
}

void child_start(struct child *child, void (*run)(int fd, void *userdata), void *userdata)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	child->pid = fork();
	ck_assert_int_ge(child->pid, 0);
	if (child->pid == 0) {
		close(fds[0]);
		run(fds[1], userdata);
		_exit(0);
	}
	close(fds[1]);
	child->fd = fds[0];
}

struct peer *child_peer(const struct child *child)
{
	return peer_of(child->pid);
}

void child_say(const struct child *child, char word)
{
	ck_assert_int_eq(send(child->fd, &word, 1, MSG_NOSIGNAL), 1);
}

char child_hear(const struct child *child)
{
	struct pollfd poll_fd = { .fd = child->fd, .events = POLLIN };
	char word = 0;

	ck_assert_int_eq(poll(&poll_fd, 1, 10000), 1);
	return recv(child->fd, &word, 1, 0) == 1 ? word : 0;
}

int child_wait(struct child *child)
{
	int status;

	ck_assert_int_eq(waitpid(child->pid, &status, 0), child->pid);
	close_fd(&child->fd);
	child->pid = -1;
	return status;
}

void child_kill(struct child *child)
{
	kill(child->pid, SIGKILL);
	child_wait(child);
}

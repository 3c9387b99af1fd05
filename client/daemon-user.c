/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds out which user ccbufd runs as, and becomes that user in a child. It must never keep a right
 * that the daemon does not have. It does not start the daemon.
 */
#include "daemon-user.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "broker.h"
#include "output.h"

#define ACCOUNT	 "ccbufd"
#define ORDINARY 65534
#define SECONDS	 60 /* for one examination: a name service or a file system may hang */

/* Reads the credentials of a process in /proc. False when that fails. */
static bool read_process(pid_t pid, struct daemon_user *user)
{
	char path[64], *line = NULL, *p, *end;
	unsigned int uid = 0, gid = 0;
	size_t size = 0;
	int found = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (getline(&line, &size, file) > 0) {
		if (sscanf(line, "Uid: %*u %u", &uid) == 1 ||
			sscanf(line, "Gid: %*u %u", &gid) == 1)
			found++;
		if (strncmp(line, "Groups:", 7) != 0)
			continue;
		for (p = line + 7; user->n_groups < DAEMON_USER_GROUPS; p = end) {
			gid_t group = (gid_t)strtoul(p, &end, 10);

			if (end == p)
				break;
			user->groups[user->n_groups++] = group;
		}
	}
	free(line);
	fclose(file);
	user->uid = uid;
	user->gid = gid;
	return found == 2;
}

/* Finds the ccbufd that owns its name on the bus. Does not start one. */
static bool find_running(struct daemon_user *user)
{
	cleanup(cleanup_bus) sd_bus *bus = NULL;
	sd_bus_creds *creds = NULL;
	pid_t pid = 0;
	bool found;

	if (sd_bus_open_system(&bus) < 0)
		return false;
	found = sd_bus_get_name_creds(bus, BROKER_NAME, SD_BUS_CREDS_PID, &creds) >= 0 &&
		sd_bus_creds_get_pid(creds, &pid) >= 0 && read_process(pid, user);
	sd_bus_creds_unref(creds);
	if (found)
		user->pid = pid;
	return found;
}

static void find_groups(const char *name, struct daemon_user *user)
{
	int n = DAEMON_USER_GROUPS;

	if (getgrouplist(name, user->gid, user->groups, &n) < 0)
		n = DAEMON_USER_GROUPS;
	user->n_groups = (size_t)n;
}

void daemon_user_find(struct daemon_user *ret_user)
{
	struct daemon_user user = { .uid = ORDINARY, .gid = ORDINARY };
	const struct passwd *account;
	char who[64];

	if (find_running(&user)) {
		account = getpwuid(user.uid);
		if (account)
			snprintf(who, sizeof(who), "user %s", account->pw_name);
		else
			snprintf(who, sizeof(who), "user %u", user.uid);
		snprintf(user.words, sizeof(user.words), "%s, who runs ccbufd", who);
	} else if ((account = getpwnam(ACCOUNT))) {
		user = (struct daemon_user){ .uid = account->pw_uid, .gid = account->pw_gid };
		find_groups(ACCOUNT, &user);
		snprintf(who, sizeof(who), "user " ACCOUNT);
		copy_string(user.words, sizeof(user.words), who);
	} else {
		user = (struct daemon_user){ .uid = ORDINARY, .gid = ORDINARY };
		snprintf(who, sizeof(who), "user " ACCOUNT);
		snprintf(user.words, sizeof(user.words),
			"an ordinary user (%u), as there is no user " ACCOUNT, user.uid);
	}
	if (geteuid() != 0 && geteuid() != user.uid) {
		user.as_caller = true;
		snprintf(user.words, sizeof(user.words), "you; only root can check for %s", who);
	}
	*ret_user = user;
}

static bool become(const struct daemon_user *user)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (geteuid() != 0)
		return geteuid() == user->uid;
	if (setgroups(user->n_groups, user->groups) < 0 ||
		setresgid(user->gid, user->gid, user->gid) < 0 ||
		setresuid(user->uid, user->uid, user->uid) < 0)
		return false;
	/* uid 0 without capabilities is only the owner of its files, like the process that loads
	 * the policy */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &header, none) == 0;
}

static void run_child(const struct daemon_user *user, int fd,
	struct json_object *(*function)(void *userdata), void *userdata)
{
	struct json_object *object;
	const char *text;
	size_t size;

	alarm(SECONDS);
	if (!become(user))
		_exit(EXIT_FAILURE);
	object = function(userdata);
	text = object ? json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN) : NULL;
	size = text ? strlen(text) : 0;
	while (size) {
		ssize_t n = write(fd, text, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			_exit(EXIT_FAILURE);
		text += n;
		size -= (size_t)n;
	}
	_exit(object ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Reads until the other end is closed. The caller frees the text; NULL when out of memory. */
static char *read_all(int fd)
{
	char *text = malloc(4096), *grown;
	size_t size = 0, capacity = 4096;
	ssize_t n;

	while (text && (n = read(fd, text + size, capacity - 1 - size)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		size += (size_t)n;
		if (size < capacity - 1)
			continue;
		grown = realloc(text, capacity *= 2);
		if (!grown)
			free(text);
		text = grown;
	}
	if (text)
		text[size] = 0;
	return text;
}

struct json_object *daemon_user_run(const struct daemon_user *user,
	struct json_object *(*function)(void *userdata), void *userdata)
{
	cleanup(cleanup_free) char *text = NULL;
	struct json_object *object;
	int ends[2], status = 0;
	pid_t pid;

	if (user->as_caller)
		return function(userdata);
	if (pipe2(ends, O_CLOEXEC) < 0) {
		complain("cannot examine anything for %s: %m", user->words);
		return NULL;
	}
	pid = fork();
	if (pid == 0)
		run_child(user, ends[1], function, userdata);
	close(ends[1]);
	if (pid > 0)
		text = read_all(ends[0]);
	close(ends[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !text) {
		complain("cannot examine anything for %s: %m", user->words);
		return NULL;
	}
	object = status == 0 ? json_tokener_parse(text) : NULL;
	if (!object)
		complain("the examination for %s did not finish%s", user->words,
			WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM
				? ": something does not answer"
				: "");
	return object;
}

struct access {
	const char *path;
	int mode;
};

static struct json_object *try_access(void *userdata)
{
	const struct access *access = userdata;
	int r = faccessat(AT_FDCWD, access->path, access->mode, AT_EACCESS);
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "errno", json_object_new_int(r < 0 ? errno : 0));
	return object;
}

int daemon_user_access(const struct daemon_user *user, const char *path, int mode)
{
	struct access access = { path, mode };
	cleanup(cleanup_json) struct json_object *object = NULL;

	if (user->as_caller)
		return 0;
	object = daemon_user_run(user, try_access, &access);
	return object ? -(int)member_number(object, "errno") : 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loads the policy, in a process that may hang, fail or be taken over by a module of the name
 * service. It must never have a privilege. It says what it waits for before it waits.
 */
#include "helper/load-child.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "helper/load-names.h"
#include "helper/load-stream.h"
#include "policy-load.h"
#include "text.h"
#include "util.h"

#define FDS_MAX 1024 /* a small number, as some libraries close them all one by one */

struct loading {
	int fd;
	struct load_names names;
	struct policy_env system;
};

static void tell(const struct loading *loading, enum load_kind kind, int result, uint32_t id,
	const char *text, size_t size)
{
	struct load_record record = { .kind = kind, .result = result, .id = id };
	struct iovec iov[] = { { &record, sizeof(record) }, { (void *)text, size } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };

	while (sendmsg(loading->fd, &message, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			_exit(EXIT_FAILURE);
}

static void tell_text(const struct loading *loading, enum load_kind kind, const char *text)
{
	size_t size = strlen(text);

	tell(loading, kind, 0, 0, text, size < LOAD_TEXT_MAX ? size : LOAD_TEXT_MAX);
}

static int ask(struct loading *loading, bool user, const char *name, uint32_t *ret_id)
{
	uint32_t id = 0;
	int r = load_names_find(&loading->names, user, name, ret_id);

	if (r != -EBADMSG)
		return r;
	tell_text(loading, user ? LOAD_USER : LOAD_GROUP, name);
	r = user ? loading->system.user(loading->system.userdata, name, &id)
		 : loading->system.group(loading->system.userdata, name, &id);
	if (r == -EBADMSG)
		r = -EIO;
	tell(loading, LOAD_ANSWER, r, id, NULL, 0);
	if (load_names_add(&loading->names, user, name, r, id) < 0)
		return -ENOMEM;
	if (r >= 0)
		*ret_id = id;
	return r;
}

static int find_user(void *userdata, const char *name, uid_t *ret_uid)
{
	return ask(userdata, true, name, ret_uid);
}

static int find_group(void *userdata, const char *name, gid_t *ret_gid)
{
	return ask(userdata, false, name, ret_gid);
}

static void opening(void *userdata, const char *path)
{
	tell_text(userdata, LOAD_FILE, path);
}

static void folder(void *userdata, const char *path, bool there)
{
	size_t size = strlen(path);

	tell(userdata, LOAD_FOLDER, there, 0, path, size < LOAD_TEXT_MAX ? size : LOAD_TEXT_MAX);
}

static void source(void *userdata, const struct policy_source *file)
{
	tell_text(userdata, LOAD_SOURCE, file->path);
	for (size_t at = 0; at < file->size; at += LOAD_TEXT_MAX) {
		size_t left = file->size - at;

		tell(userdata, LOAD_TEXT, 0, 0, file->text + at,
			left < LOAD_TEXT_MAX ? left : LOAD_TEXT_MAX);
	}
}

/* Gives up every capability: uid 0 without capabilities is only the owner of its files. */
static void give_up_rights(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };
	struct rlimit fds = { FDS_MAX, FDS_MAX }, core = { 0, 0 };
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &header, none) < 0)
		_exit(EXIT_FAILURE);
	setrlimit(RLIMIT_NOFILE, &fds);
	setrlimit(RLIMIT_CORE, &core);
	/* when memory is short the kernel kills this process before the daemon */
	if (fd >= 0 && write(fd, "500", 3) == 3)
		close(fd);
}

/* Whether the folders that --policy names exist. The default ones need not. */
static bool folders_are_there(const struct loading *loading, const struct helper_settings *settings)
{
	char line[512], name[400];
	bool good = true;

	for (const char *const *dir = settings->policy_dirs; settings->policy_named && *dir;
		dir++) {
		tell_text(loading, LOAD_FILE, *dir);
		if (access(*dir, R_OK | X_OK) >= 0)
			continue;
		snprintf(line, sizeof(line), "--policy %s: %s",
			text_fit(*dir, TEXT_NAME | TEXT_VISIBLE, name, sizeof(name)),
			strerror(errno));
		tell_text(loading, LOAD_MISTAKE, line);
		good = false;
	}
	return good;
}

void load_child(int fd, const struct helper_settings *settings)
{
	struct loading loading = { .fd = fd, .system = policy_system_env() };
	struct policy_load_events events = {
		.env = { find_user, find_group, &loading, loading.system.ram,
			loading.system.unmapped },
		.opening = opening,
		.folder = folder,
		.source = source,
		.userdata = &loading,
	};
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;
	gid_t admins;
	int r;

	give_up_rights();
	ask(&loading, false, settings->admin_group, &admins);
	r = folders_are_there(&loading, settings) ? 0 : -EINVAL;
	if (r >= 0)
		r = policy_load_telling(settings->policy_dirs, settings->policy_trusted_uid,
			&events, &errors, &policy);
	for (size_t i = 0; i < errors.count; i++)
		tell_text(&loading, LOAD_MISTAKE, errors.lines[i]);
	tell(&loading, LOAD_END, r, 0, NULL, 0);
}

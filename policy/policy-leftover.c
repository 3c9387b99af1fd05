/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files that somebody may take for a part of the policy, but that are not read: because of their
 * name, hidden by another folder, or in another place. It opens none of them.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "config.h"
#include "policy-internal.h"
#include "policy-load.h"

/* Files that editors and package managers leave, and files that are kept on purpose. */
static bool is_known(const char *name)
{
	static const char *const ends[] = { "~", ".swp", ".swo", ".swx", ".orig", ".rej",
		".disabled" };
	static const char *const parts[] = { ".dpkg-", ".ucf-", ".rpm", ".pacnew", ".pacsave" };
	size_t length = strlen(name);

	if (name[0] == '.' || name[0] == '#' || !strncmp(name, "README", 6))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (length > strlen(ends[i]) && streq(name + length - strlen(ends[i]), ends[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (strstr(name, parts[i]))
			return true;
	return false;
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A link, such as to /dev/null, is there on purpose. */
static bool is_file(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Calls visit for the names in a folder, in order. */
static void each_name(struct policy_report *report, const char *folder,
	void (*visit)(
		struct policy_report *report, const char *folder, const char *name, void *userdata),
	void *userdata)
{
	struct dirent **entries = NULL;
	int n = scandir(folder, &entries, NULL, alphasort);

	if (n < 0)
		report->failed = report->failed || errno == ENOMEM;
	for (int i = 0; i < n; i++) {
		if (!streq(entries[i]->d_name, ".") && !streq(entries[i]->d_name, ".."))
			visit(report, folder, entries[i]->d_name, userdata);
		free(entries[i]);
	}
	free(entries);
}

struct layer {
	const char *const *folders; /* which hide files of this one */
	size_t count;
};

static void look_at(
	struct policy_report *report, const char *folder, const char *name, void *userdata)
{
	const struct layer *layer = userdata;
	cleanup(cleanup_free) char *path = NULL;

	if (asprintf(&path, "%s/%s", folder, name) < 0) {
		path = NULL;
		report->failed = true;
		return;
	}
	if (!policy_load_name(name)) {
		if (is_known(name))
			return;
		policy_errors_file(report, path,
			is_folder(path) ? "is a folder, into which ccbufd does not look"
					: "is not read: the name of a policy file ends in .json");
		return;
	}
	for (size_t i = 0; i < layer->count && is_file(path); i++) {
		cleanup(cleanup_free) char *other = NULL;

		if (asprintf(&other, "%s/%s", layer->folders[i], name) < 0) {
			other = NULL;
			report->failed = true;
		} else if (is_file(other)) {
			policy_errors_file(report, path, "is hidden by %s", other);
			return;
		}
	}
}

static void look_beside(
	struct policy_report *report, const char *folder, const char *name, void *userdata)
{
	cleanup(cleanup_free) char *path = NULL;
	size_t length = strlen(name);

	(void)userdata;
	if (streq(name, "policy.d") || is_known(name) ||
		(!strstr(name, "policy") && !(length > 5 && streq(name + length - 5, ".json"))))
		return;
	if (asprintf(&path, "%s/%s", folder, name) < 0) {
		path = NULL;
		report->failed = true;
		return;
	}
	policy_errors_file(report, path, "is not read; policy files are in %s/policy.d", folder);
}

static bool is_default(const char *folder)
{
	for (const char *const *dir = policy_default_dirs; *dir; dir++)
		if (streq(*dir, folder))
			return true;
	return false;
}

/* Checks places where people put files that are not read there. */
static void look_elsewhere(struct policy_report *report)
{
	static const char *const elsewhere[] = {
		"/etc/ccbufd/policy.d",
		"/etc/ccbuf/policy.d",
		"/usr/lib/ccbufd/policy.d",
		"/usr/local/etc/ccbufd/policy.d",
		"/usr/local/lib/ccbufd/policy.d",
		"/usr/share/ccbufd/policy.d",
		"/usr/share/ccbuf/policy.d",
		"/var/lib/ccbufd/policy.d",
	};

	each_name(report, CCBUF_SYSCONFDIR "/ccbufd", look_beside, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++)
		if (!is_default(elsewhere[i]) && is_folder(elsewhere[i]))
			policy_errors_file(report, elsewhere[i],
				"is not read; ccbufd reads %s, %s and %s", policy_default_dirs[0],
				policy_default_dirs[1], policy_default_dirs[2]);
}

int policy_leftovers(const char *const *paths, size_t n_paths, struct policy_errors *ret_leftovers)
{
	struct policy_report report = { 0 };
	struct layer layer = { .folders = n_paths ? paths : policy_default_dirs };
	size_t first = 0, n = n_paths;
	int r;

	while (!n_paths && policy_default_dirs[n])
		n++;
	for (size_t i = 0; i < n; i++) {
		const char *path = (n_paths ? paths : policy_default_dirs)[i];
		const char *name = strrchr(path, '/');

		if (is_folder(path)) {
			layer.folders = (n_paths ? paths : policy_default_dirs) + first;
			layer.count = i - first;
			each_name(&report, path, look_at, &layer);
			continue;
		}
		first = i + 1;
		if (n_paths && !policy_load_name(name ? name + 1 : path))
			policy_errors_file(&report, path,
				"ccbufd would not read a file of this name: it must end in .json "
				"and not begin with a dot");
	}
	if (!n_paths)
		look_elsewhere(&report);
	r = policy_errors_finish(&report, ret_leftovers);
	policy_errors_report_done(&report);
	return r == -EINVAL ? 0 : r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Local configuration for the same devices and units that is applied after ccbuf's own, or instead
 * of it: device rules, tmpfiles, units. It changes none.
 */
#include <dirent.h>
#include <stdio.h>

#include "findings.h"
#include "output.h"

#define RULES	 "70-ccbufd.rules"
#define TMPFILES "ccbufd.conf"

/* A file in an earlier folder hides one of the same name in a later one; ccbuf's own are in the
 * last. */
static const char *const rule_folders[] = { "/etc/udev/rules.d", "/run/udev/rules.d",
	"/usr/local/lib/udev/rules.d", "/usr/lib/udev/rules.d" };
static const char *const tmpfile_folders[] = { "/etc/tmpfiles.d", "/run/tmpfiles.d",
	"/usr/local/lib/tmpfiles.d", "/usr/lib/tmpfiles.d" };
static const char *const unit_folders[] = { "/etc/systemd/system", "/run/systemd/system",
	"/usr/local/lib/systemd/system", "/usr/lib/systemd/system" };

#define LAST 3 /* of each of them */

static char *path_of(const struct places *places, const char *folder, const char *name)
{
	char *path;

	if (asprintf(&path, "%s%s/%s", places->root ? places->root : "", folder, name) < 0)
		abort();
	return path;
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Calls visit for each file of a folder with that ending, in order, until it returns true. */
static bool each_file(const char *folder, const char *ending,
	bool (*visit)(void *userdata, const char *path, const char *name), void *userdata)
{
	struct dirent **entries = NULL;
	int n = scandir(folder, &entries, visible, alphasort);
	bool done = false;

	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name, *end = strrchr(name, '.');
		char *path;

		if (!done && end && streq(end, ending)) {
			if (asprintf(&path, "%s/%s", folder, name) < 0)
				abort();
			done = visit(userdata, path, name);
			free(path);
		}
		free(entries[i]);
	}
	free(entries);
	return done;
}

/* --- other configuration of a node --- */

struct search {
	const char *node, *own;
	char *found; /* "PATH:LINE" */
};

static bool concerns(const char *line, const char *node)
{
	char quoted[256];

	line += strspn(line, " \t");
	if (*line == '#')
		return false;
	snprintf(quoted, sizeof(quoted), "\"%s\"", node);
	return strstr(line, "dma_heap") != NULL || strstr(line, quoted) != NULL;
}

static bool look_in(void *userdata, const char *path, const char *name)
{
	struct search *search = userdata;
	char *line = NULL;
	size_t size = 0, number = 0;
	FILE *file;

	if (streq(name, search->own))
		return false;
	file = fopen(path, "re");
	while (file && !search->found && getline(&line, &size, file) > 0) {
		number++;
		if (concerns(line, search->node) &&
			asprintf(&search->found, "%s:%zu", shown_name(path), number) < 0)
			abort();
	}
	free(line);
	if (file)
		fclose(file);
	return search->found != NULL;
}

static char *find_other(const struct places *places, const char *const folders[],
	const char *ending, const char *own, const char *node)
{
	struct search search = { .node = node, .own = own };

	for (int i = 0; i <= LAST && !search.found; i++) {
		char *folder = path_of(places, folders[i], "");

		folder[strlen(folder) - 1] = 0;
		each_file(folder, ending, look_in, &search);
		free(folder);
	}
	return search.found;
}

/* The path of ccbuf's own file, or of the one that hides it; the caller frees it. NULL for
 * neither. */
static char *find_own(const struct places *places, const char *const folders[], const char *name,
	bool *ret_hidden)
{
	for (int i = 0; i <= LAST; i++) {
		char *path = path_of(places, folders[i], name);

		*ret_hidden = i < LAST;
		if (access(path, F_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

char *site_repair(const struct places *places, const char *node)
{
	static const char again[] = "then 'udevadm control --reload' and 'udevadm trigger'";
	static const char wanted[] = "owner root, group ccbufd, mode 0440";
	cleanup(cleanup_free) char *rule = NULL, *tmpfile = NULL, *own = NULL;
	char *repair = NULL;
	bool hidden = false;
	int r;

	own = find_own(places, rule_folders, RULES, &hidden);
	rule = find_other(places, rule_folders, ".rules", RULES, node);
	tmpfile = find_other(places, tmpfile_folders, ".conf", TMPFILES, node);
	if (!own)
		r = asprintf(&repair, "install ccbuf's udev rule, %s: %s%s%s", again, wanted,
			rule ? "; see also " : "", rule ? rule : "");
	else if (hidden)
		r = asprintf(&repair, "remove %s, which is read instead of ccbuf's udev rule, %s",
			shown_name(own), again);
	else if (rule)
		r = asprintf(&repair, "see %s, another rule for it, and remove that, %s: %s", rule,
			again, wanted);
	else if (tmpfile)
		r = asprintf(&repair, "see %s, which sets it at boot, and remove that, %s: %s",
			tmpfile, again, wanted);
	else
		r = asprintf(&repair,
			"'udevadm control --reload' and 'udevadm trigger' apply ccbuf's "
			"udev rule: %s",
			wanted);
	if (r < 0)
		abort();
	return repair;
}

/* --- units --- */

struct keys {
	char text[256];
	bool strong; /* it changes the daemon's user, its rights, or who may connect */
};

static bool is_strong(const char *key)
{
	static const char *const strong[] = { "User", "Group", "ExecStart", "AmbientCapabilities",
		"CapabilityBoundingSet", "NoNewPrivileges", "SystemCallFilter", "DeviceAllow",
		"DevicePolicy", "PrivateDevices", "PrivateUsers", "ProtectProc", "ProtectSystem",
		"ReadWritePaths", "SupplementaryGroups", "SocketMode", "SocketUser", "SocketGroup",
		"ListenSequentialPacket" };

	for (size_t i = 0; i < ARRAY_SIZE(strong); i++)
		if (streq(strong[i], key))
			return true;
	return false;
}

static void read_keys(const char *path, struct keys *ret_keys)
{
	char *line = NULL;
	size_t size = 0;
	FILE *file = fopen(path, "re");

	*ret_keys = (struct keys){ 0 };
	while (file && getline(&line, &size, file) > 0) {
		size_t used = strlen(ret_keys->text);
		char *end = strchr(line, '=');

		if (!end || !strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ", line[0]))
			continue;
		*end = 0;
		ret_keys->strong = ret_keys->strong || is_strong(line);
		snprintf(ret_keys->text + used, sizeof(ret_keys->text) - used, "%s%s",
			used ? ", " : "", line);
	}
	free(line);
	if (file)
		fclose(file);
}

struct unit {
	struct findings *findings;
	const char *name;
};

static bool tell_changed(void *userdata, const char *path, const char *name)
{
	struct unit *unit = userdata;
	struct keys keys;

	(void)name;
	read_keys(path, &keys);
	found(unit->findings, keys.strong ? STATUS_WARNING : STATUS_OK, "units",
		keys.strong ? "see whether that is still meant" : NULL, "%s is changed by %s (%s)",
		unit->name, shown_name(path), keys.text);
	return false;
}

void examine_site(struct findings *findings, const struct places *places)
{
	static const char *const names[] = { "ccbufd.service", "ccbufd.socket" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct unit unit = { findings, names[i] };
		char drop_ins[64];

		snprintf(drop_ins, sizeof(drop_ins), "%s.d", names[i]);
		for (int j = 0; j <= LAST; j++) {
			cleanup(cleanup_free) char *path =
				path_of(places, unit_folders[j], names[i]);
			cleanup(cleanup_free) char *folder =
				path_of(places, unit_folders[j], drop_ins);

			if (j < LAST && access(path, F_OK) == 0)
				found(findings, STATUS_WARNING, "units",
					"remove it, or keep it in step with ccbuf's own",
					"%s is read instead of ccbuf's %s", shown_name(path),
					names[i]);
			each_file(folder, ".conf", tell_changed, &unit);
		}
	}
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading /proc/PID. It must never decide what an entry means for a peer.
 */
#include "proc.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "util.h"

ssize_t proc_read(int proc, const char *name, char *buffer, size_t size)
{
	cleanup(cleanup_fd) int fd = openat(proc, name, O_RDONLY | O_CLOEXEC);
	size_t length = 0;

	if (fd < 0)
		return -errno;
	while (length < size - 1) {
		ssize_t n = read(fd, buffer + length, size - 1 - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	buffer[length] = 0;
	return (ssize_t)length;
}

/* The text after "\nKEY:" in a status file. */
static const char *field(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	return p ? p + strlen(key) : NULL;
}

int proc_credentials(int proc, struct proc_credentials *ret_credentials)
{
	struct proc_credentials c;
	char text[4096];
	const char *uids, *gids;
	ssize_t n;

	n = proc_read(proc, "status", text, sizeof(text));
	if (n < 0)
		return (int)n;
	uids = field(text, "\nUid:");
	gids = field(text, "\nGid:");
	if (!uids || !gids ||
		sscanf(uids, "%u %u %u %u", &c.uids[0], &c.uids[1], &c.uids[2], &c.uids[3]) != 4 ||
		sscanf(gids, "%u %u %u %u", &c.gids[0], &c.gids[1], &c.gids[2], &c.gids[3]) != 4)
		return -EBADMSG;
	*ret_credentials = c;
	return 0;
}

int proc_start_time(int proc, uint64_t *ret_ticks)
{
	char text[1024];
	char *p, *end;
	uint64_t ticks;
	ssize_t n;

	n = proc_read(proc, "stat", text, sizeof(text));
	if (n < 0)
		return (int)n;
	/* The second field is the command in parentheses, and may hold any byte. */
	p = strrchr(text, ')');
	for (int i = 2; p && i < 22; i++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -EBADMSG;
	ticks = strtoull(p + 1, &end, 10);
	if (end == p + 1)
		return -EBADMSG;
	*ret_ticks = ticks;
	return 0;
}

int proc_cgroup(int proc, char **ret_path)
{
	char text[PATH_MAX + 256];
	char *line, *path;
	ssize_t n;
	bool cut;

	n = proc_read(proc, "cgroup", text, sizeof(text));
	if (n < 0)
		return (int)n;
	cut = (size_t)n == sizeof(text) - 1;
	for (line = text; line && *line;
		line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		if (strncmp(line, "0::", 3))
			continue;
		line += 3;
		/* Where it was cut off it could be another's path. */
		if (cut && !strchr(line, '\n'))
			return -EMSGSIZE;
		line[strcspn(line, "\n")] = 0;
		path = strdup(line);
		if (!path)
			return -ENOMEM;
		*ret_path = path;
		return 0;
	}
	return cut ? -EMSGSIZE : -ENODATA;
}

static bool has_suffix(const char *s, size_t length, const char *suffix)
{
	size_t n = strlen(suffix);

	return length > n && !memcmp(s + length - n, suffix, n);
}

int proc_cgroup_unit(const char *cgroup, char **ret_unit, char **ret_slice)
{
	cleanup(cleanup_free) char *unit = NULL;
	cleanup(cleanup_free) char *slice = NULL;
	const char *p = cgroup;

	/* Slices come first; below the first unit everything is the unit's own to name. */
	while (*p == '/' && !unit) {
		size_t length = strcspn(++p, "/");
		/* systemd escapes a name that the kernel could take for its own with '_'. */
		const char *name = length > 0 && *p == '_' ? p + 1 : p;
		size_t name_length = length - (size_t)(name - p);

		if (has_suffix(name, name_length, ".slice")) {
			free(slice);
			slice = strndup(name, name_length);
			if (!slice)
				return -ENOMEM;
		} else if (has_suffix(name, name_length, ".service") ||
			   has_suffix(name, name_length, ".scope") ||
			   has_suffix(name, name_length, ".socket") ||
			   has_suffix(name, name_length, ".mount") ||
			   has_suffix(name, name_length, ".swap")) {
			unit = strndup(name, name_length);
			if (!unit)
				return -ENOMEM;
		} else {
			break;
		}
		p += length;
	}
	*ret_unit = steal_pointer(&unit);
	*ret_slice = steal_pointer(&slice);
	return 0;
}

int proc_namespace(int proc, const char *name, ino_t *ret_inode)
{
	char path[32];
	dev_t dev;

	snprintf(path, sizeof(path), "ns/%s", name);
	return proc_link_target(proc, path, &dev, ret_inode);
}

int proc_link_target(int proc, const char *name, dev_t *ret_dev, ino_t *ret_ino)
{
	struct stat st;

	if (fstatat(proc, name, &st, 0) < 0)
		return -errno;
	*ret_dev = st.st_dev;
	*ret_ino = st.st_ino;
	return 0;
}

int proc_link_text(int proc, const char *name, char **ret_text)
{
	char text[PATH_MAX + 1];
	ssize_t n;
	char *copy;

	n = readlinkat(proc, name, text, sizeof(text));
	if (n < 0)
		return -errno;
	if ((size_t)n == sizeof(text))
		return -ENAMETOOLONG;
	copy = strndup(text, (size_t)n);
	if (!copy)
		return -ENOMEM;
	*ret_text = copy;
	return 0;
}

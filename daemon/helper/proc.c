/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads /proc/PID. It does not decide what an entry means for a peer.
 */
#include "helper/proc.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "util.h"

ssize_t proc_read(int proc, const char *name, char *buffer, size_t size)
{
	cleanup(cleanup_fd) int fd = openat(proc, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	/* The first read makes such a file as a whole. */
	do
		n = read(fd, buffer, size - 1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	buffer[n] = 0;
	return n;
}

/* The text after "\nKEY:" in a status file. */
static const char *field(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	return p ? p + strlen(key) : NULL;
}

/* Reads up to max numbers of a line. Returns the count, or -EMSGSIZE. */
static ssize_t numbers(const char *p, uint32_t *ret_numbers, size_t max)
{
	size_t n = 0;
	char *end;

	for (;;) {
		unsigned long number;

		while (*p == ' ' || *p == '\t')
			p++;
		if (*p < '0' || *p > '9')
			return (ssize_t)n;
		number = strtoul(p, &end, 10);
		if (n == max)
			return -EMSGSIZE;
		ret_numbers[n++] = (uint32_t)number;
		p = end;
	}
}

int proc_credentials(int proc, char *buffer, size_t size, struct proc_credentials *ret_credentials,
	gid_t *ret_groups, size_t max, size_t *ret_count)
{
	const char *uids, *gids, *groups, *permitted;
	struct proc_credentials c;
	ssize_t n;

	n = proc_read(proc, "status", buffer, size);
	if (n < 0)
		return (int)n;
	if ((size_t)n == size - 1)
		return -EMSGSIZE;
	uids = field(buffer, "\nUid:");
	gids = field(buffer, "\nGid:");
	groups = field(buffer, "\nGroups:");
	permitted = field(buffer, "\nCapPrm:");
	if (!uids || !gids || !groups || !permitted || numbers(uids, c.uids, 4) != 4 ||
		numbers(gids, c.gids, 4) != 4)
		return -EBADMSG;
	n = numbers(groups, ret_groups, max);
	if (n < 0)
		return (int)n;
	c.permitted = strtoull(permitted, NULL, 16);
	*ret_credentials = c;
	*ret_count = (size_t)n;
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
	/* The second field is the command in parentheses, which may contain any byte. */
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

int proc_cgroup(int proc, char *buffer, size_t size, const char **ret_path)
{
	char *line;
	ssize_t n;
	bool cut;

	n = proc_read(proc, "cgroup", buffer, size);
	if (n < 0)
		return (int)n;
	cut = (size_t)n == size - 1;
	for (line = buffer; line && *line;
		line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		if (strncmp(line, "0::", 3))
			continue;
		line += 3;
		/* A line that was cut off may be another path. */
		if (cut && !strchr(line, '\n'))
			return -EMSGSIZE;
		line[strcspn(line, "\n")] = 0;
		*ret_path = line;
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

	/* Slices come first. The unit itself chooses all names below it. */
	while (*p == '/' && !unit) {
		size_t length = strcspn(++p, "/");
		/* systemd prefixes '_' to a name that the kernel reserves. */
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

int proc_namespace(int proc, const char *name, uint64_t *ret_inode)
{
	char path[32], text[64];
	const char *number;
	int r;

	snprintf(path, sizeof(path), "ns/%s", name);
	/* Such as user:[4026531837]. Quicker than opening the file. */
	r = proc_link_text(proc, path, text, sizeof(text));
	if (r < 0)
		return r;
	number = strchr(text, '[');
	if (!number)
		return -EBADMSG;
	*ret_inode = strtoull(number + 1, NULL, 10);
	return 0;
}

int proc_link_target(int proc, const char *name, uint64_t *ret_dev, uint64_t *ret_ino)
{
	struct statx st;

	if (statx(proc, name, AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_INO,
		    &st) < 0)
		return -errno;
	*ret_dev = makedev(st.stx_dev_major, st.stx_dev_minor);
	*ret_ino = st.stx_ino;
	return 0;
}

int proc_link_text(int proc, const char *name, char *buffer, size_t size)
{
	ssize_t n = readlinkat(proc, name, buffer, size);

	if (n < 0)
		return -errno;
	if ((size_t)n == size)
		return -ENAMETOOLONG;
	buffer[n] = 0;
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Uses the table of mounts: statfs() would ask the server. It never waits for a server.
 */
#include "base/served.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "util.h"

static bool kind_is_served(const char *kind)
{
	static const char *const kinds[] = { "9p", "afs", "autofs", "beegfs", "ceph", "cifs",
		"coda", "fuse", "fuseblk", "gfs2", "gpfs", "lustre", "nfs", "nfs4", "ocfs2",
		"orangefs", "pvfs2", "smb3", "smbfs", "virtiofs" };

	if (strncmp(kind, "fuse.", strlen("fuse.")) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (streq(kind, kinds[i]))
			return true;
	return false;
}

bool served(int fd)
{
	cleanup(cleanup_free) char *line = NULL;
	size_t room = 0;
	struct statx st;
	bool found = false;
	FILE *mounts;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) < 0 ||
		!(st.stx_mask & STATX_MNT_ID))
		return false;
	mounts = fopen("/proc/self/mountinfo", "re");
	if (!mounts)
		return false;
	while (!found && getline(&line, &room, mounts) > 0) {
		/* NUMBER ... - KIND ...; names in it have no blanks */
		const char *kind = strstr(line, " - ");
		char word[32];

		if (strtoull(line, NULL, 10) != st.stx_mnt_id || !kind)
			continue;
		found = sscanf(kind + strlen(" - "), "%31s", word) == 1 && kind_is_served(word);
		break;
	}
	fclose(mounts);
	return found;
}

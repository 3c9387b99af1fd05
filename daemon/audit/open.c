/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a start continues from the files that it finds. It must never reuse a number of the trail,
 * nor ignore without a note that records are missing.
 */
#include "audit/open.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "audit/recover.h"
#include "audit/rotate.h"
#include "audit/watch.h"
#include "base/served.h"

static void cleanup_file(struct audit_file **file)
{
	audit_file_close(*file);
}

/* If the file is ours but its mode forbids writing, restores the mode. If it is another user's,
 * sets it aside. */
static int open_trail(struct audit_file *file, uint64_t sequence, bool *ret_created)
{
	cleanup(cleanup_free) char *aside = NULL;
	struct stat st;
	int r;

	r = audit_rotate_open(file->folder, file->name, ret_created, &file->fd);
	if (r != -EACCES || fstatat(file->folder, file->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		!S_ISREG(st.st_mode))
		return r;
	if (st.st_uid == geteuid() && fchmodat(file->folder, file->name, 0640, 0) == 0) {
		audit_file_note(file,
			"the audit file could not be written, its mode was 0%o; it is 0640 now",
			st.st_mode & 07777);
		return audit_rotate_open(file->folder, file->name, ret_created, &file->fd);
	}
	if (audit_rotate_set_aside(file->folder, file->name, sequence + 1, &file->fd, &aside) < 0)
		return r;
	audit_file_note(file,
		"the audit file belongs to user %u, mode 0%o, and could not be opened by user %u; "
		"it is now %s",
		st.st_uid, st.st_mode & 07777, geteuid(), aside);
	*ret_created = true;
	return 0;
}

/* The file does not end in a valid record, or not in the last one. */
static int recover_damaged(struct audit_file *file, uint64_t highest)
{
	cleanup(cleanup_free) char *aside = NULL;
	bool known = file->chain.sequence && file->chain.sequence >= highest;
	int r;

	if (!known)
		file->chain = (struct chain){ .sequence = highest };
	r = audit_rotate_set_aside(
		file->folder, file->name, file->chain.sequence + 1, &file->fd, &aside);
	if (r < 0)
		return r;
	audit_file_begin(file);
	audit_file_note(file, "the audit file did not end in a valid record; it is now %s%s", aside,
		known ? "" : " and a new chain begins");
	return 0;
}

/* The file has records: the chain goes on from the last one, or from a later one that the state
 * has. */
static int recover_records(struct audit_file *file, const struct audit_tail *tail)
{
	uint64_t known = file->chain.sequence;

	file->size = tail->size;
	file->first = audit_recover_first(file->fd, tail->chain.sequence);
	if (tail->chain.sequence == known && !chain_same(&tail->chain, &file->chain))
		audit_file_note(file,
			"record %" PRIu64 ", the last one, is not the one that was written", known);
	if (tail->chain.sequence > known)
		file->chain = tail->chain;
	return 0;
}

/* The file is empty: the chain goes on from the state or the newest of the older files. */
static int recover_empty(struct audit_file *file, bool created)
{
	uint64_t known = file->chain.sequence;
	struct audit_tail rotated = { .damaged = false };
	int r;

	r = audit_recover_newest(file->folder, file->name, &rotated);
	if (r < 0 && r != -ENOENT && !known)
		return r;
	if (created && (known || r >= 0))
		audit_file_note(file, "the audit file was gone%s",
			r >= 0 ? ", though older ones are there" : "");
	if (r >= 0 && rotated.highest > known) {
		bool unchained = rotated.damaged || rotated.cut || !rotated.size;

		if (unchained)
			audit_file_note(file,
				"the newest older audit file does not end in a valid record; "
				"a new chain begins");
		file->chain =
			unchained ? (struct chain){ .sequence = rotated.highest } : rotated.chain;
	}
	audit_file_begin(file);
	return 0;
}

/* Notes what is missing. state: whether the daemon before left notes at all. */
static int find_gaps(struct audit_file *file, bool state)
{
	struct audit_range current = { .first = file->first,
		.last = file->size ? file->chain.sequence : 0 };
	struct audit_gaps gaps;
	struct audit_tail tail;
	int r;

	/* The file may end before the chain does. */
	if (file->size && audit_recover_tail(file->fd, &file->chain, &tail) >= 0)
		current.last = tail.chain.sequence;
	r = audit_recover_gaps(
		file->folder, file->name, file->deleted, &current, file->chain.sequence, &gaps);
	if (r < 0)
		return r;
	if (gaps.records > file->missing)
		audit_file_note_gaps(file, &gaps,
			"while ccbufd did not run they were removed, or moved where it does not "
			"look, or a crash of the machine took them");
	file->missing = gaps.records;
	/* Without notes nobody knows whether the daemon deleted the records before the first file.
	 * Assume so, this once. */
	if (!state && gaps.n && gaps.ranges[0].first == 1) {
		file->deleted = gaps.ranges[0].last;
		file->missing -= file->deleted;
	}
	return 0;
}

static int recover(struct audit_file *file, bool created, bool state)
{
	struct audit_tail tail, rotated;
	int r;

	r = audit_recover_tail(file->fd, &file->chain, &tail);
	if (r < 0)
		return r;
	audit_rotate_repair(
		file->folder, file->name, audit_recover_first(file->fd, tail.highest), file->fd);
	if (tail.damaged) {
		if (audit_recover_newest(file->folder, file->name, &rotated) >= 0 &&
			rotated.highest > tail.highest)
			tail.highest = rotated.highest;
		r = recover_damaged(file, tail.highest);
		return r < 0 ? r : find_gaps(file, state);
	}
	if (tail.cut) {
		if (ftruncate(file->fd, (off_t)tail.size) < 0)
			return -errno;
		audit_file_note(file, "an incomplete last record of %" PRIu64 " bytes was cut off",
			tail.cut);
	}
	if (!state && (tail.size || audit_recover_newest(file->folder, file->name, &rotated) >= 0))
		audit_file_note(file,
			"the notes of the last stop are gone or damaged (.%s.state): what was cut "
			"from the end of the trail since then cannot be known",
			file->name);
	r = tail.size ? recover_records(file, &tail) : recover_empty(file, created);
	return r < 0 ? r : find_gaps(file, state);
}

static int file_new(
	const char *path, uint64_t rotate_bytes, unsigned int keep, struct audit_file **ret_file)
{
	cleanup(cleanup_file) struct audit_file *file = calloc(1, sizeof(*file));
	const char *slash = strrchr(path, '/');

	if (!file)
		return -ENOMEM;
	file->fd = file->folder = file->lock = file->watch = -1;
	file->rotate_bytes = rotate_bytes ? rotate_bytes : UINT64_MAX;
	file->rotate_size = file->rotate_bytes;
	file->keep = keep;
	file->path = strdup(path);
	file->name = strdup(slash ? slash + 1 : path);
	file->folder_path =
		!slash ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (!file->path || !file->name || !file->folder_path)
		return -ENOMEM;
	if (!file->name[0])
		return -EINVAL;
	*ret_file = steal_pointer(&file);
	return 0;
}

int audit_open(
	const char *path, uint64_t rotate_bytes, unsigned int keep, struct audit_file **ret_file)
{
	cleanup(cleanup_file) struct audit_file *file = NULL;
	struct audit_state state;
	bool created = false;
	int r;

	r = file_new(path, rotate_bytes, keep, &file);
	if (r < 0)
		return r;
	file->folder = open(file->folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file->folder < 0)
		return -errno;
	file->served = served(file->folder);
	r = audit_state_open(file->folder, file->name, &state, &file->lock);
	if (r < 0)
		return r;
	/* Before the file is opened, so that no change is missed. */
	file->watch = audit_watch_open();
	audit_watch_folder(file->watch, file->folder_path);
	file->chain = state.chain;
	file->deleted = state.deleted;
	file->missing = state.missing;
	file->lost = state.lost;
	r = open_trail(file, state.chain.sequence, &created);
	if (r < 0)
		return r;
	r = recover(file, created, state.chain.sequence > 0);
	if (r < 0)
		return r;
	if (created)
		(void)fsync(file->folder);
	audit_file_save(file);
	*ret_file = steal_pointer(&file);
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Repairs what others did to the file of the trail, or its folder: renamed, deleted, cut or
 * replaced it. It must never destroy what it finds, nor continue without a note where records are
 * missing.
 */
#include "audit/look.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "audit/recover.h"
#include "audit/rotate.h"
#include "audit/trouble.h"
#include "audit/watch.h"
#include "base/served.h"
#include "lease.h"

/* Tries while files come and go at the name of the trail. */
#define TRIES 16

/* The lock has to be on the file that another daemon would lock. */
static int hold(struct audit_file *file, int folder)
{
	cleanup(cleanup_fd) int lock = -1;
	struct audit_state ignored;
	int r;

	r = audit_state_open(folder, file->name, &ignored, &lock);
	if (r < 0)
		return r;
	close_fd(&file->lock);
	file->lock = steal_fd(&lock);
	file->saved = (struct audit_state){ .deleted = UINT64_MAX };
	return 0;
}

/* Opens the folder by name, which may be another one by now. */
static int find_folder(struct audit_file *file, bool *ret_moved)
{
	cleanup(cleanup_fd) int folder = -1;
	struct stat named, ours;
	int r;

	if (stat(file->folder_path, &named) < 0 || fstat(file->folder, &ours) < 0)
		return -errno;
	if (named.st_dev == ours.st_dev && named.st_ino == ours.st_ino) {
		if (audit_state_holds(file->folder, file->name, file->lock))
			return 0;
		/* Without a lock it is still the trail, unless another daemon has the lock. */
		r = hold(file, file->folder);
		return r == -EBUSY ? r : 0;
	}
	folder = open(file->folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	r = hold(file, folder);
	if (r < 0)
		return r;
	close_fd(&file->folder);
	file->folder = steal_fd(&folder);
	file->served = served(file->folder);
	*ret_moved = true;
	return 0;
}

/* What was done to the file, and what became of it. */
struct changes {
	bool moved;  /* the name of the folder leads to another one */
	bool named;  /* the file has a name elsewhere */
	bool kept;   /* and it is now one of the older files of the trail */
	char *aside; /* the new name of what was in its place, unless that was empty */
};

static void changes_done(struct changes *changes)
{
	free(changes->aside);
}

/* The file was renamed. Its records stay in the trail, even if the other name is deleted. */
static void keep_own(struct audit_file *file, struct changes *changes)
{
	cleanup(cleanup_free) char *aside = audit_rotate_name(file->name, file->first);
	char own[32];
	struct stat st;

	changes->named = fstat(file->fd, &st) == 0 && st.st_nlink > 0;
	if (!changes->named || !st.st_size || !aside)
		return;
	(void)audit_file_sync(file);
	snprintf(own, sizeof(own), "/proc/self/fd/%d", file->fd);
	changes->kept = linkat(AT_FDCWD, own, file->folder, aside, AT_SYMLINK_FOLLOW) == 0 ||
			audit_rotate_same(file->folder, aside, file->fd);
}

/* The new name of a file that is not ours: that of an older file, if it is part of a trail. */
static char *name_for(const struct audit_file *file)
{
	cleanup(cleanup_fd) int fd = lease_openat(file->folder, file->name,
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0, LEASE_MSEC);
	struct audit_tail tail;

	if (fd < 0 || audit_recover_tail(fd, &file->chain, &tail) < 0 || tail.damaged || tail.cut ||
		!tail.size || tail.chain.sequence > file->chain.sequence)
		return NULL;
	return audit_rotate_name(file->name, audit_recover_first(fd, tail.chain.sequence));
}

/* Gives whatever has the trail's name another one, and puts a new file in its place. */
static int make_room(struct audit_file *file, int *fd, struct changes *changes)
{
	cleanup(cleanup_free) char *aside = name_for(file);
	struct stat st;
	int r = -EEXIST;

	if (aside)
		r = audit_rotate_replace(file->folder, file->name, aside, fd);
	if (r == -EEXIST) {
		free(steal_pointer(&aside));
		r = audit_rotate_set_aside(
			file->folder, file->name, file->chain.sequence + 1, fd, &aside);
	}
	if (r < 0)
		return r;
	/* An empty file, as logrotate makes it: removed. */
	if (fstatat(file->folder, aside, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		!st.st_size)
		unlinkat(file->folder, aside, 0);
	else
		changes->aside = steal_pointer(&aside);
	return 0;
}

static int put_new(struct audit_file *file, int *fd, struct changes *changes)
{
	int r = -EAGAIN;

	for (int i = 0; i < TRIES; i++) {
		r = audit_rotate_replace(file->folder, file->name, NULL, fd);
		if (r != -EEXIST)
			break;
		r = make_room(file, fd, changes);
		/* Gone again? */
		if (r != -ENOENT)
			break;
	}
	return r;
}

/* Notes the records that the older files lack. In the same folder the last of them is enough. */
static void find_gaps(struct audit_file *file, bool all, const char *why)
{
	const struct audit_range none = { 0, 0 };
	struct audit_gaps gaps = { .n = 1 };
	struct audit_tail tail;
	uint64_t last;

	if (all) {
		if (audit_recover_gaps(file->folder, file->name, file->deleted, &none,
			    file->chain.sequence, &gaps) < 0)
			gaps.n = 0;
		file->missing = gaps.records;
	} else {
		last = audit_recover_newest(file->folder, file->name, &tail) >= 0 ? tail.highest
										  : file->deleted;
		gaps.ranges[0] = (struct audit_range){ last + 1, file->chain.sequence };
		gaps.n = last < file->chain.sequence;
		file->missing += gaps.n ? file->chain.sequence - last : 0;
	}
	if (gaps.n)
		audit_file_note_gaps(file, &gaps, why);
	else
		audit_file_note(file, "%s; no record is missing", why);
}

static void note_changes(struct audit_file *file, const struct changes *changes, uint64_t first)
{
	cleanup(cleanup_free) char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out) {
		fprintf(out, "the audit file was %s",
			changes->named ? "renamed or moved" : "deleted");
		if (changes->moved)
			fputs(", or its folder", out);
		if (changes->kept)
			fprintf(out,
				"; its records from %" PRIu64 " on are in %s.%020" PRIu64 " now",
				first, file->name, first);
		if (changes->aside)
			fprintf(out, "; what was put in its place is %s now", changes->aside);
		if (fclose(out) != 0)
			free(steal_pointer(&text));
	}
	find_gaps(file, changes->moved, text ? text : "the audit file was changed by somebody");
}

/* The file of that name is not ours: puts ours back. */
static int restore(struct audit_file *file, bool moved)
{
	cleanup(changes_done) struct changes changes = { .moved = moved };
	cleanup(cleanup_fd) int fresh = -1;
	uint64_t first = file->first;
	int r;

	keep_own(file, &changes);
	r = put_new(file, &fresh, &changes);
	if (r < 0)
		return r;
	close_fd(&file->fd);
	file->fd = steal_fd(&fresh);
	audit_file_begin(file);
	note_changes(file, &changes, first);
	return 0;
}

static bool ends_with_last(const struct audit_file *file)
{
	cleanup(cleanup_free) char *line = NULL;
	struct chain chain = { .sequence = file->chain.sequence - 1 };
	size_t length = file->last_length;

	if (!length)
		return true; /* unknown: taken as the last record */
	line = malloc(length);
	if (!line || pread(file->fd, line, length, (off_t)(file->size - length)) != (ssize_t)length)
		return !line;
	chain_advance(&chain, line, length - 1);
	return line[length - 1] == '\n' && chain_same(&chain, &file->chain);
}

/* Somebody added to the file. The file is kept as evidence, and no record is appended to it. */
static int keep_added(struct audit_file *file, uint64_t size)
{
	char last;

	audit_file_note(file,
		"somebody added %" PRIu64 " bytes to the audit file after record %" PRIu64,
		size - file->size, file->chain.sequence);
	file->last_length = 0;
	if (pread(file->fd, &last, 1, (off_t)size - 1) == 1 && last != '\n') {
		if (write(file->fd, "\n", 1) != 1)
			return -errno;
		size++;
	}
	file->size = size;
	return 0;
}

/* Somebody cut the file or wrote over it. What is left stays part of the trail. */
static int keep_rest(struct audit_file *file)
{
	static const char why[] = "the audit file was cut off or written over";
	cleanup(cleanup_free) char *aside = NULL;
	struct audit_gaps gaps = { .n = 1 };
	struct audit_tail tail;
	int r = 0;

	/* Others may change the file while it is read. */
	for (int i = 0; i < TRIES; i++) {
		r = audit_recover_tail(file->fd, &file->chain, &tail);
		if (r != -EIO)
			break;
	}
	if (r < 0)
		return r;
	if (tail.damaged) {
		r = audit_rotate_set_aside(
			file->folder, file->name, file->chain.sequence + 1, &file->fd, &aside);
		if (r < 0)
			return r;
		audit_file_begin(file);
		find_gaps(file, false, why);
		audit_file_note(file, "the overwritten audit file is %s now", aside);
		return 0;
	}
	if (tail.cut && ftruncate(file->fd, (off_t)tail.size) < 0)
		return -errno;
	audit_file_begin(file);
	file->size = tail.size;
	if (!tail.size) {
		find_gaps(file, false, why);
		return 0;
	}
	file->first = audit_recover_first(file->fd, tail.chain.sequence);
	gaps.ranges[0] = (struct audit_range){ tail.chain.sequence + 1, file->chain.sequence };
	if (tail.chain.sequence < file->chain.sequence)
		audit_file_note_gaps(file, &gaps, why);
	else
		audit_file_note(file, "%s; 'ccbuf-client audit verify' says where", why);
	return 0;
}

static int look_inside(struct audit_file *file)
{
	struct stat st;
	uint64_t size;
	int r;

	if (file->unclean) {
		r = audit_file_cut_back(file);
		if (r < 0)
			return r;
	}
	if (fstat(file->fd, &st) < 0)
		return -errno;
	size = (uint64_t)st.st_size;
	if (size < file->size || !ends_with_last(file))
		return keep_rest(file);
	return size > file->size ? keep_added(file, size) : 0;
}

static void prune(struct audit_file *file)
{
	int r;

	file->deleted = file->prune - 1;
	/* Before the files go, or a start after a crash would report them as missing. */
	audit_file_save(file);
	(void)fdatasync(file->lock);
	r = audit_rotate_prune(file->folder, file->name, file->prune);
	if (r < 0)
		audit_file_note(file, "an old audit file could not be deleted: %s", strerror(-r));
	file->prune = 0;
}

/* The name cannot be had. While the file has another name, the trail goes on in it. */
static int go_astray(struct audit_file *file, int error)
{
	struct stat st;

	audit_trouble_words(file->path, error, file->trouble, sizeof(file->trouble));
	if (error == -EBUSY || fstat(file->fd, &st) < 0 || !st.st_nlink)
		return error;
	if (!file->astray)
		audit_file_note(file,
			"the audit file was renamed or moved; the trail goes on in it, because no "
			"new one can be made in its place: %s",
			file->trouble);
	file->astray = true;
	return 0;
}

int audit_look(struct audit_file *file)
{
	bool moved = false;
	int r;

	file->trouble[0] = 0;
	audit_watch_folder(file->watch, file->folder_path);
	r = find_folder(file, &moved);
	if (r >= 0 && (moved || !audit_rotate_same(file->folder, file->name, file->fd)))
		r = restore(file, moved);
	if (r < 0)
		r = go_astray(file, r);
	else
		file->astray = false;
	if (r >= 0)
		r = look_inside(file);
	if (r >= 0 && file->prune)
		prune(file);
	return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing records to the trail. It must never leave part of a record behind, and never count as
 * written what is not: the chain moves only when the bytes are there.
 */
#include "audit-file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "audit-recover.h"
#include "audit-rotate.h"
#include "util.h"

/* Records in one writev(); the rest of a longer list goes out with the next. */
#define SEGMENT_RECORDS 256

/* A file that cannot be rotated is tried again when it has grown by so much and this part. */
#define RETRY_PART 8
#define RETRY_MIN  (64u << 10)

static void cleanup_file(struct audit_file **file)
{
	audit_file_close(*file);
}

/* Puts the prefix right before the body and returns the line, its newline not counted. */
static char *complete(struct audit_record *record, const struct chain *chain, size_t *ret_length)
{
	char prefix[AUDIT_PREFIX_MAX + 1], *line, *p;
	uint64_t sequence = chain->sequence + 1;
	static const char seq[] = "{\"seq\":", prev[] = ",\"prev\":\"";

	p = prefix + AUDIT_PREFIX_MAX - 2 - (CHAIN_HASH_TEXT - 1);
	chain_hash_text(chain, p);
	memcpy(p + CHAIN_HASH_TEXT - 1, "\",", 2);
	p -= sizeof(prev) - 1;
	memcpy(p, prev, sizeof(prev) - 1);
	do {
		*--p = (char)('0' + sequence % 10);
		sequence /= 10;
	} while (sequence);
	p -= sizeof(seq) - 1;
	memcpy(p, seq, sizeof(seq) - 1);

	line = record->line + (p - prefix);
	memcpy(line, p, (size_t)(prefix + AUDIT_PREFIX_MAX - p));
	*ret_length = (size_t)(record->line + AUDIT_PREFIX_MAX + record->length - line) - 1;
	return line;
}

static int write_all(int fd, struct iovec *iov, size_t n)
{
	while (n) {
		ssize_t written = writev(fd, iov, (int)n);

		if (written < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		for (; n && (size_t)written >= iov->iov_len; iov++, n--)
			written -= (ssize_t)iov->iov_len;
		if (n) {
			iov->iov_base = (char *)iov->iov_base + written;
			iov->iov_len -= (size_t)written;
		}
	}
	return 0;
}

static int cut_back(struct audit_file *file)
{
	file->unclean = ftruncate(file->fd, (off_t)file->size) < 0;
	return file->unclean ? -errno : 0;
}

int audit_file_sync(struct audit_file *file)
{
	if (!file->unsynced)
		return 0;
	if (fdatasync(file->fd) < 0)
		return -errno;
	file->unsynced = 0;
	return 0;
}

/* As many records as belong into the current file, in one write. Returns the first one after
 * them. On failure the file is as before. */
static int write_segment(struct audit_file *file, struct audit_record *from, bool sync,
	struct audit_record **ret_next)
{
	struct iovec iov[SEGMENT_RECORDS];
	struct chain chain = file->chain;
	uint64_t size = file->size;
	struct audit_record *record;
	size_t n = 0, length;
	uint64_t unsynced = file->unsynced;
	int r;

	for (record = from; record && n < SEGMENT_RECORDS; record = record->next) {
		char *line;

		record->result = 0;
		if (!record->length)
			continue;
		line = complete(record, &chain, &length);
		if (n && size + length + 1 > file->rotate_size)
			break;
		chain_advance(&chain, line, length);
		record->sequence = chain.sequence;
		memcpy(record->hash, chain.hash, sizeof(record->hash));
		iov[n++] = (struct iovec){ .iov_base = line, .iov_len = length + 1 };
		size += length + 1;
	}
	*ret_next = record;
	if (!n)
		return 0;

	r = write_all(file->fd, iov, n);
	if (r >= 0) {
		file->unsynced += n;
		if (sync)
			r = audit_file_sync(file);
	}
	if (r < 0) {
		file->unsynced = unsynced;
		cut_back(file);
		return r;
	}
	file->chain = chain;
	file->size = size;
	return 0;
}

static int rotate(struct audit_file *file)
{
	cleanup(cleanup_free) char *aside = audit_rotate_name(file->name, file->first);
	int r;

	if (!aside)
		return -ENOMEM;
	r = audit_file_sync(file);
	if (r < 0)
		return r;
	r = audit_rotate_replace(file->folder, file->name, aside, &file->fd);
	if (r < 0)
		return r;
	file->size = 0;
	file->first = file->chain.sequence + 1;
	file->rotate_size = file->rotate_bytes;
	if (!file->keep)
		return 0;
	return audit_rotate_prune(file->folder, file->name, file->keep, &file->first_left);
}

/* Sees to it that the file is the one of that name, ends with the last record and has room. */
static int prepare(struct audit_file *file, const struct audit_record *record)
{
	struct stat st;
	int r;

	if (file->unclean) {
		r = cut_back(file);
		if (r < 0)
			return r;
	}
	if (fstat(file->fd, &st) < 0)
		return -errno;
	if (st.st_nlink == 0) {
		/* Deleted under us: nobody would ever read what goes there. */
		r = audit_rotate_replace(file->folder, file->name, NULL, &file->fd);
		if (r < 0)
			return r;
		file->size = 0;
		file->first = file->chain.sequence + 1;
	} else {
		/* Somebody else's change stays as evidence, the chain shows it. */
		file->size = (uint64_t)st.st_size;
	}
	if (file->size && audit_file_rotates(file, AUDIT_PREFIX_MAX + record->length)) {
		uint64_t before = file->rotate_size;

		r = rotate(file);
		if (r < 0) {
			file->maintenance = r;
			/* A longer file is better than none. */
			if (file->rotate_size == before && file->size)
				file->rotate_size =
					file->size + RETRY_MIN + file->rotate_bytes / RETRY_PART;
		}
	}
	return 0;
}

bool audit_file_rotates(const struct audit_file *file, size_t bytes)
{
	uint64_t size;

	return __builtin_add_overflow(file->size, bytes, &size) || size > file->rotate_size;
}

void audit_file_write(struct audit_file *file, struct audit_list *list, bool sync)
{
	struct audit_record *record = list->first, *next;
	int r = 0;

	while (record) {
		if (!record->length) {
			record->result = 0;
			record = record->next;
			continue;
		}
		r = prepare(file, record);
		if (r >= 0)
			r = write_segment(file, record, sync, &next);
		if (r < 0)
			break;
		record = next;
	}
	/* What made one fail would do the same to the others, one wait each. */
	for (; record; record = record->next)
		record->result = record->length ? r : 0;
}

/* Moves a damaged file out of the way under the first free name. */
static int set_aside(struct audit_file *file, uint64_t sequence, char **ret_aside)
{
	for (unsigned int i = 0; i < 1000; i++) {
		cleanup(cleanup_free) char *aside = NULL;
		int r;

		if ((i == 0 ? asprintf(&aside, "%s.damaged-%" PRIu64, file->name, sequence)
			    : asprintf(&aside, "%s.damaged-%" PRIu64 ".%u", file->name, sequence,
				      i)) < 0) {
			aside = NULL;
			return -ENOMEM;
		}
		r = audit_rotate_replace(file->folder, file->name, aside, &file->fd);
		if (r == -EEXIST)
			continue;
		if (r < 0)
			return r;
		*ret_aside = steal_pointer(&aside);
		return 0;
	}
	return -EEXIST;
}

/* The chain of the newest rotated file, for a current file that is empty. */
static int follow_rotated(struct audit_file *file, struct audit_tail *ret_tail, bool *ret_found)
{
	cleanup(cleanup_free) uint64_t *numbers = NULL;
	cleanup(cleanup_free) char *name = NULL;
	cleanup(cleanup_fd) int fd = -1;
	size_t n;
	int r;

	r = audit_rotate_list(file->folder, file->name, &numbers, &n);
	if (r < 0)
		return r;
	*ret_found = n > 0;
	if (!n)
		return 0;
	name = audit_rotate_name(file->name, numbers[n - 1]);
	if (!name)
		return -ENOMEM;
	fd = openat(file->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = audit_recover_tail(fd, ret_tail);
	if (r < 0)
		return r;
	if (ret_tail->highest < numbers[n - 1] && numbers[n - 1] < INT64_MAX)
		ret_tail->highest = numbers[n - 1];
	return 0;
}

static int recover(struct audit_file *file, bool created, struct audit_file_report *report)
{
	struct audit_tail tail, rotated = { 0 };
	bool found = false;
	int r;

	r = audit_recover_tail(file->fd, &tail);
	if (r < 0)
		return r;
	audit_rotate_repair(
		file->folder, file->name, audit_recover_first(file->fd, tail.highest), file->fd);
	r = follow_rotated(file, &rotated, &found);
	if (r < 0)
		return r;
	if (tail.damaged) {
		if (rotated.highest > tail.highest)
			tail.highest = rotated.highest;
		r = set_aside(file, tail.highest + 1, &report->aside);
		if (r < 0)
			return r;
		file->chain.sequence = tail.highest;
		file->first = tail.highest + 1;
		return 0;
	}
	if (tail.cut) {
		if (ftruncate(file->fd, (off_t)tail.size) < 0)
			return -errno;
		report->cut = tail.cut;
	}
	if (tail.size) {
		file->chain = tail.chain;
		file->size = tail.size;
		file->first = audit_recover_first(file->fd, tail.chain.sequence);
		return 0;
	}
	report->missing = created && found;
	report->unchained = found && (rotated.damaged || rotated.cut || !rotated.size);
	if (report->unchained)
		file->chain.sequence = rotated.highest;
	else
		file->chain = rotated.chain;
	file->first = file->chain.sequence + 1;
	return 0;
}

int audit_file_open(const char *path, uint64_t rotate_bytes, unsigned int keep,
	struct audit_file_report *ret_report, struct audit_file **ret_file)
{
	cleanup(cleanup_file) struct audit_file *file = NULL;
	cleanup(cleanup_free) char *folder = NULL;
	struct audit_file_report report = { 0 };
	const char *slash = strrchr(path, '/');
	bool created;
	int r;

	file = calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->fd = file->folder = -1;
	file->rotate_bytes = rotate_bytes ? rotate_bytes : UINT64_MAX;
	file->rotate_size = file->rotate_bytes;
	file->keep = keep;
	file->name = strdup(slash ? slash + 1 : path);
	folder = !slash ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (!file->name || !folder)
		return -ENOMEM;
	if (!file->name[0])
		return -EINVAL;
	file->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file->folder < 0)
		return -errno;
	r = audit_rotate_open(file->folder, file->name, &created, &file->fd);
	if (r < 0)
		return r;
	r = recover(file, created, &report);
	if (r < 0) {
		free(report.aside);
		return r;
	}
	if (created)
		(void)fsync(file->folder);
	*ret_report = report;
	*ret_file = steal_pointer(&file);
	return 0;
}

struct audit_file *audit_file_close(struct audit_file *file)
{
	if (!file)
		return NULL;
	close_fd(&file->fd);
	close_fd(&file->folder);
	free(file->name);
	free(file);
	return NULL;
}

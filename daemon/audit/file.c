/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing records to the trail. It must never leave part of a record behind, nor count a record as
 * written that is not: the chain moves only when the bytes are there.
 */
#include "audit/file.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "audit/rotate.h"
#include "util.h"

/* Records in one writev(); a longer list needs several. */
#define SEGMENT_RECORDS 256

/* A file that cannot be rotated is tried again when it has grown by RETRY_MIN and one RETRY_PART-th
 * of its maximum. */
#define RETRY_PART 8
#define RETRY_MIN  (64u << 10)

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

int audit_file_cut_back(struct audit_file *file)
{
	struct stat st;
	int r = fstat(file->fd, &st);

	/* Somebody else may have made it shorter meanwhile: it must not be extended with zeros. */
	if (r == 0 && (uint64_t)st.st_size > file->size)
		r = ftruncate(file->fd, (off_t)file->size);
	file->unclean = r < 0;
	return file->unclean ? -errno : 0;
}

void audit_file_begin(struct audit_file *file)
{
	file->first = file->chain.sequence + 1;
	file->size = 0;
	file->last_length = 0;
	file->rotate_size = file->rotate_bytes;
	file->unsynced = 0;
	file->unclean = false;
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

/* Writes as many records as belong into the current file, at once, and returns the first one after
 * them. On failure the file is as before. */
static int write_segment(struct audit_file *file, struct audit_record *from, bool sync,
	struct audit_record **ret_next)
{
	struct iovec iov[SEGMENT_RECORDS];
	struct chain chain = file->chain;
	uint64_t size = file->size;
	struct audit_record *record;
	size_t n = 0, length, last_length = 0;
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
		last_length = length + 1;
		size += last_length;
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
		audit_file_cut_back(file);
		return r;
	}
	file->chain = chain;
	file->size = size;
	file->last_length = last_length;
	return 0;
}

/* Old files are deleted once the record that says so is written, see audit_look(). */
static void note_deletion(struct audit_file *file)
{
	cleanup(cleanup_free) uint64_t *numbers = NULL;
	struct audit_note *note;
	uint64_t last;
	size_t n;

	int r;

	if (!file->keep)
		return;
	r = audit_rotate_list(file->folder, file->name, &numbers, &n);
	if (r < 0)
		audit_file_note(file, "old audit files could not be found: %s", strerror(-r));
	if (r < 0 || n <= file->keep)
		return;
	last = numbers[n - file->keep] - 1;
	note = audit_file_note(file,
		"the records before %" PRIu64 " are deleted: only %u older files are kept",
		last + 1, file->keep);
	if (note)
		note->deleted = (struct audit_range){ file->deleted + 1, last };
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
	audit_file_begin(file);
	note_deletion(file);
	return 0;
}

/* Makes sure that the file ends with the last record and has room. */
static int prepare(struct audit_file *file, const struct audit_record *record)
{
	uint64_t before = file->rotate_size;
	int r;

	if (file->unclean) {
		r = audit_file_cut_back(file);
		if (r < 0)
			return r;
	}
	/* A file that others moved away is not rotated: audit_look() handles it. */
	if (!file->size || !audit_file_rotates(file, AUDIT_PREFIX_MAX + record->length) ||
		!audit_rotate_same(file->folder, file->name, file->fd))
		return 0;
	r = rotate(file);
	if (r < 0) {
		audit_file_note(file, "the audit file could not be rotated: %s", strerror(-r));
		/* A file that is too long is better than none. */
		if (file->rotate_size == before && file->size)
			file->rotate_size =
				file->size + RETRY_MIN + file->rotate_bytes / RETRY_PART;
	}
	return 0;
}

bool audit_file_fits(const struct audit_file *file)
{
	struct stat st;

	return !file->unclean && fstat(file->fd, &st) == 0 && st.st_nlink > 0 &&
	       (uint64_t)st.st_size == file->size;
}

bool audit_file_rotates(const struct audit_file *file, size_t bytes)
{
	uint64_t size;

	return __builtin_add_overflow(file->size, bytes, &size) || size > file->rotate_size;
}

static void fail(struct audit_record *record, int result)
{
	for (; record; record = record->next)
		record->result = record->length ? result : 0;
}

void audit_file_save(struct audit_file *file)
{
	struct audit_state state = {
		.chain = file->chain,
		.deleted = file->deleted,
		.missing = file->missing,
		.lost = file->lost,
	};
	int r;

	if (memcmp(&state, &file->saved, sizeof(state)) == 0 && !file->unsaved)
		return;
	r = audit_state_write(file->lock, &state);
	if (r < 0 && !file->unsaved)
		audit_file_note(file,
			"the end of the audit trail could not be noted for the next start: %s",
			strerror(-r));
	file->unsaved = r < 0;
	file->saved = state;
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
	/* The others would fail for the same reason, and each would wait for it. */
	fail(record, r);
	if (r < 0)
		audit_trouble_words(file->path, r, file->trouble, sizeof(file->trouble));
	else
		file->trouble[0] = 0;
	audit_file_save(file);
}

void audit_file_fail(struct audit_list *list, int result)
{
	fail(list->first, result);
}

struct audit_note *audit_file_note(struct audit_file *file, const char *format, ...)
{
	struct audit_note *note = calloc(1, sizeof(*note)), **at = &file->notes;
	va_list arguments;

	if (!note) {
		file->notes_lost++;
		return NULL;
	}
	va_start(arguments, format);
	vsnprintf(note->text, sizeof(note->text), format, arguments);
	va_end(arguments);
	while (*at)
		at = &(*at)->next;
	*at = note;
	return note;
}

void audit_file_note_gaps(struct audit_file *file, const struct audit_gaps *gaps, const char *why)
{
	char text[AUDIT_NOTE_TEXT / 2] = "";
	struct audit_note *note;
	uint64_t records = 0;
	size_t length = 0;

	for (size_t i = 0; i < gaps->n && length < sizeof(text) - 64; i++) {
		const struct audit_range *range = &gaps->ranges[i];

		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%" PRIu64,
			i ? ", " : "", range->first);
		if (range->last > range->first)
			length += (size_t)snprintf(
				text + length, sizeof(text) - length, " to %" PRIu64, range->last);
		records += range->last - range->first + 1;
	}
	note = audit_file_note(file, "missing in the trail: record%s %s%s; %s",
		records == 1 ? "" : "s", text, records < gaps->records ? " and more" : "", why);
	if (!note)
		return;
	memcpy(note->missing, gaps->ranges, gaps->n * sizeof(*gaps->ranges));
	note->n_missing = gaps->n;
}

void audit_file_end(struct audit_file *file)
{
	(void)audit_file_sync(file);
	audit_file_save(file);
	(void)fdatasync(file->lock);
}

struct audit_file *audit_file_close(struct audit_file *file)
{
	if (!file)
		return NULL;
	while (file->notes) {
		struct audit_note *note = file->notes;

		file->notes = note->next;
		free(note);
	}
	close_fd(&file->fd);
	close_fd(&file->lock);
	close_fd(&file->watch);
	close_fd(&file->folder);
	free(file->path);
	free(file->folder_path);
	free(file->name);
	free(file);
	return NULL;
}

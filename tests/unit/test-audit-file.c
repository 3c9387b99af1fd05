/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the trail's files: what a start makes of what it finds, full disks, rotation.
 */
#include "test-audit.h"

#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "audit/look.h"
#include "audit/open.h"
#include "audit/rotate.h"

static struct {
	int truncate, rename, flock, unlink; /* errno to fail with, 0 not to */
	int write;			     /* likewise, after write_bytes */
	ssize_t write_bytes;		     /* -1 for no limit */
} faults = { .write_bytes = -1 };

/* In place of the C library's. */
int ftruncate(int fd, off_t length)
{
	if (faults.truncate) {
		errno = faults.truncate;
		return -1;
	}
	return (int)syscall(SYS_ftruncate, fd, length);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
	if (faults.rename) {
		errno = faults.rename;
		return -1;
	}
	return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);
}

int unlinkat(int at, const char *name, int flags)
{
	if (faults.unlink) {
		errno = faults.unlink;
		return -1;
	}
	return (int)syscall(SYS_unlinkat, at, name, flags);
}

int flock(int fd, int operation)
{
	if (faults.flock) {
		errno = faults.flock;
		return -1;
	}
	return (int)syscall(SYS_flock, fd, operation);
}

/* With a limit, one byte less than asked each time, so that all kinds of partial writes occur. */
ssize_t writev(int fd, const struct iovec *iov, int n)
{
	struct iovec few[300];
	ssize_t left = faults.write_bytes;
	int i;

	if (left < 0)
		return syscall(SYS_writev, fd, iov, n);
	if (!left) {
		errno = faults.write;
		return -1;
	}
	for (i = 0; i < n && left; i++) {
		few[i] = iov[i];
		if (few[i].iov_len > 1)
			few[i].iov_len--;
		if (few[i].iov_len > (size_t)left)
			few[i].iov_len = (size_t)left;
		left -= (ssize_t)few[i].iov_len;
		if (few[i].iov_len != iov[i].iov_len) {
			i++;
			break;
		}
	}
	left = syscall(SYS_writev, fd, few, i);
	ck_assert_int_gt(left, 0);
	faults.write_bytes -= left;
	return left;
}

static struct audit_file *file;

static int open_keep(uint64_t rotate_bytes, unsigned int keep)
{
	return audit_open(path, rotate_bytes, keep, &file);
}

/* Whether one of the notes has this text. Of none for NULL. */
static bool noted(const char *text)
{
	if (!text)
		return !file->notes;
	for (const struct audit_note *note = file->notes; note; note = note->next)
		if (strstr(note->text, text))
			return true;
	return false;
}

static void forget_notes(void)
{
	while (file->notes) {
		struct audit_note *note = file->notes;

		file->notes = note->next;
		free(note);
	}
}

static void reopen(void)
{
	ck_assert_int_eq(open_keep(0, 0), 0);
}

static void shut(void)
{
	file = audit_file_close(file);
}

/* A list of n records, each with a body of so many bytes. */
static struct audit_list records(size_t n, size_t size)
{
	static const char begin[] = "\"event\":\"test\",\"text\":\"", end[] = "\"}\n";
	struct audit_list list = { 0 };

	for (size_t i = 0; i < n; i++) {
		struct audit_record *record = calloc(1, sizeof(*record) + AUDIT_PREFIX_MAX + size);
		char *body;

		ck_assert_ptr_nonnull(record);
		body = record->line + AUDIT_PREFIX_MAX;
		record->result = 1;
		record->length = size;
		if (size) {
			memset(body, 'x', size);
			memcpy(body, begin, sizeof(begin) - 1);
			memcpy(body + size - (sizeof(end) - 1), end, sizeof(end) - 1);
		}
		audit_list_push(&list, record);
	}
	ck_assert_uint_eq(list.count, n);
	ck_assert_uint_eq(list.bytes, n * size);
	return list;
}

/* Returns how many were written; those come before the others, which have the result r. */
static size_t write_list(struct audit_list list, bool sync, int r)
{
	struct audit_record *record;
	bool failed = false;
	size_t n = 0;

	/* As the writer does. */
	if (!audit_file_fits(file) && audit_look(file) < 0)
		audit_file_fail(&list, r);
	else
		audit_file_write(file, &list, sync);
	while ((record = audit_list_pop(&list))) {
		ck_assert(record->result == 0 || record->result == r);
		ck_assert(record->result < 0 || !failed);
		failed = record->result < 0;
		n += !failed;
		free(record);
	}
	return n;
}

static void write_records(size_t n)
{
	ck_assert_uint_eq(write_list(records(n, 200), false, 0), n);
}

static uint64_t size_of(const char *name)
{
	struct stat st;

	ck_assert_int_eq(stat(name, &st), 0);
	return (uint64_t)st.st_size;
}

static void name_in_folder(char name[static 256], const char *entry)
{
	snprintf(name, 256, "%s/%s", folder, entry);
}

START_TEST(fresh)
{
	struct chain chain = { 0 };
	struct stat st;
	mode_t mask = umask(0077);

	reopen();
	umask(mask);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	ck_assert(noted(NULL));
	ck_assert_int_ne(fcntl(file->fd, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_ne(fcntl(file->folder, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_ne(fcntl(file->lock, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_eq(fstat(file->lock, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	write_records(3);
	ck_assert_uint_eq(write_list(records(1000, 100), true, 0), 1000); /* segments */
	ck_assert_uint_eq(write_list(records(10, 0), true, 0), 10);	  /* nothing to write */
	shut();
	ck_assert_uint_eq(file_verify(path, &chain), 1003);
	reopen();
	ck_assert_uint_eq(file->chain.sequence, 1003);
	ck_assert_mem_eq(file->chain.hash, chain.hash, CHAIN_HASH_SIZE);
	ck_assert_uint_eq(file->first, 1);
	write_records(1);
	shut();
	memset(&chain, 0, sizeof(chain));
	ck_assert_uint_eq(file_verify(path, &chain), 1004);
}
END_TEST

START_TEST(cannot_be_had)
{
	char target[256];
	int fd;

	snprintf(path, sizeof(path), "%s/missing/audit.jsonl", folder);
	ck_assert_int_eq(open_keep(0, 0), -ENOENT);
	snprintf(path, sizeof(path), "%s/", folder);
	ck_assert_int_eq(open_keep(0, 0), -EINVAL);
	snprintf(path, sizeof(path), "%s/audit.jsonl", folder);

	name_in_folder(target, "target");
	ck_assert_int_eq(symlink(target, path), 0);
	ck_assert_int_eq(open_keep(0, 0), -ELOOP);
	ck_assert_int_ne(access(target, F_OK), 0);
	ck_assert_int_eq(unlink(path), 0);

	ck_assert_int_eq(mkdir(path, 0755), 0);
	ck_assert_int_eq(open_keep(0, 0), -EINVAL);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(mkfifo(path, 0644), 0);
	ck_assert_int_eq(open_keep(0, 0), -EINVAL);
	ck_assert_int_eq(unlink(path), 0);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	close(fd);
	if (geteuid() == 0) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			if (chmod(folder, 0755) < 0 || setuid(65534) < 0)
				_exit(2);
			_exit(open_keep(0, 0) == -EACCES ? 0 : 1);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(status, 0);
	} else {
		ck_assert_int_eq(open_keep(0, 0), -EACCES);
	}
	ck_assert_ptr_null(file);
	ck_assert_ptr_null(audit_file_close(NULL));
}
END_TEST

START_TEST(locked)
{
	struct audit_file *first, *second = NULL;

	ck_assert_int_eq(open_keep(1000, 0), 0);
	first = file;
	ck_assert_int_eq(audit_open(path, 0, 0, &second), -EBUSY);
	write_records(20); /* rotates; the new file is locked from the beginning */
	ck_assert_int_eq(audit_open(path, 0, 0, &second), -EBUSY);
	ck_assert_ptr_null(second);
	audit_file_close(first);
	reopen();
	write_records(1);
	shut();
}
END_TEST

START_TEST(relative_path)
{
	ck_assert_int_eq(chdir(folder), 0);
	ck_assert_int_eq(audit_open("trail", 0, 0, &file), 0);
	ck_assert_int_eq(access("trail", F_OK), 0);
	shut();
}
END_TEST

static bool noted_cut(uint64_t bytes)
{
	char text[64];

	snprintf(text, sizeof(text), "last record of %ju bytes was cut off", (uintmax_t)bytes);
	return noted(text);
}

/* A file of three records, then a tail. */
static void with_tail(const char *tail, size_t size)
{
	char *text;
	size_t length = 0;

	unlink(path);
	forget_state();
	reopen();
	write_records(3);
	shut();
	text = file_read(path, &length);
	text = realloc(text, length + size);
	memcpy(text + length, tail, size);
	file_write(path, text, length + size);
	free(text);
}

START_TEST(torn)
{
	static const char zeros[100];
	static const struct {
		const char *tail;
		size_t size;
	} cases[] = {
		{ "{", 1 },
		{ "{\"seq\":", 7 },
		{ "{\"seq\":4,\"prev\":\"0123", 21 },
		{ "{\"seq\":4,\"prev\":\"x\",\"event\":\"x\"}", 33 },
		{ zeros, sizeof(zeros) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct chain chain = { 0 };

		with_tail(cases[i].tail, cases[i].size);
		reopen();
		ck_assert(noted_cut(cases[i].size));
		ck_assert(!noted("damaged") && !noted("missing"));
		ck_assert_uint_eq(file->chain.sequence, 3);
		write_records(1);
		shut();
		ck_assert_uint_eq(file_verify(path, &chain), 4);
	}
	/* The very first record, cut at every byte. */
	with_tail("", 0);
	for (uint64_t size = 1; size < 280; size += 7) {
		ck_assert_int_eq(truncate(path, (off_t)size), 0);
		forget_state();
		reopen();
		ck_assert(noted_cut(size));
		ck_assert_uint_eq(file->chain.sequence, 0);
		ck_assert_uint_eq(size_of(path), 0);
		write_records(2);
		shut();
	}
}
END_TEST

START_TEST(empty)
{
	struct chain chain = { 0 };

	file_write(path, "", 0);
	reopen();
	ck_assert(noted(NULL));
	write_records(1);
	shut();
	ck_assert_uint_eq(file_verify(path, &chain), 1);
}
END_TEST

/* A file that does not end in a record is kept under another name, and the numbers go on. */
static void check_damaged(uint64_t sequence)
{
	char expected[64], name[256], *text;
	uint64_t before = size_of(path);

	forget_state();
	reopen();
	snprintf(expected, sizeof(expected), "audit.jsonl.damaged-%ju", (uintmax_t)sequence);
	name_in_folder(name, expected);
	snprintf(expected, sizeof(expected), "damaged-%ju and a new chain begins",
		(uintmax_t)sequence);
	ck_assert(noted(expected));
	ck_assert_uint_eq(size_of(name), before);
	ck_assert_uint_eq(file->chain.sequence + 1, sequence);
	write_records(2);
	shut();
	text = file_read(path, NULL);
	snprintf(expected, sizeof(expected), "{\"seq\":%ju,\"prev\":\"000000000000000000",
		(uintmax_t)sequence);
	ck_assert_int_eq(strncmp(text, expected, strlen(expected)), 0);
	free(text);
	ck_assert_int_eq(unlink(name), 0);
}

START_TEST(damaged)
{
	static char big[600000];
	char *text;
	size_t size = 0;

	with_tail("what is this?\n", 14);
	check_damaged(4);
	with_tail("what is this?", 13);
	check_damaged(4);
	with_tail("\n", 1);
	check_damaged(4);
	with_tail("{\"seq\":4}\n", 10);
	check_damaged(4);
	memset(big, 'x', sizeof(big));
	with_tail(big, sizeof(big)); /* its beginning is out of sight */
	check_damaged(1);
	memcpy(big, "{\"seq\":", 7);
	with_tail(big, 200000); /* longer than a record can be */
	check_damaged(4);
	big[sizeof(big) - 1] = '\n';
	with_tail(big, sizeof(big));
	check_damaged(1);
	file_write(path, "hello", 5);
	check_damaged(1);
	file_write(path, "\n\n\n", 3);
	check_damaged(1);

	/* A byte of the last record but one, of which the last one has the hash. */
	with_tail("", 0);
	text = file_read(path, &size);
	text[size / 2] ^= 1;
	file_write(path, text, size);
	check_damaged(4);
	free(text);

	/* A number that leaves no room to count. */
	text = NULL;
	ck_assert_int_gt(asprintf(&text, "{\"seq\":%s,\"prev\":\"%064d\",\"event\":\"x\"}\n",
				 "18446744073709551615", 0),
		0);
	file_write(path, text, strlen(text));
	check_damaged(1);
	free(text);
}
END_TEST

START_TEST(damaged_twice)
{
	char name[256];

	file_write(path, "x\n", 2);
	reopen();
	shut();
	file_write(path, "x\n", 2);
	reopen();
	ck_assert(noted("audit.jsonl.damaged-1.1"));
	name_in_folder(name, "audit.jsonl.damaged-1.1");
	ck_assert_uint_eq(size_of(name), 2);
	shut();
}
END_TEST

static void verify_all(struct chain *chain)
{
	size_t n;
	uint64_t *numbers;
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_eq(audit_rotate_list(fd, "audit.jsonl", &numbers, &n), 0);
	for (size_t i = 0; i < n; i++) {
		char name[256];

		ck_assert_uint_eq(numbers[i], chain->sequence + 1);
		snprintf(name, sizeof(name), "%s.%020ju", path, (uintmax_t)numbers[i]);
		file_verify(name, chain);
	}
	file_verify(path, chain);
	free(numbers);
	close(fd);
}

START_TEST(rotation)
{
	struct chain chain = { 0 };

	for (int round = 0; round < 3; round++) {
		ck_assert_int_eq(open_keep(3000, 0), 0);
		for (int i = 0; i < 20; i++) {
			write_records((size_t)i % 5);
			ck_assert_uint_le(size_of(path), 3000);
		}
		ck_assert_uint_eq(write_list(records(100, 200), true, 0), 100);
		/* One record alone may be longer. */
		ck_assert_uint_eq(write_list(records(1, 5000), true, 0), 1);
		write_records(1);
		ck_assert(noted(NULL));
		shut();
	}
	verify_all(&chain);
	ck_assert_uint_eq(chain.sequence, 3 * (40 + 102));
	ck_assert_uint_eq(folder_count("audit.jsonl.next"), 0);
}
END_TEST

/* What the owner does with a note of deletion, once its record is written. */
static uint64_t delete_old(void)
{
	uint64_t last = 0;

	for (const struct audit_note *note = file->notes; note; note = note->next)
		last = note->deleted.last > last ? note->deleted.last : last;
	forget_notes();
	file->prune = last ? last + 1 : 0;
	ck_assert_int_eq(audit_look(file), 0);
	return last;
}

START_TEST(keeps_some)
{
	struct chain chain = { 0 };
	char name[256], *text;
	uint64_t deleted;

	name_in_folder(name, "audit.jsonl.not-ours");
	file_write(name, "x", 1);
	ck_assert_int_eq(open_keep(3000, 4), 0);
	write_records(200);
	/* Not before it is recorded. */
	ck_assert_uint_gt(folder_count("audit.jsonl.0"), 4);
	ck_assert(noted("are deleted: only 4 older files are kept"));
	deleted = delete_old();
	ck_assert(noted(NULL));
	ck_assert_uint_eq(file->deleted, deleted);
	shut();
	ck_assert_uint_eq(folder_count("audit.jsonl.0"), 4);
	ck_assert_uint_eq(size_of(name), 1);
	/* What is left hangs together. */
	for (uint64_t first = 1; first < 200; first++) {
		snprintf(name, sizeof(name), "%s.%020ju", path, (uintmax_t)first);
		text = file_read(name, NULL);
		if (!text)
			continue;
		ck_assert_int_eq(chain_start(&chain, text, strcspn(text, "\n")), 0);
		free(text);
		ck_assert_uint_eq(chain.sequence, first);
		ck_assert_uint_eq(first, deleted + 1);
		break;
	}
	/* Nothing is missing that was deleted so. */
	ck_assert_int_eq(open_keep(3000, 1), 0);
	ck_assert(noted(NULL));
	write_records(20);
	delete_old();
	shut();
	ck_assert_uint_eq(folder_count("audit.jsonl.0"), 1);
}
END_TEST

START_TEST(crash_in_rotation)
{
	struct chain chain = { 0 };
	char aside[256], next[256];

	/* Before the step: a new file, and the old one under both names. */
	reopen();
	write_records(5);
	shut();
	snprintf(aside, sizeof(aside), "%s.%020d", path, 1);
	snprintf(next, sizeof(next), "%s.next", path);
	ck_assert_int_eq(link(path, aside), 0);
	file_write(next, "", 0);
	reopen();
	ck_assert_int_ne(access(aside, F_OK), 0);
	ck_assert_int_ne(access(next, F_OK), 0);
	write_records(1);
	shut();

	/* After it: the new file is empty, the chain goes on from the old one. */
	ck_assert_int_eq(rename(path, aside), 0);
	file_write(path, "", 0);
	reopen();
	ck_assert(noted(NULL));
	ck_assert_uint_eq(file->chain.sequence, 6);
	write_records(1);
	shut();
	verify_all(&chain);
	ck_assert_uint_eq(chain.sequence, 7);
}
END_TEST

START_TEST(missing_or_unchained)
{
	struct chain chain = { 0 };
	char aside[256], *text;
	size_t size = 0;

	reopen();
	write_records(5);
	shut();
	snprintf(aside, sizeof(aside), "%s.%020d", path, 1);
	ck_assert_int_eq(rename(path, aside), 0);
	forget_state();
	reopen();
	ck_assert(noted("gone, though older ones are there") && !noted("new chain"));
	write_records(1);
	shut();
	verify_all(&chain);
	ck_assert_uint_eq(chain.sequence, 6);

	ck_assert_int_eq(unlink(path), 0);
	text = file_read(aside, &size);
	file_write(aside, text, size - 1);
	free(text);
	forget_state();
	reopen();
	ck_assert(noted("gone") && noted("a new chain begins"));
	ck_assert_uint_eq(file->chain.sequence, 4);
	shut();
	snprintf(aside, sizeof(aside), "%s.%020d", path, 77);
	file_write(aside, "junk\n", 5);
	reopen();
	ck_assert(!noted("gone") && noted("a new chain begins"));
	ck_assert_uint_eq(file->chain.sequence, 77);
	shut();
	/* The numbers go on also after damage. */
	file_write(path, "junk\n", 5);
	forget_state();
	reopen();
	ck_assert(noted("audit.jsonl.damaged-78"));
	shut();
	/* An older file that cannot be read is no reason to begin numbers anew. */
	ck_assert_int_eq(unlink(aside), 0);
	ck_assert_int_eq(symlink("nowhere", aside), 0);
	forget_state();
	ck_assert_int_eq(open_keep(0, 0), -ELOOP);
}
END_TEST

static const struct audit_note *missing_note(void)
{
	for (const struct audit_note *note = file->notes; note; note = note->next)
		if (note->n_missing)
			return note;
	return NULL;
}

static void check_missing(uint64_t first, uint64_t last)
{
	const struct audit_note *note = missing_note();
	char text[64];

	if (first == last)
		snprintf(text, sizeof(text), "record %ju;", (uintmax_t)first);
	else
		snprintf(text, sizeof(text), "records %ju to %ju", (uintmax_t)first,
			(uintmax_t)last);
	ck_assert_msg(note, "%s", file->notes ? file->notes->text : "nothing noted");
	ck_assert_uint_eq(note->n_missing, 1);
	ck_assert_uint_eq(note->missing[0].first, first);
	ck_assert_uint_eq(note->missing[0].last, last);
	ck_assert_msg(strstr(note->text, text), "%s", note->text);
}

/* The first number in the file. */
static uint64_t first_of(const char *name)
{
	cleanup(cleanup_free) char *text = file_read(name, NULL);
	struct chain chain;

	ck_assert_ptr_nonnull(text);
	return chain_start(&chain, text, strcspn(text, "\n")) < 0 ? 0 : chain.sequence;
}

static void rename_file(void)
{
	char other[256];

	name_in_folder(other, "audit.jsonl.1");
	ck_assert_int_eq(rename(path, other), 0);
}

static void delete_file(void)
{
	ck_assert_int_eq(unlink(path), 0);
}

static void empty_file(void)
{
	ck_assert_int_eq(truncate(path, 0), 0);
}

static void cut_last(void)
{
	ck_assert_int_eq(truncate(path, (off_t)size_of(path) - 10), 0);
}

static void replace_by_empty(void)
{
	rename_file();
	file_write(path, "", 0);
}

static void replace_by_junk(void)
{
	delete_file();
	file_write(path, "junk\n", 5);
}

static void replace_by_link(void)
{
	rename_file();
	ck_assert_int_eq(symlink("nowhere", path), 0);
}

static void replace_by_folder(void)
{
	delete_file();
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void replace_by_fifo(void)
{
	delete_file();
	ck_assert_int_eq(mkfifo(path, 0600), 0);
}

static void write_over(void)
{
	file_write(path, "other\n", 6);
}

static void add_junk(void)
{
	FILE *out = fopen(path, "ae");

	fputs("no record", out);
	fclose(out);
}

static void link_and_delete(void)
{
	char other[256];

	name_in_folder(other, "linked");
	ck_assert_int_eq(link(path, other), 0);
	delete_file();
}

static void take_mode(void)
{
	ck_assert_int_eq(chmod(path, 0), 0);
}

static void replace_folder(void)
{
	char other[128];

	snprintf(other, sizeof(other), "%s/../ccbuf-audit-moved-%d", folder, (int)getpid());
	ck_assert_int_eq(rename(folder, other), 0);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	/* Out of the way of what looks for files of the trail, and gone with the test. */
	snprintf(path, sizeof(path), "%s/moved", folder);
	ck_assert_int_eq(rename(other, path), 0);
	snprintf(path, sizeof(path), "%s/audit.jsonl", folder);
}

/* What somebody does to a file of records 1 to 5, what is missing then (0 for nothing) while the
 * daemon runs and when a later one starts, and a part of the note. */
static const struct disturbance {
	const char *name;
	void (*disturb)(void);
	uint64_t first, last;		  /* running */
	uint64_t start_first, start_last; /* at the next start */
	const char *note, *start_note;
} disturbances[] = {
	{ "renamed", rename_file, 0, 0, 1, 5, "was renamed or moved", "was gone" },
	{ "deleted", delete_file, 1, 5, 1, 5, "was deleted", "was gone" },
	{ "emptied", empty_file, 1, 5, 1, 5, "was cut off", "did not run" },
	{ "cut", cut_last, 5, 5, 5, 5, "was cut off", "incomplete last record" },
	{ "created anew", replace_by_empty, 0, 0, 1, 5, "was renamed or moved", "did not run" },
	{ "other content", replace_by_junk, 1, 5, 1, 5, "damaged-6", "damaged-6" },
	{ "a link", replace_by_link, 0, 0, 0, 0, "damaged-6", NULL },
	{ "a folder", replace_by_folder, 1, 5, 0, 0, "damaged-6", NULL },
	{ "a fifo", replace_by_fifo, 1, 5, 0, 0, "damaged-6", NULL },
	{ "written over", write_over, 1, 5, 1, 5, "damaged-6", "damaged-6" },
	{ "added to", add_junk, 0, 0, 1, 5, "added 9 bytes", "damaged-6" },
	{ "linked and deleted", link_and_delete, 0, 0, 1, 5, "was renamed", "was gone" },
	{ "folder replaced", replace_folder, 0, 0, 0, 0, "or its folder", NULL },
	{ "mode", take_mode, 0, 0, 0, 0, NULL, NULL }, /* root may write it all the same */
};

static void check_disturbed(uint64_t first, uint64_t last, const char *note)
{
	if (last)
		check_missing(first, last);
	else
		ck_assert_ptr_null(missing_note());
	ck_assert_msg(noted(note), "%s", file->notes ? file->notes->text : "nothing noted");
}

/* The chain goes on in the file of that name, whatever happened. */
static void check_goes_on(void)
{
	cleanup(cleanup_free) char *text = NULL;
	char prev[CHAIN_HASH_TEXT];

	chain_hash_text(&file->chain, prev);
	ck_assert_uint_eq(file->chain.sequence, 5);
	ck_assert_int_eq(audit_look(file), 0);
	write_records(1);
	ck_assert(audit_rotate_same(file->folder, file->name, file->fd));
	text = file_read(path, NULL);
	ck_assert_ptr_nonnull(strstr(text, prev));
	ck_assert_ptr_nonnull(strstr(text, "{\"seq\":6,"));
	ck_assert_ptr_null(strstr(text, "no record{"));
	ck_assert_uint_eq(folder_count("audit.jsonl.next"), 0);
}

START_TEST(disturbed_while_it_runs)
{
	const struct disturbance *d = &disturbances[_i];

	reopen();
	write_records(5);
	d->disturb();
	ck_assert_int_eq(audit_look(file), 0);
	check_disturbed(d->first, d->last, d->note);
	forget_notes();
	/* Once. */
	ck_assert_int_eq(audit_look(file), 0);
	ck_assert(noted(NULL));
	check_goes_on();
	shut();
	reopen();
	ck_assert(noted(NULL));
	ck_assert_uint_eq(file->chain.sequence, 6);
	shut();
}
END_TEST

START_TEST(disturbed_before_a_start)
{
	const struct disturbance *d = &disturbances[_i];

	reopen();
	write_records(5);
	shut();
	d->disturb();
	if (streq(d->name, "a link")) {
		ck_assert_int_eq(open_keep(0, 0), -ELOOP);
		return;
	}
	if (streq(d->name, "a folder") || streq(d->name, "a fifo")) {
		ck_assert_int_eq(open_keep(0, 0), -EINVAL);
		return;
	}
	reopen();
	check_disturbed(d->start_first, d->start_last, d->start_note);
	forget_notes();
	/* Of nothing that was there before a new folder knows. */
	if (d->disturb == replace_folder)
		return;
	check_goes_on();
	shut();
	/* It was said. */
	reopen();
	ck_assert(noted(NULL));
	ck_assert_uint_eq(file->chain.sequence, 6);
	shut();
}
END_TEST

/* As the daemon's user, a file that root owns. */
START_TEST(not_ours_before_a_start)
{
	pid_t child;
	int status;

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(folder, 65534, 65534), 0);
	child = fork();
	if (child == 0) {
		if (setuid(65534) < 0)
			_exit(2);
		reopen();
		write_records(5);
		shut();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(chown(path, 0, 0) | chmod(path, 0600), 0);
	child = fork();
	if (child == 0) {
		if (setuid(65534) < 0)
			_exit(2);
		reopen();
		check_disturbed(1, 5, "belongs to user 0, mode 0600, and could not be opened by");
		check_goes_on();
		shut();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

/* The number that the n-th of the older files begins with. */
static uint64_t rotated(size_t n)
{
	cleanup(cleanup_free) uint64_t *numbers = NULL;
	size_t count;
	int r, fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	r = audit_rotate_list(fd, "audit.jsonl", &numbers, &count);
	close(fd);
	ck_assert_int_eq(r, 0);
	ck_assert_uint_lt(n, count);
	return numbers[n];
}

static void delete_rotated(size_t n)
{
	char name[256];

	snprintf(name, sizeof(name), "%s.%020ju", path, (uintmax_t)rotated(n));
	ck_assert_int_eq(unlink(name), 0);
}

START_TEST(older_files_are_missing)
{
	uint64_t second, third, fourth;

	ck_assert_int_eq(open_keep(1000, 0), 0);
	write_records(20);
	shut();
	second = rotated(1);
	third = rotated(2);
	fourth = rotated(3);
	delete_rotated(0);
	ck_assert_int_eq(open_keep(1000, 0), 0);
	check_missing(1, second - 1);
	shut();
	delete_rotated(1);
	ck_assert_int_eq(open_keep(1000, 0), 0);
	ck_assert_uint_eq(missing_note()->n_missing, 2);
	ck_assert_uint_eq(missing_note()->missing[1].first, third);
	ck_assert_uint_eq(missing_note()->missing[1].last, fourth - 1);
	shut();
	/* Said once. */
	ck_assert_int_eq(open_keep(1000, 0), 0);
	ck_assert(noted(NULL));
	shut();
	/* Without the state nobody knows whether the first ones were deleted rightly. */
	forget_state();
	ck_assert_int_eq(open_keep(1000, 0), 0);
	ck_assert_uint_eq(missing_note()->missing[0].first, 1);
	shut();
	ck_assert_int_eq(open_keep(1000, 0), 0);
	ck_assert(noted(NULL));
	shut();
}
END_TEST

START_TEST(altered_last_record)
{
	struct chain chain = { 0 };
	size_t size = 0;
	char *text;

	reopen();
	write_records(1);
	shut();
	text = file_read(path, &size);
	text[size - 5] = 'y';
	file_write(path, text, size);
	free(text);
	reopen();
	ck_assert(noted("record 1, the last one, is not the one that was written"));
	ck_assert_uint_eq(file->chain.sequence, 1);
	write_records(1);
	shut();
	text = file_read(path, &size);
	ck_assert_int_eq(chain_start(&chain, text, strcspn(text, "\n")), 0);
	ck_assert_int_eq(
		chain_check(&chain, strchr(text, '\n') + 1, size - strcspn(text, "\n") - 2),
		-EKEYREJECTED);
	free(text);
}
END_TEST

/* An older part of the trail that is put back in the place of the file is one of its files. */
START_TEST(older_part_put_back)
{
	struct chain chain = { 0 };
	char other[256];

	name_in_folder(other, "backup");
	reopen();
	write_records(3);
	ck_assert_int_eq(rename(path, other), 0);
	ck_assert_int_eq(audit_look(file), 0);
	delete_rotated(0);
	forget_notes();
	write_records(2);
	ck_assert_int_eq(rename(other, path), 0);
	ck_assert_int_eq(audit_look(file), 0);
	check_missing(4, 5);
	ck_assert_uint_eq(rotated(0), 1);
	write_records(1);
	shut();
	snprintf(other, sizeof(other), "%s.%020d", path, 1);
	ck_assert_uint_eq(file_verify(other, &chain), 3);
	ck_assert_uint_eq(first_of(path), 6);
}
END_TEST

/* While there is no such folder the file that was in it is as good; deleted, it is not. */
START_TEST(folder_is_gone)
{
	char other[96];

	reopen();
	write_records(2);
	snprintf(other, sizeof(other), "%s-moved", folder);
	ck_assert_int_eq(rename(folder, other), 0);
	ck_assert_int_eq(audit_look(file), 0);
	ck_assert(noted("the trail goes on in it"));
	ck_assert_ptr_nonnull(strstr(file->trouble, "the folder must exist"));
	forget_notes();
	write_records(2);
	ck_assert_int_eq(audit_look(file), 0);
	ck_assert(noted(NULL));
	/* Here it is again. */
	ck_assert_int_eq(rename(other, folder), 0);
	ck_assert_int_eq(audit_look(file), 0);
	ck_assert(noted(NULL) && !file->astray && !file->trouble[0]);
	ck_assert_uint_eq(first_of(path), 1);

	ck_assert_int_eq(rename(folder, other), 0);
	snprintf(path, sizeof(path), "%s/audit.jsonl", other);
	delete_file();
	ck_assert_int_eq(audit_look(file), -ENOENT);
	ck_assert_uint_eq(write_list(records(1, 200), false, -ENOENT), 0);
	ck_assert_int_eq(rename(other, folder), 0);
	snprintf(path, sizeof(path), "%s/audit.jsonl", folder);
	write_records(1);
	check_missing(1, 4);
	ck_assert_uint_eq(first_of(path), 5);
	shut();
}
END_TEST

/* Who may read the files may lock them: that is nothing to the daemon. */
START_TEST(readers_lock)
{
	char name[256];
	int fd, fd_folder;

	reopen();
	write_records(1);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	fd_folder = open(folder, O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(flock(fd, LOCK_EX) | flock(fd_folder, LOCK_EX), 0);
	write_records(1);
	ck_assert_int_eq(audit_look(file), 0);
	shut();
	ck_assert_int_eq(open_keep(500, 1), 0);
	write_records(5);
	ck_assert_uint_gt(folder_count("audit.jsonl.0"), 0);
	delete_old();
	shut();
	close(fd);
	close(fd_folder);

	/* The one thing that can be locked they cannot open. */
	if (geteuid() == 0) {
		pid_t child = fork();
		int status;

		name_in_folder(name, ".audit.jsonl.state");
		if (child == 0) {
			if (chmod(folder, 0755) < 0 || setuid(65534) < 0)
				_exit(2);
			_exit(open(name, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES ? 0 : 1);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(status, 0);
	}
}
END_TEST

START_TEST(state_is_touched)
{
	struct audit_file *second = NULL, *first;
	char name[256];
	struct stat st;

	name_in_folder(name, ".audit.jsonl.state");
	reopen();
	write_records(1);
	/* Removed: it is made again and locked. */
	ck_assert_int_eq(unlink(name), 0);
	ck_assert_int_eq(audit_look(file), 0);
	ck_assert_int_eq(audit_open(path, 0, 0, &second), -EBUSY);
	write_records(1);
	ck_assert_int_gt((int)size_of(name), 100);
	/* Another daemon was quicker: the trail is its. */
	ck_assert_int_eq(unlink(name), 0);
	ck_assert_int_eq(audit_open(path, 0, 0, &second), 0);
	ck_assert_int_eq(audit_look(file), -EBUSY);
	ck_assert_ptr_nonnull(strstr(file->trouble, "in use by another process"));
	audit_file_close(second);
	shut();
	/* What is in it may be anything. */
	file_write(name, "00000000000000000009 nonsense\n", 30);
	reopen();
	ck_assert(noted("the notes of the last stop are gone or damaged"));
	ck_assert_uint_eq(file->chain.sequence, 2);
	shut();
	first = NULL;
	ck_assert_int_eq(unlink(name), 0);
	ck_assert_int_eq(mkfifo(name, 0600), 0);
	ck_assert_int_eq(audit_open(path, 0, 0, &first), -EINVAL);
	ck_assert_int_eq(unlink(name), 0);
	ck_assert_int_eq(symlink("elsewhere", name), 0);
	ck_assert_int_eq(audit_open(path, 0, 0, &first), -ELOOP);
	ck_assert_int_eq(unlink(name), 0);
	/* Readable for others by a mistake. */
	file_write(name, "", 0);
	ck_assert_int_eq(chmod(name, 0644), 0);
	reopen();
	ck_assert_int_eq(stat(name, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	shut();
}
END_TEST

/* Fills what there is, then makes room with the given function, then goes on. */
static void until_full(int error, size_t record, void (*make_room)(void))
{
	struct chain chain = { 0 }, full;
	size_t n = 0, written;

	reopen();
	for (int round = 0; round < 2; round++) {
		uint64_t size;

		do {
			written = write_list(records(7, record), round, -error);
			n += written;
			ck_assert(written == 7 || written == 0);
		} while (written);
		full = file->chain;
		size = size_of(path);
		ck_assert_uint_eq(size, file->size);
		/* Again and again: nothing remains of what failed. */
		for (int i = 0; i < 5; i++) {
			ck_assert_uint_eq(write_list(records(300, 3 * record), round, -error), 0);
			ck_assert_uint_eq(size_of(path), size);
		}
		ck_assert_mem_eq(&full, &file->chain, sizeof(full));
		memset(&chain, 0, sizeof(chain));
		ck_assert_uint_eq(file_verify(path, &chain), n);
		if (round == 0)
			make_room();
		else
			break;
		ck_assert_uint_eq(write_list(records(1, 300), true, 0), 1);
		n++;
	}
	ck_assert_uint_gt(n, 100);
	shut();
}

static void higher_limit(void)
{
	struct rlimit limit = { .rlim_cur = 3999999, .rlim_max = RLIM_INFINITY };

	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(file_size_limit)
{
	/* Far more than Check's own file of messages needs. */
	struct rlimit limit = { .rlim_cur = 2000001, .rlim_max = RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	until_full(EFBIG, 9000, higher_limit);
	limit.rlim_cur = RLIM_INFINITY;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}
END_TEST

static void bigger_disk(void)
{
	ck_assert_int_eq(mount("tmpfs", folder, "tmpfs", MS_REMOUNT, "size=128k"), 0);
}

START_TEST(full_disk)
{
	/* Where neither root nor an unprivileged namespace is to be had, file_size_limit is all. */
	if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("tmpfs", folder, "tmpfs", 0, "size=64k") < 0)
		return;
	until_full(ENOSPC, 300, bigger_disk);
	ck_assert_int_eq(umount(folder), 0);
}
END_TEST

START_TEST(partial_writes)
{
	struct chain chain = { 0 };
	uint64_t before;

	reopen();
	write_records(1);
	before = file->size;
	faults.write = ENOSPC;
	for (ssize_t i = 0; i < 1000; i += 13) {
		faults.write_bytes = i;
		ck_assert_uint_eq(write_list(records(5, 200), false, -ENOSPC), 0);
		ck_assert_uint_eq(size_of(path), before);
	}
	/* In pieces, but in the end whole. */
	faults.write_bytes = 1000000;
	ck_assert_uint_eq(write_list(records(5, 200), true, 0), 5);
	faults.write_bytes = -1;
	shut();
	ck_assert_uint_eq(file_verify(path, &chain), 6);
}
END_TEST

START_TEST(cannot_cut_back)
{
	struct chain chain = { 0 };
	uint64_t before;

	reopen();
	write_records(1);
	before = file->size;
	faults.write = ENOSPC;
	faults.write_bytes = 100;
	faults.truncate = EIO;
	ck_assert_uint_eq(write_list(records(2, 200), false, -ENOSPC), 0);
	ck_assert_uint_eq(size_of(path), before + 100);
	/* Nothing is written behind half a record. */
	faults.write_bytes = -1;
	ck_assert_uint_eq(write_list(records(2, 200), false, -EIO), 0);
	ck_assert_uint_eq(size_of(path), before + 100);
	faults.truncate = 0;
	write_records(2);
	/* A stop at that time is as a crash: the next start cuts it off. */
	faults.write_bytes = 50;
	faults.truncate = EIO;
	ck_assert_uint_eq(write_list(records(1, 200), false, -ENOSPC), 0);
	shut();
	ck_assert_int_eq(open_keep(0, 0), -EIO);
	faults.write_bytes = -1;
	faults.truncate = 0;
	reopen();
	ck_assert(noted_cut(50));
	write_records(1);
	shut();
	ck_assert_uint_eq(file_verify(path, &chain), 4);
}
END_TEST

START_TEST(cannot_rotate)
{
	struct chain chain = { 0 };

	ck_assert_int_eq(open_keep(1000, 0), 0);
	faults.rename = EIO;
	write_records(10);
	ck_assert(noted("could not be rotated: Input/output error"));
	faults.rename = 0;
	/* It leaves nothing behind. */
	ck_assert_uint_eq(folder_count("audit.jsonl."), 0);
	ck_assert_uint_eq(write_list(records(1, 70000), false, 0), 1);
	write_records(1);
	ck_assert_uint_eq(folder_count("audit.jsonl."), 2);
	shut();
	verify_all(&chain);
	ck_assert_uint_eq(chain.sequence, 12);
	faults.flock = ENOLCK;
	ck_assert_int_eq(open_keep(0, 0), -ENOLCK);
	faults.flock = 0;
	/* Nor can a damaged file be set aside then: it stays, and the daemon does not start. */
	file_write(path, "x\n", 2);
	faults.rename = EROFS;
	ck_assert_int_eq(open_keep(0, 0), -EROFS);
	ck_assert_uint_eq(size_of(path), 2);
	ck_assert_uint_eq(folder_count("audit.jsonl."), 2);
}
END_TEST

START_TEST(cannot_delete_old)
{
	ck_assert_int_eq(open_keep(1000, 1), 0);
	write_records(10);
	faults.unlink = EIO;
	delete_old();
	faults.unlink = 0;
	ck_assert(noted("could not be deleted: Input/output error"));
	ck_assert_uint_eq(file->chain.sequence, 10);
	shut();
}
END_TEST

/* A folder with the name of an older file has no records, nor is it deleted. */
START_TEST(folder_of_an_old_name)
{
	char name[256];

	snprintf(name, sizeof(name), "%s.%020d", path, 1);
	reopen();
	write_records(3);
	shut();
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkdir(name, 0755), 0);
	reopen();
	ck_assert(noted("missing in the trail: records 1 to 3"));
	ck_assert_uint_eq(file->chain.sequence, 3);
	shut();
	ck_assert_int_eq(rmdir(name), 0);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { folder_new, folder_free };
	const struct test tests[] = {
		{ fresh },
		{ cannot_be_had },
		{ locked },
		{ relative_path },
		{ torn },
		{ empty },
		{ damaged },
		{ damaged_twice },
		{ rotation },
		{ keeps_some },
		{ crash_in_rotation },
		{ missing_or_unchained },
		{ disturbed_while_it_runs, .times = ARRAY_SIZE(disturbances) },
		{ disturbed_before_a_start, .times = ARRAY_SIZE(disturbances) },
		{ not_ours_before_a_start },
		{ older_files_are_missing },
		{ altered_last_record },
		{ older_part_put_back },
		{ folder_is_gone },
		{ readers_lock },
		{ state_is_touched },
		{ partial_writes },
		{ cannot_cut_back },
		{ cannot_rotate },
		{ cannot_delete_old },
		{ folder_of_an_old_name },
		{ file_size_limit },
		{ full_disk },
		{ NULL },
	};

	return run_tests(argc, argv, "audit-file", &hooks, tests);
}

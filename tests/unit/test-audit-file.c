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

#include "audit-file.h"
#include "audit-rotate.h"

static struct {
	int truncate, rename, flock; /* errno to fail with, 0 not to */
	int write;		     /* likewise, after write_bytes */
	ssize_t write_bytes;	     /* -1 for no limit */
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
static struct audit_file_report found;

static int open_keep(uint64_t rotate_bytes, unsigned int keep)
{
	free(found.aside);
	memset(&found, 0, sizeof(found));
	return audit_file_open(path, rotate_bytes, keep, &found, &file);
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
	ck_assert(!found.cut && !found.aside && !found.missing && !found.unchained);
	ck_assert_int_ne(fcntl(file->fd, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_ne(fcntl(file->folder, F_GETFD) & FD_CLOEXEC, 0);
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
	ck_assert_int_eq(audit_file_open(path, 0, 0, &found, &second), -EBUSY);
	write_records(20); /* rotates; the new file is locked from the beginning */
	ck_assert_int_eq(audit_file_open(path, 0, 0, &found, &second), -EBUSY);
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
	ck_assert_int_eq(audit_file_open("trail", 0, 0, &found, &file), 0);
	ck_assert_int_eq(access("trail", F_OK), 0);
	shut();
}
END_TEST

/* A file of three records, then a tail. */
static void with_tail(const char *tail, size_t size)
{
	char *text;
	size_t length = 0;

	unlink(path);
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
		ck_assert_uint_eq(found.cut, cases[i].size);
		ck_assert_ptr_null(found.aside);
		ck_assert_uint_eq(file->chain.sequence, 3);
		write_records(1);
		shut();
		ck_assert_uint_eq(file_verify(path, &chain), 4);
	}
	/* The very first record, cut at every byte. */
	with_tail("", 0);
	for (uint64_t size = 1; size < 280; size += 7) {
		ck_assert_int_eq(truncate(path, (off_t)size), 0);
		reopen();
		ck_assert_uint_eq(found.cut, size);
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
	ck_assert(!found.cut && !found.aside && !found.missing);
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

	reopen();
	snprintf(expected, sizeof(expected), "audit.jsonl.damaged-%ju", (uintmax_t)sequence);
	ck_assert_ptr_nonnull(found.aside);
	ck_assert_str_eq(found.aside, expected);
	name_in_folder(name, found.aside);
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
	ck_assert_str_eq(found.aside, "audit.jsonl.damaged-1.1");
	name_in_folder(name, found.aside);
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
		ck_assert_int_eq(file->maintenance, 0);
		shut();
	}
	verify_all(&chain);
	ck_assert_uint_eq(chain.sequence, 3 * (40 + 102));
	ck_assert_uint_eq(folder_count("audit.jsonl.next"), 0);
}
END_TEST

START_TEST(keeps_some)
{
	struct chain chain = { 0 };
	char name[256], *text;
	uint64_t first_left;

	name_in_folder(name, "audit.jsonl.not-ours");
	file_write(name, "x", 1);
	ck_assert_int_eq(open_keep(3000, 4), 0);
	ck_assert_uint_eq(file->first_left, 0);
	write_records(200);
	first_left = file->first_left;
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
		ck_assert_uint_eq(first, first_left);
		break;
	}
	chain.sequence = 0;
	ck_assert_int_eq(open_keep(3000, 1), 0);
	write_records(20);
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
	ck_assert(!found.missing && !found.unchained);
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
	reopen();
	ck_assert(found.missing && !found.unchained);
	write_records(1);
	shut();
	verify_all(&chain);
	ck_assert_uint_eq(chain.sequence, 6);

	ck_assert_int_eq(unlink(path), 0);
	text = file_read(aside, &size);
	file_write(aside, text, size - 1);
	free(text);
	reopen();
	ck_assert(found.missing && found.unchained);
	ck_assert_uint_eq(file->chain.sequence, 4);
	shut();
	snprintf(aside, sizeof(aside), "%s.%020d", path, 77);
	file_write(aside, "junk\n", 5);
	reopen();
	ck_assert(!found.missing && found.unchained);
	ck_assert_uint_eq(file->chain.sequence, 77);
	shut();
	/* The numbers go on also after damage. */
	file_write(path, "junk\n", 5);
	reopen();
	ck_assert_str_eq(found.aside, "audit.jsonl.damaged-78");
	shut();
	/* A rotated file that cannot be read is no reason to begin anew. */
	ck_assert_int_eq(unlink(aside), 0);
	ck_assert_int_eq(symlink("nowhere", aside), 0);
	ck_assert_int_eq(open_keep(0, 0), -ELOOP);
}
END_TEST

START_TEST(deleted_under_us)
{
	struct chain chain = { 0 };
	char *text;

	reopen();
	write_records(3);
	chain = file->chain;
	ck_assert_int_eq(unlink(path), 0);
	write_records(2);
	shut();
	ck_assert_uint_eq(file_verify(path, &chain), 2);
	ck_assert_uint_eq(chain.sequence, 5);

	/* Replaced by another file: neither is that overwritten nor anything handed out. */
	reopen();
	ck_assert_int_eq(unlink(path), 0);
	file_write(path, "x\n", 2);
	ck_assert_uint_eq(write_list(records(2, 200), false, -EEXIST), 0);
	ck_assert_uint_eq(size_of(path), 2);
	ck_assert_int_eq(unlink(path), 0);
	write_records(1);
	ck_assert_uint_eq(folder_count("audit.jsonl.next"), 0);

	/* Cut by somebody: the records that follow show it. */
	ck_assert_int_eq(truncate(path, 0), 0);
	write_records(1);
	shut();
	text = file_read(path, NULL);
	ck_assert_int_eq(strncmp(text, "{\"seq\":7,", 9), 0);
	free(text);
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
	ck_assert_uint_eq(found.cut, 50);
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
	ck_assert_int_eq(file->maintenance, -EIO);
	faults.rename = 0;
	faults.flock = ENOLCK;
	file->maintenance = 0;
	ck_assert_uint_eq(write_list(records(1, 70000), false, 0), 1);
	write_records(1);
	ck_assert_int_eq(file->maintenance, -ENOLCK);
	faults.flock = 0;
	/* Neither leaves anything behind. */
	ck_assert_uint_eq(folder_count("audit.jsonl."), 0);
	ck_assert_uint_eq(write_list(records(1, 70000), false, 0), 1);
	write_records(1);
	ck_assert_uint_eq(folder_count("audit.jsonl."), 2);
	shut();
	verify_all(&chain);
	ck_assert_uint_eq(chain.sequence, 14);
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
	char name[256];

	/* A folder has the name of an old file. */
	snprintf(name, sizeof(name), "%s.%020d", path, 0);
	ck_assert_int_eq(mkdir(name, 0755), 0);
	file_write(path, "", 0);
	ck_assert_int_eq(open_keep(1000, 1), -EISDIR);
	ck_assert_int_eq(rmdir(name), 0);
	ck_assert_int_eq(open_keep(1000, 1), 0);
	ck_assert_int_eq(mkdir(name, 0755), 0);
	write_records(10);
	ck_assert_int_eq(file->maintenance, -EISDIR);
	ck_assert_uint_eq(file->chain.sequence, 10);
	shut();
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("audit-file");

	tcase_add_test(tcase, fresh);
	tcase_add_test(tcase, cannot_be_had);
	tcase_add_test(tcase, locked);
	tcase_add_test(tcase, relative_path);
	tcase_add_test(tcase, torn);
	tcase_add_test(tcase, empty);
	tcase_add_test(tcase, damaged);
	tcase_add_test(tcase, damaged_twice);
	tcase_add_test(tcase, rotation);
	tcase_add_test(tcase, keeps_some);
	tcase_add_test(tcase, crash_in_rotation);
	tcase_add_test(tcase, missing_or_unchained);
	tcase_add_test(tcase, deleted_under_us);
	tcase_add_test(tcase, partial_writes);
	tcase_add_test(tcase, cannot_cut_back);
	tcase_add_test(tcase, cannot_rotate);
	tcase_add_test(tcase, cannot_delete_old);
	tcase_add_test(tcase, file_size_limit);
	tcase_add_test(tcase, full_disk);
	return run_tests("audit-file", tcase);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the trail as the daemon sees it: append, done, group commit, durability, stop.
 */
#include "test-audit.h"

#include "user/user.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static unsigned int syncs;     /* atomic */
static unsigned int sync_usec; /* how long each takes */
static int sync_error;

/* In place of the C library's: counted, slowed down or failed as a test wants. */
int fdatasync(int fd)
{
	__atomic_add_fetch(&syncs, 1, __ATOMIC_SEQ_CST);
	if (sync_usec)
		usleep(sync_usec);
	if (__atomic_load_n(&sync_error, __ATOMIC_SEQ_CST)) {
		errno = __atomic_load_n(&sync_error, __ATOMIC_SEQ_CST);
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static bool no_watch;

int inotify_init1(int flags)
{
	if (!no_watch)
		return (int)syscall(SYS_inotify_init1, flags);
	errno = EMFILE;
	return -1;
}

static pthread_t loop_thread;
static bool loop_only; /* nothing may be looked up by name in the event loop */
static bool look_hangs;

/* Likewise: a disk that hangs at a look-up. */
int fstatat(int where, const char *name, struct stat *st, int flags)
{
	if (loop_only)
		ck_assert(!pthread_equal(pthread_self(), loop_thread));
	while (__atomic_load_n(&look_hangs, __ATOMIC_SEQ_CST))
		usleep(1000);
	return (int)syscall(SYS_newfstatat, where, name, st, flags);
}

static unsigned int sync_count(void)
{
	return __atomic_load_n(&syncs, __ATOMIC_SEQ_CST);
}

static sd_event *loop;
static struct audit *audit;
static struct audit_settings settings;

static int open_trail(void)
{
	settings.path = path;
	ck_assert_int_ge(sd_event_new(&loop), 0);
	return audit_new(loop, &settings, &audit);
}

static void close_trail(void)
{
	audit = audit_free(audit);
	loop = sd_event_unref(loop);
}

/* The results in the order in which they came. */
static struct {
	uintptr_t number;
	int result;
	uint64_t sequence;
} results[20000];
static size_t n_results;

static void on_done(void *userdata, int result)
{
	results[n_results].number = (uintptr_t)userdata;
	results[n_results].result = result;
	results[n_results++].sequence = audit ? audit_sequence(audit) : 0;
}

static int append(const struct audit_event *event, size_t number)
{
	return audit_append(audit, event, on_done, (void *)number);
}

static void run_until(size_t n)
{
	while (n_results < n)
		ck_assert_int_gt(sd_event_run(loop, 10000000), 0);
}

/* Until the trail says something, for which nobody waits here. */
static void run_until_said(const char *part)
{
	for (int i = 0; !file_count(path, part); i++) {
		ck_assert_int_lt(i, 2000);
		ck_assert_int_ge(sd_event_run(loop, 10000), 0);
	}
}

static void check_order(size_t n)
{
	ck_assert_uint_eq(n_results, n);
	for (size_t i = 0; i < n; i++)
		ck_assert_uint_eq(results[i].number, i);
}

static void many(enum policy_durability durability, size_t n)
{
	struct audit_event event = sample_grant();
	struct chain chain = { 0 };

	ck_assert_int_eq(open_trail(), 0);
	audit_set_durability(audit, durability);
	for (size_t i = 0; i < n; i++) {
		size_t before = n_results;

		ck_assert_int_eq(append(&event, i), 0);
		ck_assert_uint_eq(n_results, before);
		if (i % 7 == 0)
			ck_assert_int_ge(sd_event_run(loop, 0), 0);
	}
	run_until(n);
	check_order(n);
	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(results[i].result, 0);
		ck_assert_uint_eq(results[i].sequence, i + 1);
	}
	ck_assert_uint_eq(audit_sequence(audit), n);
	close_trail();
	ck_assert_uint_eq(file_verify(path, &chain), n);
}

START_TEST(chain_written)
{
	many(POLICY_WRITTEN, 5000);
}
END_TEST

START_TEST(chain_synced)
{
	many(POLICY_SYNCED, 5000);
}
END_TEST

START_TEST(group_commit)
{
	struct audit_event event = sample_grant();

	ck_assert_int_eq(open_trail(), 0);
	sync_usec = 50000;
	ck_assert_int_eq(append(&event, 0), 0);
	while (!sync_count())
		ck_assert_int_ge(sd_event_run(loop, 1000), 0);
	/* The first is under way; whatever comes now goes with the second. */
	for (size_t i = 1; i < 500; i++)
		ck_assert_int_eq(append(&event, i), 0);
	run_until(500);
	check_order(500);
	ck_assert_uint_le(sync_count(), 3);
	ck_assert_uint_eq(audit_sequence(audit), 500);
	close_trail();
}
END_TEST

START_TEST(one_turn_one_write)
{
	struct audit_event event = sample_grant();

	ck_assert_int_eq(open_trail(), 0);
	for (size_t i = 0; i < 64; i++)
		ck_assert_int_eq(append(&event, i), 0);
	run_until(64);
	ck_assert_uint_eq(sync_count(), 1);
	audit_set_durability(audit, POLICY_WRITTEN);
	ck_assert_int_eq(append(&event, 64), 0);
	run_until(65);
	ck_assert_uint_eq(sync_count(), 1);
	check_order(65);
	close_trail();
	/* What was only written is synced at the end, and the state. */
	ck_assert_uint_eq(sync_count(), 3);
}
END_TEST

START_TEST(durability_changes_under_way)
{
	struct audit_event event = sample_grant();
	struct chain chain = { 0 };

	ck_assert_int_eq(open_trail(), 0);
	sync_usec = 20000;
	ck_assert_int_eq(append(&event, 0), 0);
	while (!sync_count())
		ck_assert_int_ge(sd_event_run(loop, 1000), 0);
	audit_set_durability(audit, POLICY_WRITTEN);
	ck_assert_int_eq(append(&event, 1), 0);
	run_until(2);
	ck_assert_uint_eq(sync_count(), 1);
	/* A record appended as synced stays so. */
	audit_set_durability(audit, POLICY_SYNCED);
	ck_assert_int_eq(append(&event, 2), 0);
	audit_set_durability(audit, POLICY_WRITTEN);
	ck_assert_int_eq(append(&event, 3), 0);
	run_until(4);
	ck_assert_uint_eq(sync_count(), 2);
	check_order(4);
	close_trail();
	ck_assert_uint_eq(file_verify(path, &chain), 4);
}
END_TEST

START_TEST(sync_fails)
{
	struct audit_event event = sample_grant();
	struct chain chain = { 0 };

	ck_assert_int_eq(open_trail(), 0);
	ck_assert_int_eq(append(&event, 0), 0);
	run_until(1);
	__atomic_store_n(&sync_error, EIO, __ATOMIC_SEQ_CST);
	ck_assert_int_eq(append(&event, 1), 0);
	ck_assert_int_eq(append(&event, 2), 0);
	run_until(3);
	ck_assert_int_eq(results[1].result, -EIO);
	ck_assert_int_eq(results[2].result, -EIO);
	ck_assert_uint_eq(audit_sequence(audit), 1);
	ck_assert_uint_eq(file_verify(path, &chain), 1);
	__atomic_store_n(&sync_error, 0, __ATOMIC_SEQ_CST);
	ck_assert_int_eq(append(&event, 3), 0);
	run_until(4);
	ck_assert_int_eq(results[3].result, 0);
	check_order(4);
	close_trail();
	/* It, and the record that says what is missing. */
	memset(&chain, 0, sizeof(chain));
	ck_assert_uint_eq(file_verify(path, &chain), 4 - 1);
	ck_assert_uint_eq(
		file_count(
			path, "2 events could not be recorded: Input/output error (user 1000: 2)"),
		1);
}
END_TEST

/* Each is counted, however it was lost, and whose it was. */
START_TEST(lost_events)
{
	struct audit_event grant = sample_grant(), start = { .kind = AUDIT_START };
	struct identity other = sample_peer;
	struct audit_event others = sample_grant(), again = sample_grant();
	size_t n = 0;

	other.uid = 7;
	others.peer = &other;
	again.not_lost = true;
	ck_assert_int_eq(open_trail(), 0);
	while (append(&grant, n) == 0)
		n++;
	/* The first is counted by now. */
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(audit_append(audit, &others, NULL, NULL), -ENOBUFS);
	ck_assert_int_eq(audit_append(audit, &start, NULL, NULL), -ENOBUFS);
	ck_assert_int_eq(audit_append(audit, &again, NULL, NULL), -ENOBUFS);
	run_until(n);
	run_until_said("6 events could not be recorded: too many records waited (user 1000: 1, "
		       "user 7: 4, others: 1)");
	/* Once. */
	ck_assert_int_eq(append(&grant, n), 0);
	run_until(n + 1);
	close_trail();
	ck_assert_uint_eq(file_count(path, "could not be recorded"), 1);
}
END_TEST

/* What could not be said before the stop is said after the next start. */
START_TEST(lost_at_the_stop)
{
	struct audit_event event = sample_denial(), again = sample_grant();

	again.not_lost = true;
	ck_assert_int_eq(open_trail(), 0);
	ck_assert_int_eq(append(&event, 0), 0);
	run_until(1);
	__atomic_store_n(&sync_error, ENOSPC, __ATOMIC_SEQ_CST);
	ck_assert_int_eq(append(&event, 1), 0);
	ck_assert_int_eq(append(&again, 2), 0);
	run_until(3);
	ck_assert_int_eq(results[2].result, -ENOSPC);
	/* At the stop nobody tries again. */
	ck_assert_int_eq(append(&again, 3), 0);
	close_trail();
	ck_assert_uint_eq(file_count(path, "could not be recorded"), 0);
	__atomic_store_n(&sync_error, 0, __ATOMIC_SEQ_CST);
	ck_assert_int_eq(open_trail(), 0);
	run_until_said("2 events could not be recorded: No space left on device (user 1000: 2)");
	close_trail();
	ck_assert_int_eq(open_trail(), 0);
	close_trail();
	ck_assert_uint_eq(file_count(path, "could not be recorded"), 1);
}
END_TEST

/* The record that older files are deleted comes first, and is repeated until it is there. */
START_TEST(deletion_waits_for_its_record)
{
	struct audit_event event = sample_grant();
	size_t n = 0;

	settings.rotate_bytes = 3000;
	settings.keep = 1;
	ck_assert_int_eq(open_trail(), 0);
	while (folder_count("audit.jsonl.0") < 2) {
		ck_assert_int_eq(append(&event, n++), 0);
		run_until(n);
	}
	ck_assert_uint_eq(file_count(path, "\"deleted\":{\"first\":1,"), 0);
	__atomic_store_n(&sync_error, EIO, __ATOMIC_SEQ_CST);
	ck_assert_int_eq(append(&event, n++), 0);
	run_until(n);
	__atomic_store_n(&sync_error, 0, __ATOMIC_SEQ_CST);
	/* The files may go, so that there is room. */
	for (int i = 0; folder_count("audit.jsonl.0") > 1; i++) {
		ck_assert_int_lt(i, 2000);
		ck_assert_int_ge(sd_event_run(loop, 10000), 0);
	}
	run_until_said("\"deleted\":{\"first\":1,");
	close_trail();
	ck_assert_uint_eq(file_count(path, "\"deleted\":{\"first\":1,"), 1);
}
END_TEST

START_TEST(free_with_waiting)
{
	struct audit_event event = sample_grant();
	struct chain chain = { 0 };

	ck_assert_int_eq(open_trail(), 0);
	sync_usec = 20000;
	ck_assert_int_eq(append(&event, 0), 0);
	while (!sync_count())
		ck_assert_int_ge(sd_event_run(loop, 1000), 0);
	for (size_t i = 1; i < 100; i++)
		ck_assert_int_eq(append(&event, i), 0);
	close_trail();
	check_order(100);
	for (size_t i = 0; i < 100; i++)
		ck_assert_int_eq(results[i].result, 0);
	ck_assert_uint_eq(file_verify(path, &chain), 100);
}
END_TEST

/* A done function that reports another event. */
static void on_done_again(void *userdata, int result)
{
	struct audit_event event = sample_grant();

	ck_assert_int_eq(result, 0);
	event.kind = AUDIT_UNDELIVERED;
	ck_assert_int_eq(append(&event, (size_t)(uintptr_t)userdata), 0);
}

START_TEST(append_in_done)
{
	struct audit_event event = sample_grant();
	struct chain chain = { 0 };

	ck_assert_int_eq(open_trail(), 0);
	ck_assert_int_eq(audit_append(audit, &event, on_done_again, (void *)0), 0);
	run_until(1);
	audit_set_durability(audit, POLICY_WRITTEN);
	ck_assert_int_eq(audit_append(audit, &event, on_done_again, (void *)1), 0);
	run_until(2);
	check_order(2);
	close_trail();
	ck_assert_uint_eq(file_verify(path, &chain), 4);
}
END_TEST

static void on_done_closing(void *userdata, int result)
{
	struct audit_event event = sample_grant();

	(void)userdata;
	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(append(&event, 0), -ENOBUFS);
	n_results++;
}

START_TEST(append_while_closing)
{
	struct audit_event event = sample_grant();

	ck_assert_int_eq(open_trail(), 0);
	ck_assert_int_eq(audit_append(audit, &event, on_done_closing, NULL), 0);
	audit_free(audit);
	ck_assert_uint_eq(n_results, 1);
	sd_event_unref(loop);
}
END_TEST

/* One user's records fill its share of the queue, and nobody else's. */
START_TEST(queue_is_shared)
{
	struct audit_event one = sample_grant(), other = sample_grant(), own = sample_grant();
	struct users *users = users_new();
	size_t n = 0;

	users_set_max(users, USER_RECORDS, AUDIT_WAITING_BYTES);
	ck_assert_int_eq(users_get(users, 1000, 0, &one.user), 0);
	ck_assert_int_eq(users_get(users, 2000, 0, &other.user), 0);
	ck_assert_int_eq(open_trail(), 0);
	while (append(&one, n) == 0)
		n++;
	ck_assert_int_eq(append(&one, n), -EUSERS);
	ck_assert_uint_ge(n, 1024);
	ck_assert_int_eq(append(&other, n), 0);
	ck_assert_int_eq(append(&own, n + 1), 0);
	close_trail();
	ck_assert_uint_eq(one.user->used[USER_RECORDS] + other.user->used[USER_RECORDS], 0);
	/* and it is said whose were lost: two that were asked for beyond it */
	ck_assert_uint_eq(file_count(path, "2 events could not be recorded"), 1);
	user_unref(one.user);
	user_unref(other.user);
	users_free(users);
}
END_TEST

START_TEST(queue_bounded)
{
	struct audit_event event = sample_grant();
	size_t n = 0;

	ck_assert_int_eq(open_trail(), 0);
	while (append(&event, n) == 0)
		ck_assert_uint_lt(++n, ARRAY_SIZE(results));
	ck_assert_int_eq(append(&event, n), -ENOBUFS);
	ck_assert_uint_gt(n, 1000);
	run_until(n);
	check_order(n);
	ck_assert_int_eq(append(&event, n), 0);
	run_until(n + 1);
	close_trail();
}
END_TEST

START_TEST(queue_bounded_in_bytes)
{
	struct audit_event event = sample_grant();
	static char long_text[5000];
	size_t n = 0;

	memset(long_text, '\n', sizeof(long_text) - 1);
	event.reason = event.heap = event.rule = long_text;
	ck_assert_int_eq(open_trail(), 0);
	while (append(&event, n) == 0)
		n++;
	ck_assert_uint_lt(n * 12000, 20u << 20);
	run_until(n);
	check_order(n);
	close_trail();
}
END_TEST

START_TEST(fds_and_restart)
{
	struct audit_event event = sample_grant();
	struct chain chain = { 0 };
	size_t before;

	settings.journal = true;
	settings.fold_after = 3;
	settings.fold_usec = 1000000;
	before = fd_count();
	for (size_t i = 0; i < 20; i++) {
		ck_assert_int_eq(open_trail(), 0);
		ck_assert_uint_eq(audit_sequence(audit), 2 * i);
		ck_assert_int_eq(append(&event, 2 * i), 0);
		run_until(2 * i + 1);
		ck_assert_int_eq(append(&event, 2 * i + 1), 0);
		close_trail();
	}
	ck_assert_uint_le(fd_count(), before + 1); /* the journal's socket stays */
	check_order(40);
	ck_assert_uint_eq(file_verify(path, &chain), 40);
}
END_TEST

START_TEST(open_fails_clean)
{
	size_t before = fd_count();

	ck_assert_int_eq(open_trail(), 0);
	for (int i = 0; i < 3; i++) {
		struct audit *other = NULL;

		ck_assert_int_eq(audit_new(loop, &settings, &other), -EBUSY);
		ck_assert_ptr_null(other);
	}
	close_trail();
	ck_assert_uint_eq(fd_count(), before);
	ck_assert_ptr_null(audit_free(NULL));
}
END_TEST

START_TEST(few_fds)
{
	size_t before = fd_count();
	struct rlimit limit;
	rlim_t normal;
	int r = -1;

	settings.path = path;
	settings.journal = true;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	normal = limit.rlim_cur;
	for (size_t fds = 4; r < 0; fds++) {
		ck_assert_uint_lt(fds, 100);
		ck_assert_int_ge(sd_event_new(&loop), 0);
		limit.rlim_cur = fds;
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		r = audit_new(loop, &settings, &audit);
		limit.rlim_cur = normal;
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		ck_assert(r == 0 || (r == -EMFILE && !audit));
		close_trail();
		ck_assert_uint_eq(fd_count(), before);
	}
}
END_TEST

START_TEST(rotation_in_both_modes)
{
	struct audit_event event = sample_grant();
	struct chain chain = { 0 };
	size_t n = 0;

	settings.rotate_bytes = 20000;
	ck_assert_int_eq(open_trail(), 0);
	for (int round = 0; round < 2; round++) {
		audit_set_durability(audit, round ? POLICY_SYNCED : POLICY_WRITTEN);
		for (size_t i = 0; i < 200; i++) {
			ck_assert_int_eq(append(&event, n++), 0);
			if (i % 3 == 0)
				run_until(n);
		}
	}
	run_until(n);
	check_order(n);
	close_trail();
	ck_assert_uint_gt(folder_count("audit.jsonl."), 5);
	for (;;) {
		char name[256];

		snprintf(name, sizeof(name), "%s.%020ju", path, (uintmax_t)chain.sequence + 1);
		if (access(name, F_OK) < 0)
			break;
		file_verify(name, &chain);
	}
	file_verify(path, &chain);
	ck_assert_uint_eq(chain.sequence, n);
}
END_TEST

/* The number that the oldest file begins with. */
static uint64_t oldest(void)
{
	DIR *dir = opendir(folder);
	uint64_t lowest = UINT64_MAX;
	struct dirent *entry;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir))) {
		static const char prefix[] = "audit.jsonl.0";
		uint64_t number;

		if (strncmp(entry->d_name, prefix, sizeof(prefix) - 1) != 0)
			continue;
		number = strtoull(entry->d_name + sizeof(prefix) - 1, NULL, 10);
		lowest = number < lowest ? number : lowest;
	}
	closedir(dir);
	return lowest;
}

START_TEST(deletion_is_recorded)
{
	struct audit_event event = sample_grant();
	char said[96], name[256];
	size_t n = 0;

	settings.rotate_bytes = 5000;
	settings.keep = 2;
	for (int round = 0; round < 2; round++) {
		ck_assert_int_eq(open_trail(), 0);
		audit_set_durability(audit, round ? POLICY_SYNCED : POLICY_WRITTEN);
		for (size_t end = n + 60; n < end; n++) {
			ck_assert_int_eq(append(&event, n), 0);
			run_until(n + 1);
		}
		close_trail();
		ck_assert_uint_eq(folder_count("audit.jsonl.0"), 2);
		/* What is left says that all before it was deleted. */
		snprintf(said, sizeof(said), "\"last\":%ju}}", (uintmax_t)oldest() - 1);
		snprintf(name, sizeof(name), "cat %s/audit.jsonl* | grep -q 'only 2 older.*%s'",
			folder, said);
		ck_assert_int_eq(system(name), 0);
		ck_assert_uint_eq(file_count(path, "missing"), 0);
	}
}
END_TEST

START_TEST(rotation_fails)
{
	struct audit_event event = sample_grant();
	struct chain chain = { 0 };
	char name[256];

	/* The name is taken: the trail goes on in a longer file and says so. */
	settings.rotate_bytes = 5000;
	ck_assert_int_eq(open_trail(), 0);
	snprintf(name, sizeof(name), "%s.%020d", path, 1);
	file_write(name, "x", 1);
	for (size_t i = 0; i < 30; i++) {
		ck_assert_int_eq(append(&event, i), 0);
		run_until(i + 1);
		ck_assert_int_eq(results[i].result, 0);
	}
	close_trail();
	check_order(30);
	ck_assert_uint_gt(file_verify(path, &chain), 30);
	ck_assert_uint_gt(file_count(path, "could not be rotated"), 0);
	ck_assert_uint_le(file_count(path, "could not be rotated"), 2);
}
END_TEST

START_TEST(rotation_fails_at_every_record)
{
	struct audit_event event = sample_grant();
	char name[256];

	/* So small that each record would rotate: the stop comes to an end all the same. */
	settings.rotate_bytes = 1;
	ck_assert_int_eq(open_trail(), 0);
	snprintf(name, sizeof(name), "%s.%020d", path, 1);
	file_write(name, "x", 1);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(append(&event, i), 0);
	close_trail();
	check_order(3);
}
END_TEST

START_TEST(reports)
{
	struct audit_event event = sample_grant();
	struct chain chain = { 0 };
	char rotated[256], *text;
	size_t size = 0;

	ck_assert_int_eq(open_trail(), 0);
	ck_assert_int_eq(append(&event, 0), 0);
	close_trail();
	text = file_read(path, &size);
	text = realloc(text, size + 20);
	memcpy(text + size, "{\"seq\":2,\"prev\":\"01", 19);
	file_write(path, text, size + 19);
	ck_assert_int_eq(open_trail(), 0);
	close_trail();
	ck_assert_uint_eq(file_verify(path, &chain), 2);
	ck_assert_uint_eq(file_count(path, "incomplete last record of 19 bytes was cut off"), 1);

	/* The state knows where the chain stood. */
	file_write(path, "what is this?\n", 14);
	ck_assert_int_eq(open_trail(), 0);
	close_trail();
	ck_assert_uint_eq(file_verify(path, &chain), 2);
	ck_assert_uint_eq(file_count(path, "it is now audit.jsonl.damaged-3\""), 1);
	ck_assert_uint_eq(file_count(path, "\"missing\":[{\"first\":1,\"last\":2}]"), 1);

	file_write(path, "what is this?\n", 14);
	forget_state();
	ck_assert_int_eq(open_trail(), 0);
	close_trail();
	memset(&chain, 0, sizeof(chain));
	ck_assert_uint_eq(file_verify(path, &chain), 1);
	ck_assert_uint_eq(file_count(path, "audit.jsonl.damaged-1 and a new chain begins"), 1);
	free(text);

	snprintf(rotated, sizeof(rotated), "%s.%020d", path, 1);
	file_write(rotated, "junk\n", 5);
	ck_assert_int_eq(unlink(path), 0);
	forget_state();
	ck_assert_int_eq(open_trail(), 0);
	close_trail();
	ck_assert_uint_eq(file_count(path, "the audit file was gone"), 1);
	ck_assert_uint_eq(file_count(path, "the newest older audit file does not end in"), 1);
}
END_TEST

/* What was done to the file is the first record of the new one, before those that come with it. */
static void disturbed(enum policy_durability durability)
{
	struct audit_event event = sample_grant();
	char moved[256], older[256];

	snprintf(moved, sizeof(moved), "%s.1", path);
	ck_assert_int_eq(open_trail(), 0);
	audit_set_durability(audit, durability);
	ck_assert_int_eq(append(&event, 0), 0);
	run_until(1);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(append(&event, 1), 0);
	ck_assert_int_eq(append(&event, 2), 0);
	run_until(3);
	check_order(3);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(results[i].result, 0);
	ck_assert_uint_eq(results[1].sequence, 3);
	ck_assert_uint_eq(file_count(path, "\"event\":\"error\""), 1);
	ck_assert_uint_eq(file_count(path, "record 1; the audit file was deleted"), 1);

	/* Though no record comes, it is seen soon after the last one. */
	ck_assert_int_eq(append(&event, 3), 0);
	run_until(4);
	ck_assert_int_eq(rename(path, moved), 0);
	run_until_said("the audit file was renamed or moved");
	snprintf(older, sizeof(older), "%s.%020d", path, 2);
	ck_assert_int_eq(access(older, F_OK), 0);
	close_trail();
	ck_assert_uint_eq(file_count(path, "records from 2 on are in audit.jsonl.0000000000"), 1);
}

START_TEST(disturbed_written)
{
	disturbed(POLICY_WRITTEN);
}
END_TEST

START_TEST(disturbed_synced)
{
	disturbed(POLICY_SYNCED);
}
END_TEST

/* Where the kernel does not tell of changes, it takes a moment longer. */
START_TEST(disturbed_untold)
{
	no_watch = true;
	disturbed(POLICY_WRITTEN);
}
END_TEST

/* Somebody who touches the file all the time keeps nobody waiting. */
START_TEST(disturbed_all_the_time)
{
	struct audit_event event = sample_grant();

	ck_assert_int_eq(open_trail(), 0);
	audit_set_durability(audit, POLICY_WRITTEN);
	for (size_t i = 0; i < 200; i++) {
		ck_assert_int_eq(append(&event, i), 0);
		while (n_results <= i) {
			if (i % 2)
				unlink(path);
			else
				(void)!truncate(path, 0);
			ck_assert_int_gt(sd_event_run(loop, 10000000), 0);
		}
		ck_assert_int_eq(results[i].result, 0);
	}
	close_trail();
	check_order(200);
}
END_TEST

/* What can hang at a name hangs a thread, not the event loop. */
START_TEST(look_up_hangs)
{
	struct audit_event event = sample_grant();
	size_t n = 0;

	loop_thread = pthread_self();
	ck_assert_int_eq(open_trail(), 0);
	audit_set_durability(audit, POLICY_WRITTEN);
	loop_only = true;
	for (int i = 0; i < 50; i++) {
		ck_assert_int_eq(append(&event, n++), 0);
		run_until(n);
		usleep(5000);
	}
	__atomic_store_n(&look_hangs, true, __ATOMIC_SEQ_CST);
	usleep(150000); /* now a look is due */
	ck_assert_int_eq(append(&event, n++), 0);
	for (int i = 0; i < 20; i++)
		ck_assert_int_ge(sd_event_run(loop, 5000), 0);
	ck_assert_int_eq(append(&event, n++), 0);
	ck_assert_uint_eq(n_results, n - 2);
	__atomic_store_n(&look_hangs, false, __ATOMIC_SEQ_CST);
	run_until(n);
	check_order(n);
	loop_only = false;
	close_trail();
}
END_TEST

START_TEST(no_folder_for_a_while)
{
	struct audit_event event = sample_denial();
	char moved[96], text[256];

	snprintf(moved, sizeof(moved), "%s-moved", folder);
	ck_assert_int_eq(open_trail(), 0);
	ck_assert_int_eq(append(&event, 0), 0);
	run_until(1);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rename(folder, moved), 0);
	ck_assert_int_eq(append(&event, 1), 0);
	ck_assert_int_eq(append(&event, 2), 0);
	run_until(3);
	ck_assert_int_eq(results[1].result, -ENOENT);
	ck_assert_int_eq(results[2].result, -ENOENT);
	ck_assert_ptr_nonnull(strstr(audit_why_not(audit), "the folder must exist"));
	/* It goes on by itself, and nothing need come for that. */
	ck_assert_int_eq(rename(moved, folder), 0);
	snprintf(text, sizeof(text), "2 events could not be recorded: %s (user 1000: 2)",
		strerror(ENOENT));
	run_until_said(text);
	run_until_said("the audit file was deleted");
	ck_assert_str_eq(audit_why_not(audit), "");
	close_trail();
}
END_TEST

START_TEST(folding)
{
	struct audit_event event = sample_denial(), grant = sample_grant();
	struct chain chain = { 0 };

	settings.fold_after = 3;
	settings.fold_usec = 60000000;
	ck_assert_int_eq(open_trail(), 0);
	for (size_t i = 0; i < 100; i++)
		ck_assert_int_eq(append(i == 50 ? &grant : &event, i), 0);
	run_until(100);
	check_order(100);
	close_trail();
	ck_assert_uint_eq(file_verify(path, &chain), 5);
	ck_assert_uint_eq(file_count(path, "\"event\":\"deny\""), 4);
	ck_assert_uint_eq(file_count(path, "\"repeated\":96}"), 1);
}
END_TEST

START_TEST(folded_and_then_unwritten)
{
	struct audit_event event = sample_denial(), grant = sample_grant();

	/* What a counted record that fails stood for is counted on. */
	settings.fold_after = 1;
	settings.fold_usec = 20000;
	ck_assert_int_eq(open_trail(), 0);
	__atomic_store_n(&sync_error, EIO, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < 10; i++)
		ck_assert_int_eq(append(&event, i), 0);
	run_until(10);
	while (sync_count() < 2)
		ck_assert_int_ge(sd_event_run(loop, 100000), 0);
	for (int i = 0; i < 20; i++)
		ck_assert_int_ge(sd_event_run(loop, 5000), 0);
	__atomic_store_n(&sync_error, 0, __ATOMIC_SEQ_CST);
	ck_assert_int_eq(append(&grant, 10), 0);
	run_until(11);
	close_trail();
	ck_assert_uint_eq(file_count(path, "\"reason\":\"10 events could not be recorded"), 1);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { folder_new, folder_free };
	const struct test tests[] = {
		{ chain_written },
		{ chain_synced },
		{ group_commit },
		{ one_turn_one_write },
		{ durability_changes_under_way },
		{ sync_fails },
		{ free_with_waiting },
		{ append_in_done },
		{ append_while_closing },
		{ queue_is_shared },
		{ queue_bounded },
		{ queue_bounded_in_bytes },
		{ fds_and_restart },
		{ open_fails_clean },
		{ few_fds },
		{ rotation_in_both_modes },
		{ deletion_is_recorded },
		{ rotation_fails },
		{ rotation_fails_at_every_record },
		{ reports },
		{ disturbed_written },
		{ disturbed_synced },
		{ disturbed_untold },
		{ disturbed_all_the_time },
		{ look_up_hangs },
		{ no_folder_for_a_while },
		{ lost_events },
		{ lost_at_the_stop },
		{ deletion_waits_for_its_record },
		{ folding },
		{ folded_and_then_unwritten },
		{ NULL },
	};

	return run_tests(argc, argv, "audit", &hooks, tests);
}

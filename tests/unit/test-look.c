/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of looks, by children that do what the number of the process says: answer, take long, hang,
 * end, lie. And of the filter of the real ones.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "fixture.h"
#include "helper/inspect-child.h"
#include "helper/inspect-filter.h"
#include "peer/inspect-internal.h"

/* What is made of a number. */
enum act {
	ANSWER = 1000,
	SLOW,	      /* answers after 200 ms */
	HANG,	      /* says nothing */
	NOTICE_HANG,  /* says that it may, of person 77 */
	NOTICE_SLOW,  /* the same, and answers after 300 ms */
	CAREFUL,      /* of person 77: will not look while there is one that hangs */
	CAREFUL_AS_5, /* of person 5 */
	END,
	SHORT,
	OTHER_NUMBER,
	UNASKED,  /* answers twice */
	TEXTS,	  /* sizes that are not so */
	POSITIVE, /* an error that is none */
	GONE,	  /* no such process */
};

static void answer(int fd, const struct inspect_question *question, enum inspect_kind kind,
	int error, uint32_t person)
{
	struct inspect_answer told = {
		.number = question->number,
		.kind = kind,
		.error = error,
		.start_time = (uint64_t)question->pid,
		.person.uid = person,
	};

	(void)!send(fd, &told, sizeof(told), MSG_NOSIGNAL);
}

static bool lists(const struct inspect_question *question, uint32_t person)
{
	for (uint32_t i = 0; i < question->n_hanging; i++)
		if (question->hanging[i].uid == person)
			return true;
	return false;
}

static void wait_for_ever(void)
{
	for (;;)
		pause();
}

static void do_act(int fd, const struct inspect_question *question)
{
	struct inspect_question other = *question;
	struct inspect_answer told = { .number = question->number, .kind = INSPECT_ANSWER };

	switch ((enum act)(1000 + question->pid % 100)) {
	case SLOW:
		poll(NULL, 0, 200);
		break;
	case HANG:
		wait_for_ever();
		break;
	case NOTICE_HANG:
		answer(fd, question, INSPECT_NOTICE, 0, 77);
		wait_for_ever();
		break;
	case NOTICE_SLOW:
		answer(fd, question, INSPECT_NOTICE, 0, 77);
		poll(NULL, 0, 300);
		break;
	case CAREFUL:
		answer(fd, question, INSPECT_ANSWER, lists(question, 77) ? -EBUSY : 0, 77);
		return;
	case CAREFUL_AS_5:
		answer(fd, question, INSPECT_ANSWER, lists(question, 5) ? -EBUSY : 0, 5);
		return;
	case END:
		_exit(3);
	case SHORT:
		(void)!send(fd, "x", 1, MSG_NOSIGNAL);
		return;
	case OTHER_NUMBER:
		other.number++;
		answer(fd, &other, INSPECT_ANSWER, 0, 1);
		return;
	case UNASKED:
		answer(fd, question, INSPECT_ANSWER, 0, 1);
		break;
	case TEXTS:
		told.sizes[INSPECT_TEXT_EXE] = 7;
		(void)!send(fd, &told, sizeof(told), MSG_NOSIGNAL);
		return;
	case POSITIVE:
		answer(fd, question, INSPECT_ANSWER, 1, 1);
		return;
	case GONE:
		answer(fd, question, INSPECT_ANSWER, -ESRCH, 1);
		return;
	case ANSWER:
	default:
		break;
	}
	answer(fd, question, INSPECT_ANSWER, 0, 1);
}

void __real_inspect_child(int fd, const struct helper_settings *settings);
void __wrap_inspect_child(int fd, const struct helper_settings *settings);

void __wrap_inspect_child(int fd, const struct helper_settings *settings)
{
	struct inspect_question question;

	(void)settings;
	while (recv(fd, &question, sizeof(question), 0) > 0)
		do_act(fd, &question);
}

/* --- asking --- */

struct asked {
	struct inspection *inspection; /* NULL once it is done */
	int pid, result, order;
	bool done;
	uint64_t since, took;
};

static int n_done;

static void on_inspected(void *userdata, int result, const struct inspect_answer *told)
{
	struct asked *asked = userdata;

	ck_assert(!asked->done);
	asked->done = true;
	asked->inspection = NULL;
	asked->result = result;
	asked->order = ++n_done;
	asked->took = clock_usec(CLOCK_MONOTONIC) - asked->since;
	ck_assert_int_eq(told != NULL, result == 0);
	if (told)
		ck_assert_uint_eq(told->start_time, (uint64_t)asked->pid);
}

static void ask_as(struct asked *asked, uid_t uid, int pid)
{
	struct user *user;

	*asked = (struct asked){ .pid = pid, .since = clock_usec(CLOCK_MONOTONIC) };
	ck_assert_int_eq(users_get(fixture.users, uid, 0, &user), 0);
	ck_assert_int_eq(inspect_new(fixture.inspections, user, pid, INSPECT_WANT_ALL, on_inspected,
				 asked, &asked->inspection),
		0);
	user_unref(user);
	ck_assert(!asked->done);
}

static void ask(struct asked *asked, int pid)
{
	ask_as(asked, 1, pid);
}

static int inspect_at(int pid)
{
	struct asked asked;

	ask(&asked, pid);
	fixture_run_until(asked.done);
	return asked.result;
}

static uint64_t charged(uid_t uid)
{
	struct user *user;
	uint64_t n;

	ck_assert_int_eq(users_get(fixture.users, uid, 0, &user), 0);
	n = user->used[USER_INSPECTIONS];
	user_unref(user);
	return n;
}

static void set_up(void)
{
	fixture_set_up();
	users_set_max(fixture.users, USER_INSPECTIONS, INSPECT_CHILDREN_MAX);
	n_done = 0;
}

/* --- answers --- */

START_TEST(answers)
{
	struct asked asked[50];

	ck_assert_int_eq(inspect_at(ANSWER), 0);
	ck_assert_int_eq(inspect_at(GONE), -ESRCH);
	for (int i = 0; i < 50; i++)
		ask(&asked[i], ANSWER + 1000 * i);
	for (int i = 0; i < 50; i++) {
		fixture_run_until(asked[i].done);
		ck_assert_int_eq(asked[i].result, 0);
	}
	/* some may have been slow, on a busy machine */
	fixture_run_until(charged(1) == 0 && fixture.inspections->n_lookers == 2);
}
END_TEST

START_TEST(answer_is_taken_early)
{
	struct asked asked;

	ask(&asked, ANSWER);
	inspect_hurry(asked.inspection);
	while (!asked.done) {
		poll(NULL, 0, 1);
		inspect_hurry(asked.inspection);
	}
	ck_assert_int_eq(asked.result, 0);
}
END_TEST

/* One that ends, or says what makes no sense, costs its look and no more. */
START_TEST(inspectors_that_fail)
{
	static const int acts[] = { END, SHORT, OTHER_NUMBER, TEXTS, POSITIVE };

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(inspect_at(acts[_i]), -EIO);
		ck_assert_int_eq(inspect_at(ANSWER), 0);
	}
	/* of one that was slow, once it is gone */
	fixture_run_until(charged(1) == 0);
}
END_TEST

/* An answer to nothing is not taken for that to the next question. */
START_TEST(unasked_answer)
{
	int results[2] = { 0, 0 };

	ck_assert_int_eq(inspect_at(UNASKED), 0);
	for (int i = 0; i < 4; i++) {
		int r = inspect_at(ANSWER + 1000 * (i + 1));

		ck_assert(r == 0 || r == -EIO);
		results[r != 0]++;
	}
	ck_assert_int_ge(results[0], 3);
}
END_TEST

static const struct {
	size_t size;
	uint16_t sizes[INSPECT_TEXTS];
	const char *texts;
	size_t texts_size;
	bool valid;
} forms[] = {
	{ sizeof(struct inspect_answer) - 1, { 0 }, "", 0, false },
	{ 0, { 0 }, "", 0, true },
	{ 0, { 2, 2, 2 }, "a\0b\0c", 6, true },
	{ 0, { 0, 2, 0 }, "b", 2, true },
	{ 0, { 2, 2, 2 }, "a\0b\0c", 5, false },
	{ 0, { 2, 2, 2 }, "a\0b\0cd", 7, false },
	{ 0, { 2, 2, 2 }, "abcdef", 6, false },
	{ 0, { 3, 0, 0 }, "\0\0", 3, false },
	{ 0, { 4, 0, 0 }, "a\0b", 4, false },
	{ 0, { 65535, 65535, 65535 }, "", 0, false },
};

START_TEST(forms_of_answers)
{
	union {
		struct inspect_answer answer;
		char space[sizeof(struct inspect_answer) + 16];
	} told = { .answer.kind = INSPECT_ANSWER };
	size_t size = forms[_i].size ? forms[_i].size : sizeof(told.answer) + forms[_i].texts_size;

	memcpy(told.answer.sizes, forms[_i].sizes, sizeof(told.answer.sizes));
	memcpy(told.answer.texts, forms[_i].texts, forms[_i].texts_size);
	ck_assert_int_eq(inspect_answer_valid(&told.answer, size), forms[_i].valid);
	if (!forms[_i].valid)
		return;
	memset(told.answer.groups, 'x', sizeof(told.answer.groups));
	ck_assert(!inspect_answer_valid(&told.answer, size));
}
END_TEST

START_TEST(texts_of_an_answer)
{
	union {
		struct inspect_answer answer;
		char space[sizeof(struct inspect_answer) + 16];
	} told = { .answer = { .kind = INSPECT_ANSWER, .sizes = { 3, 0, 2 } } };

	memcpy(told.answer.texts, "ab\0c", 5);
	ck_assert_str_eq(inspect_answer_text(&told.answer, INSPECT_TEXT_CGROUP), "ab");
	ck_assert_ptr_null(inspect_answer_text(&told.answer, INSPECT_TEXT_LSM));
	ck_assert_str_eq(inspect_answer_text(&told.answer, INSPECT_TEXT_EXE), "c");
}
END_TEST

/* --- looks that hang --- */

START_TEST(others_do_not_wait)
{
	struct asked hung[3], asked;

	for (int i = 0; i < 3; i++) {
		ask_as(&hung[i], (uid_t)(10 + i), HANG + 1000 * i);
		for (int n = 0; n < 20; n++) {
			ask(&asked, ANSWER);
			fixture_run_until(asked.done);
			ck_assert_int_eq(asked.result, 0);
			ck_assert_uint_lt(asked.took, 3000000);
		}
	}
	fixture_run_until(charged(12) == 1);
	ck_assert_uint_eq(charged(10), 1);
	ck_assert_uint_eq(charged(1), 0);
	fixture_run_until(hung[2].done);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(hung[i].result, -ETIMEDOUT);
		ck_assert_uint_ge(hung[i].took, INSPECT_USEC);
		ck_assert_uint_lt(hung[i].took, INSPECT_USEC + 5000000);
	}
	/* these could be ended, so they are paid for */
	fixture_run_until(charged(10) + charged(11) + charged(12) == 0);
	while (fixture.inspections->n_lookers != 2)
		ck_assert_int_gt(sd_event_run(fixture.loop, 10000000), 0);
	ck_assert_int_eq(inspect_at(ANSWER), 0);
}
END_TEST

/* Who it really is pays, once that is known; and another look of the same person waits for a while,
 * and is then given up: it would hang as well. */
START_TEST(person_that_hangs)
{
	struct asked hung, careful, another, later;

	ask_as(&hung, 100000, NOTICE_HANG);
	fixture_run_until(charged(77) == 1);
	ck_assert_uint_eq(charged(100000), 0);
	ask_as(&careful, 100001, CAREFUL);
	ask_as(&another, 5, CAREFUL_AS_5);
	fixture_run_until(another.done);
	ck_assert_int_eq(another.result, 0);
	ck_assert(!careful.done);
	fixture_run_until(careful.done);
	ck_assert_int_eq(careful.result, -ETIMEDOUT);
	ck_assert_uint_lt(careful.took, 4000000);
	ck_assert(!hung.done);
	/* it is known by now */
	ask_as(&later, 100002, CAREFUL);
	fixture_run_until(later.done);
	ck_assert_int_eq(later.result, -ETIMEDOUT);
	ck_assert_uint_lt(later.took, 1000000);
	inspect_cancel(hung.inspection);
}
END_TEST

START_TEST(person_that_is_slow)
{
	struct asked slow, careful;

	ask_as(&slow, 100000, NOTICE_SLOW);
	fixture_run_until(charged(77) == 1);
	ask_as(&careful, 100001, CAREFUL);
	fixture_run_until(careful.done);
	ck_assert(slow.done);
	ck_assert_int_eq(slow.result, 0);
	ck_assert_int_eq(careful.result, 0);
	ck_assert_uint_eq(charged(77), 0);
}
END_TEST

/* However many hang, there are so many processes and no more, and the share of a user ends before.
 */
START_TEST(as_many_as_may_be)
{
	enum { N = 3 * INSPECT_CHILDREN_MAX };
	static struct asked asked[N];
	unsigned int most = 0, late = 0;

	for (int i = 0; i < N; i++)
		ask_as(&asked[i], (uid_t)(100 + i / 48), HANG + 1000 * i);
	for (int i = 0; i < N; i++)
		while (!asked[i].done) {
			ck_assert_int_gt(sd_event_run(fixture.loop, 10000000), 0);
			if (fixture.inspections->n_lookers > most)
				most = fixture.inspections->n_lookers;
			ck_assert_uint_lt(charged(100), INSPECT_CHILDREN_MAX);
		}
	for (int i = 0; i < N; i++)
		late += asked[i].result == -ETIMEDOUT;
	ck_assert_uint_eq(late, N);
	ck_assert_uint_le(most, INSPECT_CHILDREN_MAX);
	while (fixture.inspections->n_lookers != 2)
		ck_assert_int_gt(sd_event_run(fixture.loop, 10000000), 0);
	ck_assert_uint_eq(charged(100) + charged(101), 0);
	ck_assert_int_eq(inspect_at(ANSWER), 0);
}
END_TEST

/* --- turns, and ends before the time --- */

START_TEST(turns_of_users)
{
	struct asked many[20], one;

	for (int i = 0; i < 20; i++)
		ask_as(&many[i], 1, SLOW + 1000 * i);
	ask_as(&one, 2, ANSWER);
	fixture_run_until(one.done);
	ck_assert_int_lt(one.order, 8);
	for (int i = 0; i < 20; i++)
		fixture_run_until(many[i].done);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(many[i].result, 0);
}
END_TEST

START_TEST(cancelled)
{
	struct asked asked[10], held;

	for (int i = 0; i < 10; i++)
		ask(&asked[i], SLOW + 1000 * i);
	/* running, and waiting: of one user in the middle, first and last */
	ck_assert_ptr_null(inspect_cancel(asked[0].inspection));
	ck_assert_ptr_null(inspect_cancel(asked[5].inspection));
	ck_assert_ptr_null(inspect_cancel(asked[9].inspection));
	ck_assert_ptr_null(inspect_cancel(asked[2].inspection));
	for (int i = 0; i < 10; i++)
		if (i != 0 && i != 5 && i != 9 && i != 2)
			fixture_run_until(asked[i].done);
	ck_assert(!asked[0].done && !asked[5].done && !asked[9].done && !asked[2].done);
	ask(&asked[0], NOTICE_HANG);
	fixture_run_until(charged(77) == 1);
	ask(&held, CAREFUL);
	fixture_run_until(fixture.inspections->held);
	inspect_cancel(held.inspection);
	inspect_cancel(asked[0].inspection);
	ck_assert_ptr_null(fixture.inspections->held);
	ck_assert_ptr_null(inspect_cancel(NULL));
	ck_assert_int_eq(inspect_at(ANSWER), 0);
}
END_TEST

START_TEST(stopped)
{
	struct asked asked[10], held, refused = { 0 };
	struct user *user;

	ask(&asked[0], NOTICE_HANG);
	fixture_run_until(charged(77) == 1);
	ask(&held, CAREFUL);
	fixture_run_until(fixture.inspections->held);
	for (int i = 1; i < 10; i++)
		ask_as(&asked[i], (uid_t)i, HANG + 1000 * i);
	inspections_stop(fixture.inspections);
	ck_assert_int_eq(held.result, -ECANCELED);
	for (int i = 0; i < 10; i++) {
		ck_assert(asked[i].done);
		ck_assert_int_eq(asked[i].result, -ECANCELED);
	}
	ck_assert_int_eq(users_get(fixture.users, 1, 0, &user), 0);
	ck_assert_int_eq(inspect_new(fixture.inspections, user, ANSWER, INSPECT_WANT_ALL,
				 on_inspected, &refused, &refused.inspection),
		-ECANCELED);
	user_unref(user);
}
END_TEST

/* --- groups --- */

START_TEST(sets_of_groups)
{
	gid_t a[] = { 3, 1, 2 }, b[] = { 1, 2, 3, 3, 1 }, c[] = { 1, 2 }, many[1000];
	char x[CHAIN_HASH_TEXT], y[CHAIN_HASH_TEXT], none[CHAIN_HASH_TEXT];

	inspect_hash_groups(a, 3, x);
	inspect_hash_groups(b, 5, y);
	ck_assert_str_eq(x, y);
	inspect_hash_groups(c, 2, y);
	ck_assert_str_ne(x, y);
	inspect_hash_groups(NULL, 0, none);
	ck_assert_str_ne(none, y);
	/* In any order. */
	for (gid_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = i;
	inspect_hash_groups(many, ARRAY_SIZE(many), x);
	for (gid_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = i * 7 % ARRAY_SIZE(many);
	inspect_hash_groups(many, ARRAY_SIZE(many), y);
	ck_assert_str_eq(x, y);
	for (gid_t i = 0; i < ARRAY_SIZE(many); i++)
		ck_assert_uint_eq(many[i], i);
}
END_TEST

/* --- the filter --- */

static char *page;

static void read_a_file(void)
{
	struct statx st;
	char text[64];
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text)) <= 0 || close(fd) < 0)
		_exit(3);
	fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_INO, &st) < 0)
		_exit(3);
	if (readlinkat(AT_FDCWD, "/proc/self/exe", text, sizeof(text)) < 0)
		_exit(3);
	_exit(0);
}

#define PAGE_ARGUMENT LONG_MIN

static const struct {
	const char *name;
	long number, arguments[6];
} ends[] = {
	{ "openat write", SYS_openat, { AT_FDCWD, PAGE_ARGUMENT, O_WRONLY } },
	{ "openat read write", SYS_openat, { AT_FDCWD, PAGE_ARGUMENT, O_RDWR } },
	{ "openat for an ioctl", SYS_openat, { AT_FDCWD, PAGE_ARGUMENT, O_ACCMODE } },
	{ "openat create", SYS_openat, { AT_FDCWD, PAGE_ARGUMENT, O_CREAT, 0600 } },
	{ "openat truncate", SYS_openat, { AT_FDCWD, PAGE_ARGUMENT, O_TRUNC } },
	{ "openat nameless", SYS_openat, { AT_FDCWD, PAGE_ARGUMENT, O_TMPFILE } },
	{ "openat2", SYS_openat2, { AT_FDCWD, PAGE_ARGUMENT } },
	{ "open", SYS_open, { PAGE_ARGUMENT, 0 } },
	{ "creat", SYS_creat, { PAGE_ARGUMENT, 0 } },
	{ "open_by_handle_at", SYS_open_by_handle_at, { 0 } },
	{ "write", SYS_write, { 1, PAGE_ARGUMENT, 0 } },
	{ "pread64", SYS_pread64, { 0, PAGE_ARGUMENT, 1, 4096 } },
	{ "lseek", SYS_lseek, { 0, 4096, 0 } },
	{ "readv", SYS_readv, { 0 } },
	{ "mmap", SYS_mmap, { 0, 4096, PROT_READ, MAP_PRIVATE, 0, 0 } },
	{ "mprotect", SYS_mprotect, { PAGE_ARGUMENT, 4096, PROT_READ } },
	{ "sendfile", SYS_sendfile, { 1, 0, 0, 1 } },
	{ "splice", SYS_splice, { 0, 0, 1, 0, 1 } },
	{ "copy_file_range", SYS_copy_file_range, { 0, 0, 1, 0, 1 } },
	{ "sendmsg", SYS_sendmsg, { 1, PAGE_ARGUMENT } },
	{ "recvmsg", SYS_recvmsg, { 0, PAGE_ARGUMENT } },
	{ "socket", SYS_socket, { AF_UNIX, SOCK_STREAM } },
	{ "connect", SYS_connect, { 0 } },
	{ "dup", SYS_dup, { 0 } },
	{ "fcntl", SYS_fcntl, { 0, F_DUPFD, 10 } },
	{ "ioctl TCGETS", SYS_ioctl, { 0, 0x5401, PAGE_ARGUMENT } },
	{ "ptrace", SYS_ptrace, { PTRACE_ATTACH, 1 } },
	{ "process_vm_readv", SYS_process_vm_readv, { 1 } },
	{ "pidfd_getfd", SYS_pidfd_getfd, { -1 } },
	{ "kill", SYS_kill, { 1, 0 } },
	{ "unlinkat", SYS_unlinkat, { AT_FDCWD, PAGE_ARGUMENT } },
	{ "renameat2", SYS_renameat2, { AT_FDCWD, PAGE_ARGUMENT } },
	{ "linkat", SYS_linkat, { AT_FDCWD, PAGE_ARGUMENT } },
	{ "symlinkat", SYS_symlinkat, { PAGE_ARGUMENT, AT_FDCWD, PAGE_ARGUMENT } },
	{ "fchmodat", SYS_fchmodat, { AT_FDCWD, PAGE_ARGUMENT } },
	{ "chdir", SYS_chdir, { PAGE_ARGUMENT } },
	{ "chroot", SYS_chroot, { PAGE_ARGUMENT } },
	{ "setns", SYS_setns, { -1 } },
	{ "mount", SYS_mount, { 0 } },
	{ "fork", SYS_clone, { SIGCHLD } },
	{ "execve", SYS_execve, { PAGE_ARGUMENT } },
	{ "setuid", SYS_setuid, { 0 } },
	{ "capset", SYS_capset, { 0 } },
	{ "io_uring_setup", SYS_io_uring_setup, { 1 } },
	{ "no such call", 100000, { 0 } },
};

static int filtered(void (*run)(void), size_t which)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		long a[6] = { 0 };

		if (inspect_filter_enter() < 0)
			_exit(2);
		if (run)
			run();
		for (size_t i = 0; i < ARRAY_SIZE(a); i++)
			a[i] = ends[which].arguments[i] == PAGE_ARGUMENT ? (long)page
									 : ends[which].arguments[i];
		syscall(ends[which].number, a[0], a[1], a[2], a[3], a[4], a[5]);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

START_TEST(filter)
{
	int status;

	if (UNDER_SANITIZER)
		fixture_skip("a sanitizer makes calls of its own");
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	snprintf(page, 4096, "%s/made", fixture.folder);
	status = filtered(NULL, (size_t)_i);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s: status %#x",
		ends[_i].name, status);
	ck_assert_int_lt(access(page, F_OK), 0);
	munmap(page, 4096);
}
END_TEST

START_TEST(filter_lets_look)
{
	int status;

	if (UNDER_SANITIZER)
		fixture_skip("a sanitizer makes calls of its own");
	status = filtered(read_a_file, 0);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", status);
}
END_TEST

/* The real one, asked about this process and about its memory. */
START_TEST(real_looker)
{
	struct inspect_question question = {
		.number = 9, .pid = getpid(), .wanted = INSPECT_WANT_ALL
	};
	struct helper_settings settings = { .no_filter = UNDER_SANITIZER };
	union {
		struct inspect_answer answer;
		char space[INSPECT_ANSWER_MAX];
	} told;
	struct pollfd poll_fd;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		__real_inspect_child(fds[1], &settings);
		_exit(0);
	}
	close(fds[1]);
	for (int i = 0; i < 3; i++) {
		question.pid = i == 1 ? INT_MAX : getpid();
		ck_assert_int_gt(send(fds[0], &question, sizeof(question), 0), 0);
		poll_fd = (struct pollfd){ .fd = fds[0], .events = POLLIN };
		ck_assert_int_eq(poll(&poll_fd, 1, 10000), 1);
		n = recv(fds[0], &told, sizeof(told), 0);
		ck_assert_int_ge(n, (ssize_t)sizeof(told.answer));
		ck_assert_uint_eq(told.answer.number, 9);
		if (told.answer.kind == INSPECT_NOTICE)
			n = recv(fds[0], &told, sizeof(told), 0);
		ck_assert(inspect_answer_valid(&told.answer, (size_t)n));
		ck_assert_int_eq(told.answer.error, i == 1 ? -ESRCH : 0);
		ck_assert_uint_eq(told.answer.uids[1], i == 1 ? 0 : geteuid());
	}
	close(fds[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", status);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, fixture_tear_down };
	const struct test tests[] = {
		{ answers },
		{ answer_is_taken_early },
		{ inspectors_that_fail, .times = 5 },
		{ unasked_answer },
		{ forms_of_answers, .times = ARRAY_SIZE(forms) },
		{ texts_of_an_answer },
		{ others_do_not_wait },
		{ person_that_hangs },
		{ person_that_is_slow },
		{ as_many_as_may_be },
		{ turns_of_users },
		{ cancelled },
		{ stopped },
		{ sets_of_groups },
		{ filter, .times = ARRAY_SIZE(ends) },
		{ filter_lets_look },
		{ real_looker },
		{ NULL },
	};

	return run_tests(argc, argv, "look", &hooks, tests);
}

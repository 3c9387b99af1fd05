/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the threads: turns between owners, what never stands behind what, the end.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "fixture.h"
#include "heap/workers.h"

#define JOBS_MAX 256

struct test_job {
	struct job job; /* first */
	int number;
	sem_t *wait; /* for this before it ends; NULL to end at once */
};

static struct workers *workers;
static struct test_job jobs[JOBS_MAX];
static int n_jobs;
static sem_t gate;
static pthread_t main_thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over what follows */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int order[JOBS_MAX], n_started;		  /* as they were run */
static unsigned int n_running, most, by_owner[8]; /* of large jobs */
static struct user *users[8];			  /* owners */
static int threads_fail = -1;			  /* threads until one cannot be made */
static int n_done;				  /* the loop's */

int __real_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *userdata);
int __wrap_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *userdata);
int __wrap_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *userdata)
{
	if (threads_fail >= 0 && threads_fail-- == 0)
		return EAGAIN;
	return __real_pthread_create(thread, attr, run, userdata);
}

static void run(struct job *job)
{
	struct test_job *test = (struct test_job *)job;

	if (pthread_equal(pthread_self(), main_thread))
		abort();
	pthread_mutex_lock(&lock);
	order[n_started++] = test->number;
	if (job->large) {
		n_running++;
		most = n_running > most ? n_running : most;
		if (++by_owner[job->owner->uid] > 1)
			abort(); /* an owner has one at a time */
	}
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	if (test->wait)
		while (sem_wait(test->wait) < 0)
			;
	pthread_mutex_lock(&lock);
	if (job->large) {
		n_running--;
		by_owner[job->owner->uid]--;
	}
	pthread_mutex_unlock(&lock);
}

static void on_done(struct job *job)
{
	(void)job;
	ck_assert(pthread_equal(pthread_self(), main_thread));
	n_done++;
}

static void set_up(void)
{
	fixture_set_up();
	main_thread = pthread_self();
	sem_init(&gate, 0, 0);
	ck_assert_int_eq(workers_new(fixture.loop, &workers), 0);
	for (uid_t uid = 0; uid < ARRAY_SIZE(users); uid++)
		ck_assert_int_eq(users_get(fixture.users, uid, 0, &users[uid]), 0);
}

static void tear_down(void)
{
	workers = workers_free(workers);
	for (size_t i = 0; i < ARRAY_SIZE(users); i++)
		user_unref(users[i]);
	sem_destroy(&gate);
	fixture_tear_down();
}

static struct test_job *submit(uid_t owner, bool large, sem_t *wait)
{
	struct test_job *test = &jobs[n_jobs];

	*test = (struct test_job){ .number = n_jobs++, .wait = wait };
	test->job =
		(struct job){ .owner = users[owner], .large = large, .run = run, .done = on_done };
	workers_submit(workers, &test->job);
	return test;
}

/* Until so many have been begun; fails after 10 s. */
static void wait_started(int n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	pthread_mutex_lock(&lock);
	while (n_started < n)
		ck_assert_int_eq(pthread_cond_timedwait(&changed, &lock, &until), 0);
	pthread_mutex_unlock(&lock);
}

static void open_gate(int n)
{
	while (n-- > 0)
		sem_post(&gate);
}

static void check_order(const int *expected, int n)
{
	fixture_run_until(n_done == n);
	for (int i = 0; i < n; i++)
		ck_assert_msg(
			order[i] == expected[i], "%d: job %d, not %d", i, order[i], expected[i]);
}

START_TEST(done_in_the_loop)
{
	for (int i = 0; i < 20; i++)
		submit(1, i % 2, NULL);
	ck_assert_int_eq(n_done, 0);
	fixture_run_until(n_done == 20);
}
END_TEST

START_TEST(owners_take_turns)
{
	static const int expected[] = { 0, 1, 4, 7, 2, 5, 3, 6 };

	submit(7, false, &gate);
	wait_started(1);
	for (uid_t owner = 1; owner <= 2; owner++)
		for (int i = 0; i < 3; i++)
			submit(owner, false, NULL);
	submit(3, false, NULL);
	open_gate(1);
	check_order(expected, ARRAY_SIZE(expected));
}
END_TEST

/* One who comes late is not behind the queue of one who was there before, nor before everybody. */
START_TEST(newcomers_do_not_wait_for_a_queue)
{
	static const int expected[] = { 0, 1, 2, 6, 3, 7, 4, 5 };
	sem_t second;

	sem_init(&second, 0, 0);
	submit(7, false, &gate);
	wait_started(1);
	submit(1, false, NULL);
	submit(1, false, &second);
	for (int i = 0; i < 3; i++)
		submit(1, false, NULL);
	open_gate(1);
	wait_started(3);
	submit(2, false, NULL);
	submit(2, false, NULL);
	sem_post(&second);
	check_order(expected, ARRAY_SIZE(expected));
	sem_destroy(&second);
}
END_TEST

START_TEST(small_never_behind_large)
{
	for (uid_t owner = 1; owner <= 5; owner++)
		for (int i = 0; i < 5; i++)
			submit(owner, true, &gate);
	wait_started(3);
	for (int i = 0; i < 10; i++)
		submit(1, false, NULL);
	fixture_run_until(n_done == 10);
	open_gate(25);
	fixture_run_until(n_done == 35);
}
END_TEST

/* Its large queue keeps an owner from nobody's thread but one. */
START_TEST(one_large_job_an_owner)
{
	for (int i = 0; i < 20; i++)
		submit(1, true, &gate);
	wait_started(1);
	submit(2, true, &gate);
	submit(3, true, &gate);
	wait_started(3);
	pthread_mutex_lock(&lock);
	ck_assert_uint_eq(n_running, 3);
	ck_assert_uint_eq(by_owner[1], 1);
	ck_assert_uint_eq(by_owner[2], 1);
	ck_assert_uint_eq(by_owner[3], 1);
	pthread_mutex_unlock(&lock);
	open_gate(22);
	fixture_run_until(n_done == 22);
}
END_TEST

START_TEST(large_storm)
{
	for (int i = 0; i < 200; i++)
		submit((uid_t)(i % 7), true, NULL);
	fixture_run_until(n_done == 200);
	ck_assert_uint_le(most, 3);
}
END_TEST

/* Whether the last writer of a pipe is gone, waiting for it up to timeout_ms. */
static bool closed(int reader, int timeout_ms)
{
	struct pollfd hang_up = { .fd = reader };

	return poll(&hang_up, 1, timeout_ms) == 1;
}

START_TEST(large_buffers_close_in_a_thread)
{
	struct workers *const here[] = { workers, NULL };
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	submit(1, true, &gate);
	wait_started(1);
	workers_close(workers, users[1], WORKERS_LARGE + 1, false, &ends[1]);
	ck_assert_int_eq(ends[1], -1);
	ck_assert(!closed(ends[0], 0)); /* its turn comes after the owner's other job */
	open_gate(1);
	ck_assert(closed(ends[0], 10000));
	close_fd(&ends[0]);
	for (size_t i = 0; i < ARRAY_SIZE(here); i++) {
		ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
		workers_close(
			here[i], users[1], here[i] ? WORKERS_LARGE : UINT64_MAX, false, &ends[1]);
		ck_assert_int_eq(ends[1], -1);
		ck_assert(closed(ends[0], 0));
		workers_close(
			here[i], users[1], UINT64_MAX, false, &ends[1]); /* none: nothing to do */
		close_fd(&ends[0]);
	}
}
END_TEST

START_TEST(free_finishes_all)
{
	for (int i = 0; i < 200; i++)
		submit((uid_t)(i % 3), i % 2, NULL);
	workers = workers_free(workers);
	ck_assert_int_eq(n_done, 200);
	ck_assert_int_eq(n_started, 200);
	ck_assert_ptr_null(workers_free(NULL));
}
END_TEST

static void on_done_again(struct job *job)
{
	on_done(job);
	if (n_done < 10)
		workers_submit(workers, job);
}

START_TEST(done_may_submit)
{
	static struct test_job again;

	again.job = (struct job){ .owner = users[1], .run = run, .done = on_done_again };
	workers_submit(workers, &again.job);
	fixture_run_until(n_done == 10);
}
END_TEST

static int priorities[2];
static sigset_t masks[2];

static void inspect_around(struct job *job)
{
	errno = 0;
	priorities[job->large] = getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid));
	pthread_sigmask(SIG_SETMASK, NULL, &masks[job->large]);
}

START_TEST(threads_are_out_of_the_way)
{
	struct job both[2] = { { .run = inspect_around, .done = on_done },
		{ .run = inspect_around, .done = on_done, .large = true } };
	int base = getpriority(PRIO_PROCESS, 0);

	for (int i = 0; i < 2; i++)
		workers_submit(workers, &both[i]);
	fixture_run_until(n_done == 2);
	ck_assert_int_eq(priorities[0], base);
	ck_assert_int_gt(priorities[1], base);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(sigismember(&masks[i], SIGTERM), 1);
		ck_assert_int_eq(sigismember(&masks[i], SIGHUP), 1);
	}
	/* and the caller's are as they were */
	pthread_sigmask(SIG_SETMASK, NULL, &masks[0]);
	ck_assert_int_eq(sigismember(&masks[0], SIGTERM), 0);
}
END_TEST

START_TEST(threads_cannot_be_made)
{
	struct workers *none = NULL;
	size_t fds = fixture_fds();

	for (int i = 0; i < 4; i++) {
		threads_fail = i;
		ck_assert_int_eq(workers_new(fixture.loop, &none), -EAGAIN);
		ck_assert_ptr_null(none);
		ck_assert_uint_eq(fixture_fds(), fds);
	}
	threads_fail = -1;
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, tear_down };
	const struct test tests[] = {
		{ done_in_the_loop },
		{ owners_take_turns },
		{ newcomers_do_not_wait_for_a_queue },
		{ small_never_behind_large },
		{ one_large_job_an_owner },
		{ large_storm },
		{ large_buffers_close_in_a_thread },
		{ free_finishes_all },
		{ done_may_submit },
		{ threads_are_out_of_the_way },
		{ threads_cannot_be_made },
		{ NULL },
	};

	return run_tests(argc, argv, "workers", &hooks, tests);
}

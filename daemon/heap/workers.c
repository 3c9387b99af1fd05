/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The threads. They do not touch the ledger, the policy, a connection or the audit trail.
 */
#include "heap/workers.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "heap/buffer.h"
#include "util.h"

#define SMALL_THREADS 1
#define LARGE_THREADS 3
#define STACK_SIZE    (128u << 10)
#define LARGE_NICE    10 /* clearing gigabytes must not delay small requests */

struct queue {
	struct job *first, *last;
};

struct lane {
	struct workers *workers;
	struct job *waiting; /* by round, then in order of arrival */
	unsigned long round; /* of the job taken last */
	unsigned int n_threads;
	int nice;
	bool exclusive; /* at most one job of an owner runs */
	const struct user *running[LARGE_THREADS];
	unsigned int n_running;
	pthread_cond_t wake;
	pthread_t threads[LARGE_THREADS];
};

struct workers {
	pthread_mutex_t lock; /* guards the lanes, finished and stopping */
	struct lane small, large;
	struct queue finished;
	bool stopping;
	unsigned int outstanding; /* submitted and not done; used by the event loop only */
	int event_fd;
	sd_event_source *source;
};

static void push(struct queue *queue, struct job *job)
{
	job->next = NULL;
	if (queue->last)
		queue->last->next = job;
	else
		queue->first = job;
	queue->last = job;
}

/* Fair queueing: an owner's n-th waiting job belongs to the n-th round from now. */
static void enqueue(struct lane *lane, struct job *job)
{
	struct job **at;

	job->round = lane->round;
	for (struct job *j = lane->waiting; j; j = j->next)
		if (j->owner == job->owner && j->round >= job->round)
			job->round = j->round + 1;
	for (at = &lane->waiting; *at && (*at)->round <= job->round; at = &(*at)->next)
		;
	job->next = *at;
	*at = job;
}

static bool owner_runs(const struct lane *lane, const struct user *owner)
{
	for (unsigned int i = 0; i < lane->n_running; i++)
		if (lane->running[i] == owner)
			return true;
	return false;
}

static struct job *take(struct lane *lane)
{
	for (struct job **at = &lane->waiting; *at; at = &(*at)->next) {
		struct job *job = *at;

		if (lane->exclusive && owner_runs(lane, job->owner))
			continue;
		*at = job->next;
		if (job->round > lane->round)
			lane->round = job->round;
		lane->running[lane->n_running++] = job->owner;
		return job;
	}
	return NULL;
}

static void forget_running(struct lane *lane, const struct user *owner)
{
	unsigned int i = 0;

	while (lane->running[i] != owner)
		i++;
	lane->running[i] = lane->running[--lane->n_running];
}

static void *worker(void *userdata)
{
	struct lane *lane = userdata;
	struct workers *workers = lane->workers;

	if (lane->nice)
		setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), lane->nice);
	pthread_mutex_lock(&workers->lock);
	for (;;) {
		struct job *job = take(lane);

		if (!job) {
			if (workers->stopping)
				break;
			pthread_cond_wait(&lane->wake, &workers->lock);
			continue;
		}
		pthread_mutex_unlock(&workers->lock);
		job->run(job);
		pthread_mutex_lock(&workers->lock);
		forget_running(lane, job->owner);
		if (lane->exclusive && lane->waiting)
			pthread_cond_broadcast(&lane->wake);
		push(&workers->finished, job);
		eventfd_write(workers->event_fd, 1);
	}
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

static void dispatch(struct workers *workers)
{
	struct job *job, *next;

	pthread_mutex_lock(&workers->lock);
	job = workers->finished.first;
	workers->finished = (struct queue){ 0 };
	pthread_mutex_unlock(&workers->lock);
	for (; job; job = next) {
		next = job->next;
		workers->outstanding--;
		job->done(job);
	}
}

static int on_finished(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	eventfd_t count;

	(void)source;
	(void)events;
	eventfd_read(fd, &count);
	dispatch(userdata);
	return 0;
}

static int start_threads(struct lane *lane, unsigned int count)
{
	pthread_attr_t attributes;
	int r = 0;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	while (r == 0 && lane->n_threads < count) {
		r = pthread_create(&lane->threads[lane->n_threads], &attributes, worker, lane);
		if (r == 0)
			lane->n_threads++;
	}
	pthread_attr_destroy(&attributes);
	return -r;
}

int workers_new(sd_event *loop, struct workers **ret_workers)
{
	struct workers *workers = calloc(1, sizeof(*workers));
	sigset_t all, before;
	int r;

	if (!workers)
		return -ENOMEM;
	pthread_mutex_init(&workers->lock, NULL);
	workers->small = (struct lane){ .workers = workers };
	workers->large = (struct lane){ .workers = workers, .nice = LARGE_NICE, .exclusive = true };
	pthread_cond_init(&workers->small.wake, NULL);
	pthread_cond_init(&workers->large.wake, NULL);
	workers->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = workers->event_fd < 0 ? -errno : 0;
	if (r >= 0)
		r = sd_event_add_io(
			loop, &workers->source, workers->event_fd, EPOLLIN, on_finished, workers);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	if (r >= 0)
		r = start_threads(&workers->small, SMALL_THREADS);
	if (r >= 0)
		r = start_threads(&workers->large, LARGE_THREADS);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0) {
		workers_free(workers);
		return r;
	}
	*ret_workers = workers;
	return 0;
}

static void join(struct lane *lane)
{
	pthread_cond_broadcast(&lane->wake);
	for (unsigned int i = 0; i < lane->n_threads; i++)
		pthread_join(lane->threads[i], NULL);
	pthread_cond_destroy(&lane->wake);
}

struct workers *workers_free(struct workers *workers)
{
	if (!workers)
		return NULL;
	pthread_mutex_lock(&workers->lock);
	workers->stopping = true;
	pthread_mutex_unlock(&workers->lock);
	join(&workers->small);
	join(&workers->large);
	dispatch(workers);
	assert(workers->outstanding == 0);
	sd_event_source_disable_unref(workers->source);
	close_fd(&workers->event_fd);
	pthread_mutex_destroy(&workers->lock);
	free(workers);
	return NULL;
}

void workers_submit(struct workers *workers, struct job *job)
{
	struct lane *lane = job->large ? &workers->large : &workers->small;

	workers->outstanding++;
	pthread_mutex_lock(&workers->lock);
	enqueue(lane, job);
	pthread_cond_signal(&lane->wake);
	pthread_mutex_unlock(&workers->lock);
}

struct closing {
	struct job job; /* first */
	struct user *user;
	uint64_t discard; /* bytes */
	int fd;
};

static void let_go(int *fd, uint64_t discard)
{
	if (*fd >= 0 && discard)
		heap_discard(*fd, discard);
	close_fd(fd);
}

static void run_close(struct job *job)
{
	struct closing *closing = (struct closing *)job;

	let_go(&closing->fd, closing->discard);
}

static void free_closing(struct job *job)
{
	user_unref(((struct closing *)job)->user);
	free(job);
}

void workers_close(struct workers *workers, struct user *user, uint64_t size, bool discard, int *fd)
{
	struct closing *closing = NULL;

	if (workers && *fd >= 0 && size > WORKERS_LARGE)
		closing = malloc(sizeof(*closing));
	if (!closing) {
		let_go(fd, discard ? size : 0);
		return;
	}
	*closing = (struct closing){
		.job = { .owner = user, .large = true, .run = run_close, .done = free_closing },
		.user = user_ref(user),
		.discard = discard ? size : 0,
		.fd = steal_fd(fd),
	};
	workers_submit(workers, &closing->job);
}

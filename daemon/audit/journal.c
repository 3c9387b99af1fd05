/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread that passes events on to journald. The trail never waits for it: the thread has its own
 * queue, and when journald is slow, entries are dropped and counted. The thread looks into its
 * queue only now and then, so that a grant need not wake it. audit/message.c makes the entries.
 */
#include "audit/journal.h"

#include <pthread.h>
#include <time.h>

#include "audit/message.h"
#include "base/thread.h"
#include "util.h"

/* Bytes of the thread's stack: libsystemd keeps the headers of a message there. */
#define STACK (256u << 10)
/* Entries that come within this time after the first are sent with it. */
#define COLLECT_NSEC 20000000L
/* How long a stop waits for journald. */
#define STOP_SEC 2

struct audit_journal {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;	 /* to the thread */
	pthread_cond_t finished; /* from the thread */
	struct audit_copy *first, *last;
	size_t count, bytes;
	struct audit_lost dropped;
	bool idle;	/* the thread sleeps until it is woken */
	bool stop;	/* sends what there is and ends */
	bool abandoned; /* nobody waits any more: the thread frees itself */
	bool ended;
};

static void destroy(struct audit_journal *journal)
{
	for (struct audit_copy *copy = journal->first, *next; copy; copy = next) {
		next = copy->next;
		free(copy);
	}
	pthread_cond_destroy(&journal->wake);
	pthread_cond_destroy(&journal->finished);
	pthread_mutex_destroy(&journal->mutex);
	free(journal);
}

static struct timespec after(time_t sec, long nsec)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += sec;
	t.tv_nsec += nsec;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_nsec -= 1000000000L;
		t.tv_sec++;
	}
	return t;
}

/* Called and left with the mutex held; unlocks it while sending. */
static void send_queue(struct audit_journal *journal)
{
	while (journal->first && !journal->abandoned) {
		struct audit_copy *copy = journal->first;
		size_t size = copy->size;

		journal->first = copy->next;
		if (!journal->first)
			journal->last = NULL;
		pthread_mutex_unlock(&journal->mutex);
		audit_message_send(copy);
		free(copy);
		pthread_mutex_lock(&journal->mutex);
		journal->count--;
		journal->bytes -= size;
	}
	if (journal->dropped.total && !journal->abandoned) {
		struct audit_lost dropped = journal->dropped;

		journal->dropped = (struct audit_lost){ 0 };
		pthread_mutex_unlock(&journal->mutex);
		audit_message_dropped(&dropped);
		pthread_mutex_lock(&journal->mutex);
	}
}

static void *run(void *userdata)
{
	struct audit_journal *journal = userdata;
	bool abandoned;

	pthread_mutex_lock(&journal->mutex);
	while (!journal->stop ||
		((journal->first || journal->dropped.total) && !journal->abandoned)) {
		struct timespec until;

		while (!journal->stop && !journal->first && !journal->dropped.total) {
			journal->idle = true;
			pthread_cond_wait(&journal->wake, &journal->mutex);
		}
		journal->idle = false;
		until = after(0, COLLECT_NSEC);
		while (!journal->stop &&
			pthread_cond_timedwait(&journal->wake, &journal->mutex, &until) == 0)
			;
		send_queue(journal);
	}
	journal->ended = true;
	pthread_cond_signal(&journal->finished);
	abandoned = journal->abandoned;
	pthread_mutex_unlock(&journal->mutex);
	if (abandoned)
		destroy(journal);
	return NULL;
}

int audit_journal_new(struct audit_journal **ret_journal)
{
	struct audit_journal *journal;
	pthread_condattr_t attr;
	int r;

	journal = calloc(1, sizeof(*journal));
	if (!journal)
		return -ENOMEM;
	pthread_mutex_init(&journal->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&journal->wake, &attr);
	pthread_cond_init(&journal->finished, &attr);
	pthread_condattr_destroy(&attr);
	r = thread_start(&journal->thread, "audit-journal", STACK, run, journal);
	if (r < 0) {
		destroy(journal);
		return r;
	}
	*ret_journal = journal;
	return 0;
}

struct audit_journal *audit_journal_free(struct audit_journal *journal)
{
	struct timespec until;
	pthread_t thread;
	bool ended;

	if (!journal)
		return NULL;
	thread = journal->thread;
	until = after(STOP_SEC, 0);
	pthread_mutex_lock(&journal->mutex);
	journal->stop = true;
	pthread_cond_signal(&journal->wake);
	while (!journal->ended &&
		pthread_cond_timedwait(&journal->finished, &journal->mutex, &until) == 0)
		;
	ended = journal->ended;
	journal->abandoned = !ended;
	pthread_mutex_unlock(&journal->mutex);
	if (ended) {
		pthread_join(thread, NULL);
		destroy(journal);
	} else {
		/* The thread is in a send to a journald that does not read. It ends after that. */
		pthread_detach(thread);
	}
	return NULL;
}

void audit_journal_push(struct audit_journal *journal, const uid_t *uid, struct audit_copy *copy)
{
	bool wake;

	pthread_mutex_lock(&journal->mutex);
	if (!copy || journal->count >= AUDIT_JOURNAL_ENTRIES ||
		journal->bytes + copy->size > AUDIT_JOURNAL_BYTES) {
		audit_lost_add(&journal->dropped, uid, 1, 0);
	} else {
		copy->next = NULL;
		if (journal->last)
			journal->last->next = copy;
		else
			journal->first = copy;
		journal->last = copy;
		journal->count++;
		journal->bytes += copy->size;
		copy = NULL;
	}
	wake = journal->idle;
	journal->idle = false;
	pthread_mutex_unlock(&journal->mutex);
	if (wake)
		pthread_cond_signal(&journal->wake);
	free(copy);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One thread, one slot. The state says who owns the file and the list: IDLE and DONE the event
 * loop, HANDED the thread. The mutex guards the state only and is never held during a wait for the
 * disk.
 */
#include "audit/writer.h"

#include <assert.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>

#include "audit/look.h"
#include "base/thread.h"
#include "util.h"

/* Many times what a writev() of a segment needs, and still small. */
#define STACK (256u << 10)

enum state { IDLE, HANDED, DONE, STOP };

struct audit_writer {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t handed, done;
	enum state state;
	int fd;
	struct audit_file *file;
	struct audit_list list;
	bool sync, written;
	enum audit_writer_look look;
};

/* Returns the value of *ret_written of audit_writer_take(). */
static bool write_list(
	struct audit_file *file, struct audit_list *list, bool sync, enum audit_writer_look look)
{
	int r = 0;

	if (look == AUDIT_WRITER_END) {
		audit_file_end(file);
		audit_file_close(file);
		return true;
	}
	if (look == AUDIT_WRITER_LOOK || !audit_file_fits(file))
		r = audit_look(file);
	/* Only once, or somebody who changes the file all the time could hold up everybody. */
	if (r >= 0 && look != AUDIT_WRITER_LOOKED && file->notes && list->first)
		return false;
	if (r < 0)
		audit_file_fail(list, r);
	else
		audit_file_write(file, list, sync);
	return true;
}

static void *run(void *userdata)
{
	struct audit_writer *writer = userdata;

	pthread_mutex_lock(&writer->mutex);
	for (;;) {
		while (writer->state == IDLE || writer->state == DONE)
			pthread_cond_wait(&writer->handed, &writer->mutex);
		if (writer->state == STOP)
			break;
		pthread_mutex_unlock(&writer->mutex);
		writer->written =
			write_list(writer->file, &writer->list, writer->sync, writer->look);
		pthread_mutex_lock(&writer->mutex);
		writer->state = DONE;
		pthread_cond_signal(&writer->done);
		/* Cannot fail: the counter is read back to zero with every list. */
		(void)eventfd_write(writer->fd, 1);
	}
	pthread_mutex_unlock(&writer->mutex);
	return NULL;
}

int audit_writer_new(struct audit_writer **ret_writer)
{
	struct audit_writer *writer;
	int r;

	writer = calloc(1, sizeof(*writer));
	if (!writer)
		return -ENOMEM;
	pthread_mutex_init(&writer->mutex, NULL);
	pthread_cond_init(&writer->handed, NULL);
	pthread_cond_init(&writer->done, NULL);
	writer->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = writer->fd < 0 ? -errno : thread_start(&writer->thread, "audit", STACK, run, writer);
	if (r < 0) {
		close_fd(&writer->fd);
		free(writer);
		return r;
	}
	*ret_writer = writer;
	return 0;
}

struct audit_writer *audit_writer_free(struct audit_writer *writer)
{
	if (!writer)
		return NULL;
	pthread_mutex_lock(&writer->mutex);
	assert(writer->state == IDLE);
	writer->state = STOP;
	pthread_cond_signal(&writer->handed);
	pthread_mutex_unlock(&writer->mutex);
	pthread_join(writer->thread, NULL);
	pthread_cond_destroy(&writer->handed);
	pthread_cond_destroy(&writer->done);
	pthread_mutex_destroy(&writer->mutex);
	close_fd(&writer->fd);
	free(writer);
	return NULL;
}

int audit_writer_fd(const struct audit_writer *writer)
{
	return writer->fd;
}

void audit_writer_hand(struct audit_writer *writer, struct audit_file *file,
	struct audit_list *list, bool sync, enum audit_writer_look look)
{
	pthread_mutex_lock(&writer->mutex);
	assert(writer->state == IDLE);
	writer->file = file;
	writer->list = *list;
	writer->sync = sync;
	writer->look = look;
	writer->state = HANDED;
	pthread_cond_signal(&writer->handed);
	pthread_mutex_unlock(&writer->mutex);
	*list = (struct audit_list){ 0 };
}

bool audit_writer_take(struct audit_writer *writer, unsigned int msec, struct audit_list *ret_list,
	bool *ret_written)
{
	struct timespec end;
	eventfd_t count;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += msec / 1000;
	pthread_mutex_lock(&writer->mutex);
	while (msec && writer->state == HANDED && r == 0)
		r = pthread_cond_clockwait(&writer->done, &writer->mutex, CLOCK_MONOTONIC, &end);
	if (writer->state != DONE) {
		pthread_mutex_unlock(&writer->mutex);
		return false;
	}
	/* Under the mutex: the thread has written the counter. */
	(void)eventfd_read(writer->fd, &count);
	*ret_list = writer->list;
	*ret_written = writer->written;
	writer->list = (struct audit_list){ 0 };
	writer->state = IDLE;
	pthread_mutex_unlock(&writer->mutex);
	return true;
}

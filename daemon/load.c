/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's side of a load: collects the child's records, gives up when that takes too long, and
 * compiles. It never waits, and must never trust a length.
 */
#include "load.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "load-records.h"
#include "text.h"
#include "util.h"

#define IN_A_TURN   16 /* packets, so that others are served, too */
#define STUCK_MAX   4
#define WAITING_MAX 512

struct load {
	struct helper *helper;
	struct helper_child *child;
	int fd;
	sd_event_source *io, *timer;
	uint64_t step_usec, all_usec; /* times to give up, CLOCK_MONOTONIC */
	enum load_kind waiting_kind;  /* what the child waits for; 0 for nothing */
	char waiting[WAITING_MAX];
	struct load_records records;
	bool failed; /* the child found a mistake */
	char *failure;
	load_done done; /* NULL once called */
	void *userdata;
};

/* --- the end of the child --- */

static void let_go(struct load *load)
{
	load->io = sd_event_source_disable_unref(load->io);
	load->timer = sd_event_source_disable_unref(load->timer);
	load->child = helper_disown(load->child);
	close_fd(&load->fd);
}

static void finish(struct load *load, int result)
{
	load_done done = load->done;

	let_go(load);
	load->done = NULL;
	if (done)
		done(load->userdata, result);
}

#define WORDS_MAX (WAITING_MAX + 16)

/* What the child waits for, such as: user "x". */
static const char *words(const struct load *load, char text[static WORDS_MAX])
{
	if (load->waiting_kind == LOAD_FILE)
		snprintf(text, WORDS_MAX, "%s", load->waiting);
	else
		snprintf(text, WORDS_MAX, "%s \"%s\"",
			load->waiting_kind == LOAD_USER ? "user" : "group", load->waiting);
	return text;
}

static void fail(struct load *load, int error, const char *format, ...) printf_like(3, 4);

static void fail(struct load *load, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&load->failure, format, arguments) < 0)
		load->failure = NULL;
	va_end(arguments);
	finish(load, error);
}

static void fail_late(struct load *load, bool step)
{
	unsigned int seconds = (step ? LOAD_STEP_USEC : LOAD_ALL_USEC) / 1000000;
	char text[WORDS_MAX];

	if (!load->waiting_kind)
		fail(load, -ETIMEDOUT, "it took longer than %u s", seconds);
	else if (!step)
		fail(load, -ETIMEDOUT, "it took longer than %u s in total; it was at %s", seconds,
			words(load, text));
	else if (load->waiting_kind == LOAD_FILE)
		fail(load, -ETIMEDOUT,
			"%s could not be opened or read within %u s; its file system does not "
			"answer",
			words(load, text), seconds);
	else
		fail(load, -ETIMEDOUT,
			"the look-up of %s did not end within %u s; see the name services in "
			"/etc/nsswitch.conf",
			words(load, text), seconds);
}

static void fail_ended(struct load *load, int status)
{
	const char *while_ = !load->waiting_kind	       ? ""
			     : load->waiting_kind == LOAD_FILE ? " while it opened or read "
							       : " while it looked up ";
	char text[WORDS_MAX];

	words(load, text);
	if (WIFSIGNALED(status))
		fail(load, -ECHILD, "the process that loads it was ended by signal %d (%s)%s%s",
			WTERMSIG(status), strsignal(WTERMSIG(status)), while_,
			load->waiting_kind ? text : "");
	else
		fail(load, -ECHILD, "the process that loads it ended with %d%s%s",
			WEXITSTATUS(status), while_, load->waiting_kind ? text : "");
}

/* --- its records --- */

/* Takes one record. Returns true while more are to come. */
static bool take(struct load *load, struct load_record *record, size_t size)
{
	load->step_usec = clock_usec(CLOCK_MONOTONIC) + LOAD_STEP_USEC;
	if (record->kind == LOAD_END) {
		load->failed = record->result < 0;
		if (record->result == -ENOMEM)
			fail(load, -ENOMEM, "there is not enough memory");
		else
			finish(load, 0);
		return false;
	}
	load->waiting_kind = 0;
	if (record->kind == LOAD_FILE || record->kind == LOAD_USER || record->kind == LOAD_GROUP) {
		load->waiting_kind = record->kind;
		((char *)record)[size] = 0;
		text_fit(record->text, TEXT_NAME | TEXT_VISIBLE, load->waiting,
			sizeof(load->waiting));
	}
	if (record->kind == LOAD_FILE || load_records_keep(&load->records, size))
		return true;
	fail(load, -EMSGSIZE, "it is more than %u MiB", LOAD_RECORDS_MAX >> 20);
	return false;
}

/* Receives up to so many packets; returns false when there is nothing more to do. */
static bool receive(struct load *load, unsigned int packets)
{
	while (packets-- > 0) {
		struct load_record *record = load_records_next(&load->records);
		ssize_t n;

		if (!record) {
			fail(load, -ENOMEM, "there is not enough memory");
			return false;
		}
		n = recv(load->fd, record, LOAD_PACKET_MAX, MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return false;
		/* The helper reports why it ended. */
		if (n <= 0) {
			load->io = sd_event_source_disable_unref(load->io);
			return false;
		}
		if ((size_t)n < sizeof(*record) || (size_t)n > LOAD_PACKET_MAX) {
			fail(load, -EBADMSG, "the process that loads it sent an invalid record");
			return false;
		}
		if (!take(load, record, (size_t)n))
			return false;
	}
	return true;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source, (void)fd, (void)events;
	receive(userdata, IN_A_TURN);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct load *load = userdata;
	uint64_t time = clock_usec(CLOCK_MONOTONIC), next = load->step_usec;

	(void)usec;
	if (time >= load->step_usec || time >= load->all_usec) {
		fail_late(load, time >= load->step_usec);
		return 0;
	}
	if (load->all_usec < next)
		next = load->all_usec;
	sd_event_source_set_time(source, next);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void on_started(void *userdata, int error, int *fd)
{
	struct load *load = userdata;
	int r = error;

	if (r < 0)
		load->child = NULL;
	else
		load->fd = steal_fd(fd);
	if (r >= 0)
		r = sd_event_add_io(sd_event_source_get_event(load->timer), &load->io, load->fd,
			EPOLLIN, on_io, load);
	if (r < 0)
		fail(load, r, "no process could be made for it: %s", strerror(-r));
}

static void on_ended(void *userdata, int status)
{
	struct load *load = userdata;

	load->child = NULL; /* freed after this */
	while (load->io && receive(load, IN_A_TURN))
		;
	if (load->done)
		fail_ended(load, status);
}

static const struct helper_events events = { on_started, on_ended };

int load_new(struct helper *helper, sd_event *loop, load_done done, void *userdata,
	struct load **ret_load)
{
	struct load *load;
	int r;

	if (helper_stuck(helper, HELPER_LOAD) >= STUCK_MAX)
		return -EBUSY;
	load = calloc(1, sizeof(*load));
	if (!load)
		return -ENOMEM;
	load->helper = helper;
	load->fd = -1;
	load->done = done;
	load->userdata = userdata;
	load->step_usec = clock_usec(CLOCK_MONOTONIC) + LOAD_STEP_USEC;
	load->all_usec = clock_usec(CLOCK_MONOTONIC) + LOAD_ALL_USEC;
	r = sd_event_add_time(
		loop, &load->timer, CLOCK_MONOTONIC, load->step_usec, 100000, on_timer, load);
	if (r >= 0)
		r = helper_spawn(helper, HELPER_LOAD, &events, load, &load->child);
	if (r < 0)
		load_free(load);
	else
		*ret_load = load;
	return r;
}

struct load *load_free(struct load *load)
{
	if (!load)
		return NULL;
	let_go(load);
	load_records_done(&load->records);
	free(load->failure);
	free(load);
	return NULL;
}

const char *load_failure(const struct load *load)
{
	return load->failure;
}

int load_compile(struct load *load, uint32_t required, struct policy_errors *ret_errors,
	struct policy **ret_policy)
{
	return load_records_compile(&load->records, required, load->failed, ret_errors, ret_policy);
}

uint32_t load_folders(const struct load *load)
{
	return load->records.folders;
}

int load_group(const struct load *load, const char *name, gid_t *ret_gid)
{
	struct unmapped unmapped;
	gid_t gid;
	int r = load_names_find(&load->records.names, false, name, &gid);

	if (r < 0)
		return r;
	/* the overflow id stands for all groups without a number: it makes nobody a member */
	unmapped_detect(&unmapped);
	if (unmapped_gid(&unmapped, gid))
		return -ENOENT;
	*ret_gid = gid;
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon's side of a load: collects what the child says, gives it up when it takes too long,
 * and compiles. It must never wait, and never trust a length.
 */
#include "load.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "load-names.h"
#include "load-stream.h"
#include "policy-load.h"
#include "text.h"
#include "util.h"

#define PACKET_MAX  (sizeof(struct load_record) + LOAD_TEXT_MAX)
#define BYTES_MAX   (256u << 20) /* of all that it says */
#define IN_A_TURN   16		 /* packets: others are to be served, too */
#define STUCK_MAX   4
#define WAITING_MAX 512

struct load {
	struct helper *helper;
	struct helper_child *child;
	int fd;
	sd_event_source *io, *timer;
	uint64_t step_usec, all_usec; /* when to give up, CLOCK_MONOTONIC */
	enum load_kind waiting_kind;  /* what it waits for; 0 for nothing */
	char waiting[WAITING_MAX];
	unsigned char *data; /* records, a uint32_t with its size before each */
	size_t size, capacity;
	struct load_names names;
	uint32_t folders; /* those that are there */
	char *failure;
	int result;	/* of the child's own load */
	load_done done; /* NULL once called */
	void *userdata;
};

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

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

/* What it waits for, such as: user "x". */
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
		fail(load, -ETIMEDOUT, "it took longer than %u s altogether; it was at %s", seconds,
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

/* --- what it says --- */

static bool reserve(struct load *load, size_t more)
{
	size_t capacity = load->capacity ? load->capacity : 4 * PACKET_MAX;
	unsigned char *data;

	if (load->capacity - load->size >= more)
		return true;
	while (capacity - load->size < more)
		capacity *= 2;
	data = realloc(load->data, capacity);
	if (!data)
		return false;
	load->data = data;
	load->capacity = capacity;
	return true;
}

/* Takes a record that was received to the end of data. True while more are to come. */
static bool take(struct load *load, uint32_t size)
{
	const struct load_record *record = (const void *)(load->data + load->size + sizeof(size));
	int32_t result = record->result;

	load->step_usec = now() + LOAD_STEP_USEC;
	if (record->kind == LOAD_END) {
		load->result = result;
		if (result == -ENOMEM)
			fail(load, -ENOMEM, "there is not enough memory");
		else
			finish(load, 0);
		return false;
	}
	if (record->kind == LOAD_FILE || record->kind == LOAD_USER || record->kind == LOAD_GROUP) {
		load->waiting_kind = record->kind;
		/* there is room for a NUL */
		load->data[load->size + sizeof(size) + size] = 0;
		text_fit(record->text, TEXT_NAME | TEXT_VISIBLE, load->waiting,
			sizeof(load->waiting));
	} else {
		load->waiting_kind = 0;
	}
	if (record->kind == LOAD_FILE)
		return true;
	memcpy(load->data + load->size, &size, sizeof(size));
	/* the next one is aligned again */
	load->size += (sizeof(size) + size + 3) & ~(size_t)3;
	if (load->size > BYTES_MAX) {
		fail(load, -EMSGSIZE, "it is more than %u MiB", BYTES_MAX >> 20);
		return false;
	}
	return true;
}

/* Up to so many packets; false when there is nothing more to do. */
static bool receive(struct load *load, unsigned int packets)
{
	while (packets-- > 0) {
		ssize_t n;

		if (!reserve(load, sizeof(uint32_t) + PACKET_MAX + 3)) {
			fail(load, -ENOMEM, "there is not enough memory");
			return false;
		}
		n = recv(load->fd, load->data + load->size + sizeof(uint32_t), PACKET_MAX,
			MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return false;
		/* Why it ended is told by the helper. */
		if (n <= 0) {
			load->io = sd_event_source_disable_unref(load->io);
			return false;
		}
		if ((size_t)n < sizeof(struct load_record) || (size_t)n > PACKET_MAX) {
			fail(load, -EBADMSG, "the process that loads it said what makes no sense");
			return false;
		}
		if (!take(load, (uint32_t)n))
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
	uint64_t time = now(), next = load->step_usec;

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
	load->step_usec = now() + LOAD_STEP_USEC;
	load->all_usec = now() + LOAD_ALL_USEC;
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
	load_names_done(&load->names);
	free(load->data);
	free(load->failure);
	free(load);
	return NULL;
}

const char *load_failure(const struct load *load)
{
	return load->failure;
}

/* --- compiling --- */

struct texts {
	struct policy_source *sources;
	size_t count, capacity;
	size_t size; /* allocated for the text of the last one */
	struct policy_errors errors;
	size_t errors_capacity;
};

static void texts_done(struct texts *texts)
{
	for (size_t i = 0; i < texts->count; i++) {
		free((void *)texts->sources[i].path);
		free((void *)texts->sources[i].text);
	}
	free(texts->sources);
	policy_errors_done(&texts->errors);
}

static bool grow(void **array, size_t count, size_t *capacity, size_t element)
{
	size_t wanted = *capacity ? *capacity * 2 : 16;
	void *grown;

	if (count < *capacity)
		return true;
	grown = reallocarray(*array, wanted, element);
	if (!grown)
		return false;
	*array = grown;
	*capacity = wanted;
	return true;
}

static int add_source(struct texts *texts, const char *path, size_t length)
{
	char *copy = strndup(path, length);
	void *sources = texts->sources;

	if (!copy || !grow(&sources, texts->count, &texts->capacity, sizeof(*texts->sources))) {
		free(copy);
		return -ENOMEM;
	}
	texts->sources = sources;
	texts->sources[texts->count++] = (struct policy_source){ .path = copy, .text = NULL };
	texts->size = 0;
	return 0;
}

static int add_text(struct texts *texts, const char *text, size_t length)
{
	struct policy_source *source;
	char *grown;

	if (!texts->count)
		return -EBADMSG;
	source = &texts->sources[texts->count - 1];
	grown = (char *)source->text;
	if (source->size + length > texts->size) {
		texts->size = 2 * (source->size + length);
		grown = realloc(grown, texts->size);
		if (!grown)
			return -ENOMEM;
		source->text = grown;
	}
	memcpy(grown + source->size, text, length);
	source->size += length;
	return 0;
}

static int add_mistake(struct texts *texts, const char *text, size_t length)
{
	cleanup(cleanup_free) char *copy = strndup(text, length);
	char *line = copy ? text_new(copy, TEXT_VISIBLE) : NULL;
	void *lines = texts->errors.lines;

	if (!line || !grow(&lines, texts->errors.count, &texts->errors_capacity, sizeof(line))) {
		free(line);
		return -ENOMEM;
	}
	texts->errors.lines = lines;
	texts->errors.lines[texts->errors.count++] = line;
	return 0;
}

/* One that was there and is not any more: by mistake, mostly, and what it held may be what denies.
 */
static int add_lost_folder(struct texts *texts, const char *path, size_t length)
{
	cleanup(cleanup_free) char *line = NULL;

	if (asprintf(&line,
		    "%.*s: was there when the policy was loaded, and is not any more; make it "
		    "again, empty if nothing is to be in it, or restart ccbufd",
		    (int)length, path) < 0)
		return -ENOMEM;
	return add_mistake(texts, line, strlen(line));
}

static int read_records(struct load *load, uint32_t required, struct texts *texts)
{
	char name[LOAD_TEXT_MAX + 1] = "";
	enum load_kind asked = 0;
	uint32_t size, folder = 1;
	int r = 0;

	for (size_t at = 0; r >= 0 && at < load->size; at += (sizeof(size) + size + 3) & ~3ul) {
		const struct load_record *record;
		size_t length;

		memcpy(&size, load->data + at, sizeof(size));
		record = (const void *)(load->data + at + sizeof(size));
		length = size - sizeof(*record);
		if (record->kind == LOAD_USER || record->kind == LOAD_GROUP) {
			asked = record->kind;
			memcpy(name, record->text, length);
			name[length] = 0;
		} else if (record->kind == LOAD_ANSWER && asked && record->result <= 0) {
			r = load_names_add(
				&load->names, asked == LOAD_USER, name, record->result, record->id);
		} else if (record->kind == LOAD_FOLDER) {
			if (record->result > 0)
				load->folders |= folder;
			else if (required & folder)
				r = add_lost_folder(texts, record->text, length);
			folder <<= 1;
		} else if (record->kind == LOAD_SOURCE) {
			r = add_source(texts, record->text, length);
		} else if (record->kind == LOAD_TEXT) {
			r = add_text(texts, record->text, length);
		} else if (record->kind == LOAD_MISTAKE) {
			r = add_mistake(texts, record->text, length);
		} else {
			r = -EBADMSG;
		}
	}
	return r;
}

static int find_user(void *userdata, const char *name, uid_t *ret_uid)
{
	return load_names_find(userdata, true, name, ret_uid);
}

static int find_group(void *userdata, const char *name, gid_t *ret_gid)
{
	return load_names_find(userdata, false, name, ret_gid);
}

int load_compile(struct load *load, uint32_t required, struct policy_errors *ret_errors,
	struct policy **ret_policy)
{
	cleanup(texts_done) struct texts texts = { 0 };
	struct policy_env env = policy_system_env();
	int r = read_records(load, required, &texts);

	env.user = find_user;
	env.group = find_group;
	env.userdata = &load->names;
	if (r < 0)
		return r;
	if (texts.errors.count) {
		*ret_errors = texts.errors;
		texts.errors = (struct policy_errors){ 0 };
		return -EINVAL;
	}
	if (load->result < 0)
		return -EBADMSG;
	return policy_new(texts.sources, texts.count, &env, ret_errors, ret_policy);
}

uint32_t load_folders(const struct load *load)
{
	return load->folders;
}

int load_group(const struct load *load, const char *name, gid_t *ret_gid)
{
	struct unmapped unmapped;
	gid_t gid;
	int r = load_names_find(&load->names, false, name, &gid);

	if (r < 0)
		return r;
	/* nobody is in it who has only no other number here */
	unmapped_detect(&unmapped);
	if (unmapped_gid(&unmapped, gid))
		return -ENOENT;
	*ret_gid = gid;
	return 0;
}

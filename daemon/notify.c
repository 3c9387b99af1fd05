/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages to the service manager. It never waits for the manager. sd_notify() of libsystemd would:
 * its sendmsg() sleeps while the manager's queue is full.
 */
#include "notify.h"

#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "util.h"

#define RETRY_USEC    100000
#define LAST_TRIES    100 /* at the end of the daemon, */
#define LAST_MSEC     10  /* each this long */
#define UNSENT_MAX    8
#define MESSAGE_BYTES 256

struct message {
	const char *state, *status; /* static; status may be NULL */
};

struct notify {
	int fd; /* -1 where there is no manager */
	struct sockaddr_un address;
	socklen_t address_size;
	uint64_t watchdog_usec; /* between two watchdog messages; 0 for none */
	bool watchdog_due;
	sd_event_source *watchdog, *retry;
	struct message unsent[UNSENT_MAX];
	size_t n_unsent;
};

/* Returns false when there is no room now. After another error a retry would not help. */
static bool send_text(const struct notify *notify, const char *text)
{
	return sendto(notify->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
		       (const struct sockaddr *)&notify->address, notify->address_size) >= 0 ||
	       (errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM && errno != EINTR);
}

static bool send_message(const struct notify *notify, const struct message *message)
{
	char text[MESSAGE_BYTES];

	snprintf(text, sizeof(text), "%s%s%s", message->state, message->status ? "\nSTATUS=" : "",
		message->status ? message->status : "");
	return send_text(notify, text);
}

static bool flush(struct notify *notify)
{
	if (notify->watchdog_due && send_text(notify, "WATCHDOG=1"))
		notify->watchdog_due = false;
	while (notify->n_unsent > 0 && send_message(notify, &notify->unsent[0])) {
		notify->n_unsent--;
		memmove(notify->unsent, notify->unsent + 1,
			notify->n_unsent * sizeof(notify->unsent[0]));
	}
	return !notify->n_unsent && !notify->watchdog_due;
}

static void send_or_wait(struct notify *notify)
{
	if (flush(notify))
		return;
	sd_event_source_set_time_relative(notify->retry, RETRY_USEC);
	sd_event_source_set_enabled(notify->retry, SD_EVENT_ONESHOT);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source, (void)usec;
	send_or_wait(userdata);
	return 0;
}

static int on_watchdog(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct notify *notify = userdata;

	(void)usec;
	notify->watchdog_due = true;
	send_or_wait(notify);
	sd_event_source_set_time_relative(source, notify->watchdog_usec);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void tell(struct notify *notify, const char *state, const char *status)
{
	if (!notify || notify->fd < 0)
		return;
	if (notify->n_unsent == UNSENT_MAX)
		notify->n_unsent = 1;
	notify->unsent[notify->n_unsent++] = (struct message){ state, status };
	send_or_wait(notify);
}

void notify_ready(struct notify *notify, const char *status)
{
	tell(notify, "READY=1", status);
}

void notify_reloading(struct notify *notify)
{
	tell(notify, "RELOADING=1", NULL);
}

void notify_stopping(struct notify *notify)
{
	tell(notify, "STOPPING=1", NULL);
}

static int open_socket(struct notify *notify, const char *path)
{
	size_t length = strlen(path);

	if ((path[0] != '/' && path[0] != '@') || length < 2 ||
		length >= sizeof(notify->address.sun_path)) {
		log_warning("systemd: NOTIFY_SOCKET=%s is not the path of a socket; no "
			    "notifications are sent",
			path);
		return 0;
	}
	notify->address.sun_family = AF_UNIX;
	memcpy(notify->address.sun_path, path, length + 1);
	notify->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
	if (path[0] == '@') {
		/* abstract: every byte counts, there is no NUL after the name */
		notify->address.sun_path[0] = 0;
		notify->address_size--;
	}
	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return notify->fd < 0 ? -errno : 0;
}

static int start_watchdog(struct notify *notify, sd_event *loop)
{
	uint64_t usec;
	int r = sd_watchdog_enabled(0, &usec);

	if (r <= 0)
		return r;
	notify->watchdog_usec = usec / 3;
	r = sd_event_add_time_relative(
		loop, &notify->watchdog, CLOCK_MONOTONIC, 0, usec / 12, on_watchdog, notify);
	/* Before all other work: the message only says that the loop runs. */
	if (r >= 0)
		r = sd_event_source_set_priority(notify->watchdog, SD_EVENT_PRIORITY_IMPORTANT);
	return r;
}

int notify_new(sd_event *loop, struct notify **ret_notify)
{
	struct notify *notify = calloc(1, sizeof(*notify));
	const char *path = getenv("NOTIFY_SOCKET");
	int r;

	if (!notify)
		return -ENOMEM;
	notify->fd = -1;
	r = path && path[0] ? open_socket(notify, path) : 0;
	if (r >= 0)
		r = sd_event_add_time_relative(loop, &notify->retry, CLOCK_MONOTONIC, RETRY_USEC,
			RETRY_USEC / 4, on_retry, notify);
	if (r >= 0)
		r = sd_event_source_set_enabled(notify->retry, SD_EVENT_OFF);
	if (r >= 0 && notify->fd >= 0)
		r = start_watchdog(notify, loop);
	if (r < 0) {
		notify_free(notify);
		return r;
	}
	*ret_notify = notify;
	return 0;
}

struct notify *notify_free(struct notify *notify)
{
	if (!notify)
		return NULL;
	notify->watchdog_due = false;
	for (int i = 0; i < LAST_TRIES && !flush(notify); i++)
		poll(NULL, 0, LAST_MSEC);
	sd_event_source_disable_unref(notify->watchdog);
	sd_event_source_disable_unref(notify->retry);
	close_fd(&notify->fd);
	free(notify);
	return NULL;
}

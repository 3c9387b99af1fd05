/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changes in the trail's folder. It ignores the files that the trail itself makes there (older
 * ones, new ones before they have the name); otherwise each check would cause the next.
 */
#include "audit/watch.h"

#include <limits.h>
#include <sys/inotify.h>

#include "util.h"

#define CHANGES                                                                                    \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF |     \
		IN_ONLYDIR)
#define BUFFER (16 * (sizeof(struct inotify_event) + NAME_MAX + 1))

int audit_watch_open(void)
{
	return inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
}

void audit_watch_folder(int fd, const char *path)
{
	if (fd >= 0)
		(void)inotify_add_watch(fd, path, CHANGES);
}

bool audit_watch_heard(int fd, const char *name)
{
	_Alignas(struct inotify_event) char buffer[BUFFER];
	ssize_t n = read(fd, buffer, sizeof(buffer));
	bool heard = false;

	for (const char *at = buffer; at < buffer + n;) {
		const struct inotify_event *event = (const void *)at;

		/* An event without a name is about the folder, or says that events were lost. */
		heard = heard || !event->len || streq(event->name, name);
		at += sizeof(*event) + event->len;
	}
	return heard;
}

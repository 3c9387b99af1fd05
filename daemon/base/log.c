/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages. It must never let a text from outside begin a line of its own. It never waits for a
 * reader: when nobody reads the pipe or the journal, messages are lost, and the next one says how
 * many. Nothing that a client can repeat may be logged.
 */
#include "base/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <systemd/sd-daemon.h>

#include "text.h"

static void message(const char *priority, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

static void message(const char *priority, const char *format, va_list arguments)
{
	static unsigned int lost;
	struct pollfd to = { .fd = STDERR_FILENO, .events = POLLOUT };
	cleanup(cleanup_free) char *text = NULL;
	char line[3840], before[64] = "";

	/* If poll() says that it is writable, there is room for more than this. */
	if (poll(&to, 1, 0) == 0) {
		lost++;
		return;
	}
	if (lost)
		snprintf(before, sizeof(before), "(%u messages before this one are lost) ", lost);
	lost = 0;
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	text_fit(
		text ? text : "a message is lost: out of memory", TEXT_VISIBLE, line, sizeof(line));
	fprintf(stderr, "%s%s%s\n", getenv("JOURNAL_STREAM") ? priority : "ccbufd: ", before, line);
}

void log_error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	message(SD_ERR, format, arguments);
	va_end(arguments);
}

void log_warning(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	message(SD_WARNING, format, arguments);
	va_end(arguments);
}

void log_info(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	message(SD_INFO, format, arguments);
	va_end(arguments);
}

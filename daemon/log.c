/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages. It must never be called with what a client could flood.
 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

static void message(const char *priority, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

static void message(const char *priority, const char *format, va_list arguments)
{
	char text[2048];

	vsnprintf(text, sizeof(text), format, arguments);
	fprintf(stderr, "%s%s\n", getenv("JOURNAL_STREAM") ? priority : "ccbufd: ", text);
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

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The list of mistakes in a policy. Each is one line of text that is safe to print, whatever bytes
 * the policy has. No mistake is dropped silently: those that do not fit are counted.
 */
#include <stdarg.h>
#include <stdio.h>

#include "policy-internal.h"
#include "text.h"

void policy_errors_done(struct policy_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		free(errors->lines[i]);
	free(errors->lines);
	*errors = (struct policy_errors){ 0 };
}

void policy_errors_report_done(struct policy_report *report)
{
	policy_errors_done(&report->errors);
	*report = (struct policy_report){ 0 };
}

/* Writes a place as a JSON pointer, which can be pasted into other tools. */
static void write_place(FILE *to, const struct policy_place *place)
{
	char quoted[POLICY_QUOTE_MAX];
	size_t length;

	if (!place)
		return;
	write_place(to, place->up);
	fputc('/', to);
	if (!place->key) {
		fprintf(to, "%zu", place->index);
		return;
	}
	policy_errors_quote(quoted, place->key);
	length = strlen(quoted);
	for (size_t i = 1; i + 1 < length; i++)
		if (quoted[i] == '~' || quoted[i] == '/')
			fputs(quoted[i] == '~' ? "~0" : "~1", to);
		else
			fputc(quoted[i], to);
}

const char *policy_errors_quote(char buffer[static POLICY_QUOTE_MAX], const char *untrusted_text)
{
	size_t length;

	buffer[0] = '"';
	/* room for the closing quote */
	text_fit(untrusted_text, TEXT_NAME | TEXT_VISIBLE, buffer + 1, POLICY_QUOTE_MAX - 2);
	length = strlen(buffer);
	buffer[length] = '"';
	buffer[length + 1] = 0;
	return buffer;
}

static void append(struct policy_report *report, char *line)
{
	void *lines = report->errors.lines;

	if (!line || !policy_pool_grow(&lines, report->errors.count, &report->capacity,
			     sizeof(*report->errors.lines))) {
		free(line);
		report->failed = true;
		return;
	}
	report->errors.lines = lines;
	report->errors.lines[report->errors.count++] = line;
}

/* Begins a line. NULL when it need not or cannot be written. */
static FILE *begin(struct policy_report *report, const char *path, char **line, size_t *size)
{
	cleanup(cleanup_free) char *shown = NULL;
	FILE *to = NULL;

	if (report->errors.count >= POLICY_MISTAKE_MAX) {
		report->dropped++;
		return NULL;
	}
	shown = text_new(path, TEXT_NAME | TEXT_VISIBLE);
	if (shown)
		to = open_memstream(line, size);
	if (!to) {
		report->failed = true;
		return NULL;
	}
	fputs(shown, to);
	return to;
}

static void end(struct policy_report *report, FILE *to, char **line)
{
	bool bad = ferror(to);

	if (fclose(to) || bad) {
		free(*line);
		*line = NULL;
	}
	/* Escapes arguments that were not quoted. */
	if (*line && !text_stays(*line, TEXT_VISIBLE)) {
		char *shown = text_new(*line, TEXT_VISIBLE);

		free(*line);
		*line = shown;
	}
	append(report, *line);
}

void policy_errors_add(struct policy_report *report, const char *path,
	const struct policy_place *place, const char *format, ...)
{
	char *line = NULL;
	size_t size = 0;
	FILE *to = begin(report, path, &line, &size);
	va_list args;

	if (!to)
		return;
	fputs(place ? ": " : ": /", to);
	write_place(to, place);
	fputs(": ", to);
	va_start(args, format);
	vfprintf(to, format, args);
	va_end(args);
	end(report, to, &line);
}

void policy_errors_syntax(struct policy_report *report, const char *path, size_t line_number,
	size_t column, const char *format, ...)
{
	char *line = NULL;
	size_t size = 0;
	FILE *to = begin(report, path, &line, &size);
	va_list args;

	if (!to)
		return;
	fprintf(to, ":%zu:%zu: ", line_number, column);
	va_start(args, format);
	vfprintf(to, format, args);
	va_end(args);
	end(report, to, &line);
}

void policy_errors_file(struct policy_report *report, const char *path, const char *format, ...)
{
	char *line = NULL;
	size_t size = 0;
	FILE *to = begin(report, path, &line, &size);
	va_list args;

	if (!to)
		return;
	fputs(": ", to);
	va_start(args, format);
	vfprintf(to, format, args);
	va_end(args);
	end(report, to, &line);
}

int policy_errors_finish(struct policy_report *report, struct policy_errors *ret_errors)
{
	if (report->dropped) {
		char *line = NULL;

		if (asprintf(&line, "%zu more mistakes are not shown", report->dropped) < 0)
			line = NULL;
		append(report, line);
		report->dropped = 0;
	}
	if (report->failed)
		return -ENOMEM;
	if (!report->errors.count)
		return 0;
	if (ret_errors) {
		*ret_errors = report->errors;
		report->errors = (struct policy_errors){ 0 };
	}
	return -EINVAL;
}

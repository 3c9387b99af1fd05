/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages to the journal (or a terminal): standard error with the priority prefix of sd-daemon(3)
 * when it is the journal, without when it is a person's.
 */
#pragma once

#include "util.h"

/* printf style, without a newline: one line each, whatever bytes are put in. What was escaped
 * before stays as it is. */
void log_error(const char *format, ...) printf_like(1, 2);
void log_warning(const char *format, ...) printf_like(1, 2);
void log_info(const char *format, ...) printf_like(1, 2);

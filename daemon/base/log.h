/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages to the journal or a terminal, on standard error. They have the priority prefix of
 * sd-daemon(3), unless it is a terminal.
 */
#pragma once

#include "util.h"

/* printf style, without a newline. Each message is one line, whatever bytes the arguments have.
 * Bytes that are escaped already are not escaped again. */
void log_error(const char *format, ...) printf_like(1, 2);
void log_warning(const char *format, ...) printf_like(1, 2);
void log_info(const char *format, ...) printf_like(1, 2);

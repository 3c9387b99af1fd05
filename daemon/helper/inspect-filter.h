/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The system call filter of an inspector: it can open files for reading and send what it read. It
 * cannot choose the place in a file, so it gets nothing from /proc/PID/mem. It cannot map a file,
 * write, or pass on an fd. Any other call kills it.
 */
#pragma once

/* Loads the filter for this thread. It cannot be removed. Returns 0 or a negative errno. */
int inspect_filter_enter(void);

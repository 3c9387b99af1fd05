/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The system call filter of a child that looks: it can open files to read them and say what it
 * read, and nothing else. It cannot choose where in a file it reads, so /proc/PID/mem gives
 * nothing; nor map one, write, or pass on an fd. Anything else kills it.
 */
#pragma once

/* For this thread, for good. 0 or a negative errno. */
int inspect_filter_enter(void);

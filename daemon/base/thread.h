/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Threads of the daemon: a small stack, a name, and all signals blocked.
 */
#pragma once

#include <pthread.h>
#include <stddef.h>

/* Starts run(userdata) with all signals blocked. name has at most 15 bytes. Returns 0 or a negative
 * errno. */
int thread_start(pthread_t *ret_thread, const char *name, size_t stack_size,
	void *(*run)(void *userdata), void *userdata);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starts threads, and restores the signal mask of its caller.
 */
#include "base/thread.h"

#include <signal.h>

int thread_start(pthread_t *ret_thread, const char *name, size_t stack_size,
	void *(*run)(void *userdata), void *userdata)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int r;

	r = pthread_attr_init(&attributes);
	if (r)
		return -r;
	pthread_attr_setstacksize(&attributes, stack_size);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(ret_thread, &attributes, run, userdata);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (r)
		return -r;
	pthread_setname_np(*ret_thread, name);
	return 0;
}

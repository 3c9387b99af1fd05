/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A place to measure in: a temporary folder, a dbus-daemon of its own, and the real ccbufd there
 * with a policy that grants everything from the emulated heap. Every process dies with the one that
 * started it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct place {
	char folder[64];
	char bus[96];	 /* address; empty without a dbus-daemon */
	char socket[80]; /* of ccbufd */
	pid_t bus_daemon;
	int notify; /* where READY=1 comes */
};

/* A program that was started and has said READY=1. */
struct service {
	pid_t pid;
	uint64_t ready_ns; /* from before the fork */
};

/*
 * Makes a folder in parent and starts a dbus-daemon. Without an installed dbus-daemon the place has
 * no bus. durability is the policy's, "written" or "synced". 0 or a negative errno.
 */
int place_new(const char *parent, const char *durability, struct place *ret_place);
/* Ends the dbus-daemon and removes the folder with all it holds. */
void place_done(struct place *place);

/* Starts a program in the place and waits until it is ready, for 10 s at most. 0; -ETIMEDOUT;
 * -ECHILD when it ended instead. */
int service_start(const struct place *place, const char *const argv[], struct service *ret_service);
/* The same for ccbufd. */
int service_start_ccbufd(const struct place *place, const char *path, struct service *ret_service);
/* Asks it to end and waits until it has. */
void service_stop(struct service *service);

/* A child process that runs function and is ended by child_stop(). A negative errno on failure. */
pid_t child_start(void (*function)(void *userdata), void *userdata);
void child_stop(pid_t pid);

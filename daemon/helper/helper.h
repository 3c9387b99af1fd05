/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes for work that the daemon must not do itself: work that can hang on somebody else's file
 * system or name service, loads foreign code, or needs a privilege. A helper process is forked
 * before there are threads and before the filter. It only forks children on request and ends them.
 * Each child has one role and one socket (SOCK_SEQPACKET) to the daemon, and no other fd of the
 * daemon's; it ends when that socket is closed.
 *
 * To add a role, add a value to enum helper_role and a line in helper/child.c.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

enum helper_role {
	HELPER_LOAD,	/* reads the policy and looks up its names (helper/load-child.h) */
	HELPER_INSPECT, /* inspects processes in /proc (helper/inspect-child.h) */
	HELPER_ROLES
};

/* What the children know from the beginning. Borrowed until the end of the process. */
struct helper_settings {
	const char *const *policy_dirs; /* NULL-terminated */
	bool policy_named;		/* by --policy: each folder must exist */
	uid_t policy_trusted_uid;
	const char *admin_group;
	bool no_filter; /* for debuggers and sanitizers */
};

struct helper;
struct helper_child;

/* Forks the helper, which keeps CAP_SYS_PTRACE, if the process has it, and no other capability. The
 * process must have one thread. Returns 0 or a negative errno. */
int helper_new(const struct helper_settings *settings, struct helper **ret_helper);
/* Ends the helper and its children; waits up to a second for those that cannot end at once. Takes
 * NULL, returns NULL. */
struct helper *helper_free(struct helper *helper);

/* Attaches the helper to the loop, before the first child. on_lost is called when the helper is
 * gone; the daemon has to end then. Returns 0 or a negative errno. */
int helper_attach(
	struct helper *helper, sd_event *loop, void (*on_lost)(void *userdata), void *userdata);

struct helper_events {
	/* error 0: *fd is the socket, which the callee takes. Else the negative errno why there is
	 * no child; nothing more is called. */
	void (*started)(void *userdata, int error, int *fd);
	/* The child is gone; status is that of waitpid(). It is freed afterwards. */
	void (*ended)(void *userdata, int status);
};

/* Asks for a child. events must be static; the loop calls them. Returns 0 or a negative errno. */
int helper_spawn(struct helper *helper, enum helper_role role, const struct helper_events *events,
	void *userdata, struct helper_child **ret_child);
/* Kills the child. It ends much later if it waits for a file system. */
void helper_kill(struct helper_child *child);
/* The same, and no event is called for it any more. Takes NULL, returns NULL. */
struct helper_child *helper_disown(struct helper_child *child);

/* How many children of a role were killed and have not ended. */
unsigned int helper_stuck(const struct helper *helper, enum helper_role role);

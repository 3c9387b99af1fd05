/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes for what the daemon must not do itself: what can hang on somebody else's file system or
 * name service, brings in foreign code, or needs a privilege. A helper process is forked before
 * there are threads and before the filter; it does nothing but fork children on request and end
 * them. Each child has one role and one socket (SOCK_SEQPACKET) to the daemon, and no other fd of
 * the daemon's; when that socket is closed, it ends.
 *
 * A new role is a value of enum helper_role and a line in helper/child.c.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

enum helper_role {
	HELPER_LOAD,	/* reads the policy and looks its names up (helper/load-child.h) */
	HELPER_INSPECT, /* looks at processes in /proc (helper/inspect-child.h) */
	HELPER_ROLES
};

/* What the children know from the beginning. Borrowed, for good. */
struct helper_settings {
	const char *const *policy_dirs; /* NULL-terminated */
	bool policy_named;		/* by --policy: each folder must be there */
	uid_t policy_trusted_uid;
	const char *admin_group;
	bool no_filter; /* for debuggers and sanitizers */
};

struct helper;
struct helper_child;

/* Forks the helper, which keeps CAP_SYS_PTRACE if the process has it, and no other right. The
 * process must have one thread. 0 or a negative errno. */
int helper_new(const struct helper_settings *settings, struct helper **ret_helper);
/* Ends the helper and its children; of those that cannot end at once it waits a second. Takes NULL,
 * returns NULL. */
struct helper *helper_free(struct helper *helper);

/* Before the first child: the loop, and what to call when the helper is gone, which is the end of
 * the daemon, too. 0 or a negative errno. */
int helper_attach(
	struct helper *helper, sd_event *loop, void (*on_lost)(void *userdata), void *userdata);

struct helper_events {
	/* error 0: *fd is the socket, to be taken; else why there is no child, and that is all. */
	void (*started)(void *userdata, int error, int *fd);
	/* It is gone; status as of waitpid(). The child is freed afterwards. */
	void (*ended)(void *userdata, int status);
};

/* Asks for a child. events must be static. 0, and what becomes of it is told by the loop; or a
 * negative errno. */
int helper_spawn(struct helper *helper, enum helper_role role, const struct helper_events *events,
	void *userdata, struct helper_child **ret_child);
/* Ends it as soon as it can be ended: where it waits for a file system, that may be much later. */
void helper_kill(struct helper_child *child);
/* The same, and nothing is told of it any more. Takes NULL, returns NULL. */
struct helper_child *helper_disown(struct helper_child *child);

/* How many children of a role were to be ended and have not come to it. */
unsigned int helper_stuck(const struct helper *helper, enum helper_role role);

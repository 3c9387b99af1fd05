/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The request and the identity of the peer: the two inputs of a decision. Both front ends make
 * them, the policy engine decides on them, and the audit trail records them. Plain data: no fds, no
 * I/O.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define USE_NAME_MAX	  63 /* bytes of a use's name, the NUL not counted */
#define LABEL_MAX	  31 /* bytes of a request's label, likewise */
#define REQUEST_COUNT_MAX 64 /* buffers in one request */

enum transport { TRANSPORT_SOCKET, TRANSPORT_DBUS };

/* What the host can do with the memory of a heap. */
enum exposure {
	EXPOSURE_UNKNOWN,   /* nobody has said: never brokered */
	EXPOSURE_SHARED,    /* the host reads and writes it */
	EXPOSURE_PRIVATE,   /* in a confidential guest the host sees ciphertext at most */
	EXPOSURE_PROTECTED, /* not even the guest's CPU reads it */
	EXPOSURE_EMULATED,  /* ordinary memory (memfd), for machines without a heap */
	EXPOSURE_MAX_
};

/* "socket", "dbus"; "unknown", "shared", "private", "protected", "emulated". Never NULL. */
const char *transport_name(enum transport transport);
const char *exposure_name(enum exposure exposure);
/* The exposure of a name; -1 when there is none. */
int exposure_from_name(const char *name);

/*
 * True for a name of 1 to USE_NAME_MAX bytes of [A-Za-z0-9._-] that does not begin with '-' or '.'.
 * The names of uses and rules have this form.
 */
bool use_name_valid(const char *untrusted_name);
/* True for at most LABEL_MAX bytes, all printable ASCII (0x20 to 0x7e). Empty is valid. */
bool label_valid(const char *untrusted_label);

/* A request whose form has been checked. Only the policy knows whether it is allowed. */
struct request {
	char use[USE_NAME_MAX + 1];
	char label[LABEL_MAX + 1]; /* empty when none was given */
	uint64_t size;		   /* bytes of each buffer, as asked: not yet rounded to pages */
	uint32_t count;		   /* buffers, 1 to REQUEST_COUNT_MAX when valid */
	bool accept_shared;
	bool read_only;
	enum transport transport;
};

/*
 * A process as the kernel describes it. A string is NULL when the kernel does not say it, or its
 * word cannot be relied on; a rule with such a key does not match.
 */
struct identity {
	pid_t pid;
	uint64_t start_time; /* clock ticks since boot, /proc/PID/stat field 22 */
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplementary groups, n_groups of them */
	size_t n_groups;
	char *exe;	/* absolute path; only if the peer is in PID 1's mount namespace and the
			   file of that path there has the same device and inode */
	char *unit;	/* "mpi@3.service", the innermost system unit of the cgroup */
	char *slice;	/* "system.slice" */
	char *cgroup;	/* "/system.slice/mpi@3.service" */
	char *lsm;	/* security label, without a trailing NUL */
	bool container; /* user or PID namespace or root directory is not that of PID 1 */
	bool unseen;	/* not inspected: only its ids are known */
	bool strong;	/* a pidfd from the kernel or the bus anchors it since the connect */
};

/* Frees the strings and the groups, zeroes the struct. */
void identity_done(struct identity *identity);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the daemon asks a child that looks at processes, and what that answers: one packet each, of
 * a bounded size.
 */
#pragma once

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "chain.h"

/* Who a process counts to, as users_get() has it: a uid, and where that is root's a namespace. */
struct look_person {
	uint64_t ns;
	uint32_t uid, zero;
};

#define LOOK_HANGING_MAX 64

/* What is to be looked at. All of it for a first look; for another one only what it cannot do
 * without: the process lives still, and that it is the same is anchored otherwise. */
enum look_wanted {
	LOOK_WANT_PATH = 1 << 0,   /* of the executable */
	LOOK_WANT_START = 1 << 1,  /* its time, the PID namespace and the person: these stay */
	LOOK_WANT_CGROUP = 1 << 2, /* where a pidfd does not tell of it */
	LOOK_WANT_LABEL = 1 << 3,
	LOOK_WANT_CREDENTIALS = 1 << 4, /* and groups */
	LOOK_WANT_ALL = (1 << 5) - 1,
};

struct look_question {
	uint64_t number;
	int32_t pid;
	uint32_t wanted; /* enum look_wanted */
	/* Persons who have a look that hangs: of one of these no file system is asked that may do
	 * the same. */
	uint32_t n_hanging, zero;
	struct look_person hanging[LOOK_HANGING_MAX];
};

enum look_kind {
	LOOK_NOTICE, /* what comes next may hang; person is filled */
	LOOK_ANSWER,
};

/* What could be seen. What could not is zero, or empty. */
enum look_known {
	LOOK_EXE = 1 << 0,
	LOOK_ROOT = 1 << 1,
	LOOK_MOUNT_NS = 1 << 2,
	LOOK_USER_NS = 1 << 3,
	LOOK_PID_NS = 1 << 4,
	LOOK_CGROUP = 1 << 5,
	LOOK_LABEL = 1 << 6,
	LOOK_PATH = 1 << 7, /* exe is the host's path of what runs */
};

enum look_text { LOOK_TEXT_CGROUP, LOOK_TEXT_LABEL, LOOK_TEXT_EXE, LOOK_TEXTS };

struct look_answer {
	uint64_t number;
	uint32_t kind; /* enum look_kind */
	/* 0; -ESRCH: there is no such process; -EBUSY: its person has a look that hangs, and the
	 * file system of its program may do the same; or another negative errno. What is said
	 * besides is true only with 0. */
	int32_t error;
	uint32_t known;		   /* enum look_known */
	uint32_t may_set_groups;   /* it has CAP_SETGID */
	uint32_t container;	   /* user or PID namespace or root are not the host's, or unseen */
	uint32_t uids[4], gids[4]; /* real, effective, saved, of the file system */
	char groups[CHAIN_HASH_TEXT]; /* look_hash_groups() of all, the effective one among them */
	uint64_t start_time;	      /* clock ticks since boot */
	uint64_t exe_dev, exe_ino, root_dev, root_ino;
	uint64_t mount_ns, user_ns, pid_ns; /* inodes */
	struct look_person person;
	uint16_t sizes[LOOK_TEXTS]; /* of the texts, each with its NUL; 0 for none */
	char texts[];		    /* one after the other */
};

#define LOOK_TEXT_MAX	(PATH_MAX + 1)
#define LOOK_ANSWER_MAX (sizeof(struct look_answer) + LOOK_TEXTS * LOOK_TEXT_MAX)

/* What stands for a set of groups, in whatever order they come and however often. Sorts them. */
void look_hash_groups(gid_t *groups, size_t count, char hash[static CHAIN_HASH_TEXT]);

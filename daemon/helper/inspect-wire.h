/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The question of the daemon to an inspector, and the answer: one packet each, of a bounded size.
 */
#pragma once

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "chain.h"

/* The person that a process counts to, as in users_get(): a uid, and a namespace if the uid is
 * root's. */
struct inspect_person {
	uint64_t ns;
	uint32_t uid, zero;
};

#define INSPECT_HANGING_MAX 64

/* Supplementary groups of a process that is served. The kernel allows 65536, but takes tens of
 * milliseconds for each list of so many. */
#define INSPECT_GROUPS_MAX 4096

/* What to inspect: all for the first inspection of a process. A later one needs less: the process
 * still lives, and its pidfd shows that it is the same one. */
enum inspect_wanted {
	INSPECT_WANT_PATH = 1 << 0,  /* of the executable */
	INSPECT_WANT_START = 1 << 1, /* start time, PID namespace and person, which do not change */
	INSPECT_WANT_CGROUP = 1 << 2, /* where the pidfd does not say it */
	INSPECT_WANT_LSM = 1 << 3,
	INSPECT_WANT_CREDENTIALS = 1 << 4, /* and groups */
	INSPECT_WANT_ALL = (1 << 5) - 1,
};

struct inspect_question {
	uint64_t number;
	int32_t pid;
	uint32_t wanted; /* enum inspect_wanted */
	/* Persons who have an inspection that hangs: of one of these, or with careful of anybody,
	 * no file system is asked that may do the same. */
	uint32_t n_hanging, careful;
	struct inspect_person hanging[INSPECT_HANGING_MAX];
};

enum inspect_kind {
	INSPECT_NOTICE, /* the next step may hang; person is filled */
	INSPECT_ANSWER,
};

/* What could be read; the rest is zero or empty. */
enum inspect_known {
	INSPECT_EXE = 1 << 0,
	INSPECT_ROOT = 1 << 1,
	INSPECT_MOUNT_NS = 1 << 2,
	INSPECT_USER_NS = 1 << 3,
	INSPECT_PID_NS = 1 << 4,
	INSPECT_CGROUP = 1 << 5,
	INSPECT_LSM = 1 << 6,
	INSPECT_PATH = 1 << 7, /* exe is the path, in PID 1's namespace, of the file that runs */
};

enum inspect_text { INSPECT_TEXT_CGROUP, INSPECT_TEXT_LSM, INSPECT_TEXT_EXE, INSPECT_TEXTS };

struct inspect_answer {
	uint64_t number;
	uint32_t kind; /* enum inspect_kind */
	/* 0; -ESRCH: there is no such process; -EBUSY: its person has an inspection that hangs, and
	 * the file system of its program may hang, too; -E2BIG: it is in more than
	 * INSPECT_GROUPS_MAX groups; or another negative errno. The other members are valid only
	 * with 0. */
	int32_t error;
	uint32_t known;		      /* enum inspect_known */
	uint32_t may_set_groups;      /* it has CAP_SETGID */
	uint32_t container;	      /* user or PID namespace or root is not PID 1's, or unseen */
	uint32_t uids[4], gids[4];    /* real, effective, saved, file-system */
	char groups[CHAIN_HASH_TEXT]; /* inspect_hash_groups() of all, including the effective one
				       */
	uint64_t start_time;	      /* clock ticks since boot */
	uint64_t exe_dev, exe_ino, root_dev, root_ino;
	uint64_t mount_ns, user_ns, pid_ns; /* inodes */
	struct inspect_person person;
	uint16_t sizes[INSPECT_TEXTS]; /* of the texts, each including its NUL; 0 for none */
	char texts[];		       /* one after the other */
};

#define INSPECT_TEXT_MAX   (PATH_MAX + 1)
#define INSPECT_ANSWER_MAX (sizeof(struct inspect_answer) + INSPECT_TEXTS * INSPECT_TEXT_MAX)

/* The hash of a set of groups; order and repetition do not matter. Sorts the array. */
void inspect_hash_groups(gid_t *groups, size_t count, char hash[static CHAIN_HASH_TEXT]);

/* Whether the sizes in an answer are right. To be checked before it is used. */
bool inspect_answer_valid(const struct inspect_answer *untrusted_answer, size_t size);
/* One text of an answer; NULL when it is not known. */
const char *inspect_answer_text(const struct inspect_answer *answer, enum inspect_text which);

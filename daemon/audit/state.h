/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file .NAME.state beside the trail, mode 0600: the lock of the one daemon that writes the
 * trail, and its notes on what a later start cannot know from the trail alone: where it ended and
 * which records were deleted. The trail is the record of authority; what the notes say beyond it is
 * missing.
 *
 * The lock is not on the trail itself, for all who may read a file may lock it, and so keep a
 * daemon from it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "audit/lost.h"
#include "chain.h"

struct audit_state {
	struct chain chain; /* of the last record; sequence 0 for none */
	uint64_t deleted;   /* the daemon itself deleted the records up to this one */
	uint64_t missing;   /* records in gaps between files that the trail has been told of */
	struct audit_lost lost;
};

/* ".audit.jsonl.state"; NULL when out of memory. The caller frees it. */
char *audit_state_name(const char *name);

/*
 * Opens (or creates) and locks the file for a trail of that name. *ret_state is zero when it holds
 * no notes that can be understood. 0, or: -EBUSY another daemon has it; -EACCES; -ELOOP, -EINVAL it
 * is no regular file; -ENOMEM; what the file system says.
 */
int audit_state_open(int folder, const char *name, struct audit_state *ret_state, int *ret_fd);

/* Whether the file of that name is still the one that is locked. False also when it cannot be seen.
 */
bool audit_state_holds(int folder, const char *name, int fd);

/* 0 or a negative errno. Not synced. */
int audit_state_write(int fd, const struct audit_state *state);

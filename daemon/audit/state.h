/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file .NAME.state beside the trail, mode 0600. It is the lock of the one daemon that writes
 * the trail, and has notes that a later start cannot take from the trail alone: where it ended and
 * which records were deleted. The trail is the record of authority; records that only the notes
 * have are missing.
 *
 * The lock is not on the trail itself: everybody who may read a file may lock it, and could keep
 * the daemon from starting.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "audit/lost.h"
#include "chain.h"

struct audit_state {
	struct chain chain; /* of the last record; sequence 0 for none */
	uint64_t deleted;   /* the daemon itself deleted the records up to this one */
	uint64_t missing;   /* missing records between files that the trail has already reported */
	struct audit_lost lost;
};

/* ".audit.jsonl.state"; NULL when out of memory. The caller frees it. */
char *audit_state_name(const char *name);

/*
 * Opens or creates the file for a trail of that name, and locks it. *ret_state is zero when it has
 * no valid notes. Returns 0, or: -EBUSY another daemon has it; -EACCES; -ELOOP, -EINVAL it is no
 * regular file; -ENOMEM; another error of the file system.
 */
int audit_state_open(int folder, const char *name, struct audit_state *ret_state, int *ret_fd);

/* Whether the file of that name is still the locked one. False also when that cannot be found
 * out. */
bool audit_state_holds(int folder, const char *name, int fd);

/* Writes the notes, and does not sync them. Returns 0 or a negative errno. */
int audit_state_write(int fd, const struct audit_state *state);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ids that stand for nobody. In a user namespace that does not map every id of the machine, the
 * kernel shows each one without a mapping as one and the same number (overflowuid, mostly 65534),
 * which may be that of a user here, too. Who has it is not known.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* All zero: every id of the machine has a number of its own here. */
struct unmapped {
	bool uids, gids;   /* not every one has: */
	uint32_t uid, gid; /* then this is the number of all the others */
};

/* Of the own user namespace. Never fails: where the kernel does not tell, there is only one. */
void unmapped_detect(struct unmapped *ret_unmapped);

/* Whether the text of /proc/PID/uid_map or gid_map has a number for every id. Pure. */
bool unmapped_map_is_whole(const char *text);

/* Whether an id of a user or group is nobody's: that number, or (uid_t)-1. Pure. */
bool unmapped_uid(const struct unmapped *unmapped, uint32_t uid);
bool unmapped_gid(const struct unmapped *unmapped, uint32_t gid);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ids that stand for nobody. In a user namespace that does not map every id of the machine, the
 * kernel shows all unmapped ids as the same number (overflowuid, usually 65534), which may also be
 * the number of a user here. So nobody knows who has it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* All zero: every id of the machine is mapped here. */
struct unmapped {
	bool uids, gids;   /* not all are mapped: */
	uint32_t uid, gid; /* then this is the number of all unmapped ones */
};

/* For the caller's user namespace. Never fails: where the kernel does not say, there is only
 * one. */
void unmapped_detect(struct unmapped *ret_unmapped);

/* Whether the text of /proc/PID/uid_map or gid_map maps every id. Pure. */
bool unmapped_map_is_whole(const char *text);

/* Whether an id of a user or group stands for nobody: that number, or (uid_t)-1. Pure. */
bool unmapped_uid(const struct unmapped *unmapped, uint32_t uid);
bool unmapped_gid(const struct unmapped *unmapped, uint32_t gid);

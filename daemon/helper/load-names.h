/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names of users and groups, and what the name service said of each. Asked once, each is known for
 * the rest of a load, to the process that asks and to the daemon.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct load_names {
	void *root; /* of tsearch(3) */
};

/* Takes a name that is not known yet; result is 0 with its id, or a negative errno. 0 or -ENOMEM.
 */
int load_names_add(struct load_names *names, bool user, const char *name, int result, uint32_t id);
/* What was said of it: 0, or that errno; -EBADMSG for a name that nobody asked for. */
int load_names_find(const struct load_names *names, bool user, const char *name, uint32_t *ret_id);
void load_names_done(struct load_names *names);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names of users and groups, and the name service's answer for each. Each is looked up once; both
 * the child and the daemon keep the answer for the rest of a load.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct load_names {
	void *root; /* of tsearch(3) */
};

/* Adds a name that is not known yet. result is 0 with its id, or a negative errno. Returns 0 or
 * -ENOMEM. */
int load_names_add(struct load_names *names, bool user, const char *name, int result, uint32_t id);
/* Returns the stored result of a name; -EBADMSG for a name that was not added. */
int load_names_find(const struct load_names *names, bool user, const char *name, uint32_t *ret_id);
void load_names_done(struct load_names *names);

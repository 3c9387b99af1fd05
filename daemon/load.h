/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One load of the policy. A child (helper/load-child.h) reads the files and asks the name service,
 * and sends the contents and the answers. The daemon compiles the files again with the same
 * answers. So one engine decides, and the daemon trusts the child only for the contents of the
 * files and the meaning of the names.
 */
#pragma once

#include "helper/helper.h"
#include "policy.h"

/* The time that one file or name may take, and that all may take together. */
#define LOAD_STEP_USEC 10000000
#define LOAD_ALL_USEC  60000000

struct load;

/* Called once, by the loop. result is 0 when load_compile() may be called, or a negative errno, and
 * load_failure() says what went wrong. */
typedef void (*load_done)(void *userdata, int result);

/* Starts a load. Returns 0; -EBUSY while too many loads that were given up have not ended; or
 * another negative errno. */
int load_new(struct helper *helper, sd_event *loop, load_done done, void *userdata,
	struct load **ret_load);
/* Gives up a load that is under way. Takes NULL, returns NULL. */
struct load *load_free(struct load *load);

/* What went wrong, with the file or name that the child waited for; NULL for nothing. */
const char *load_failure(const struct load *load);

/* Makes the policy; may be called in a thread. A folder that does not exist is a mistake if its bit
 * (bit 0 for the first) is in required. Returns as policy_new(), or -EBADMSG when the child's
 * records are invalid. */
int load_compile(struct load *load, uint32_t required, struct policy_errors *ret_errors,
	struct policy **ret_policy);
/* After load_compile(): the folders that exist, as bits. */
uint32_t load_folders(const struct load *load);
/* After load_compile(): the id of a group that the child looked up. Returns 0, -ENOENT when there
 * is none, or another negative errno. */
int load_group(const struct load *load, const char *name, gid_t *ret_gid);

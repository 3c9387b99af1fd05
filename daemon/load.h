/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One load of the policy. A child (helper/load-child.h) reads the files and asks the name service,
 * and says what it met; the daemon compiles the files again with the same answers, so that one
 * engine decides and nothing that the child made has to be believed but what stands in the files
 * and what the names mean.
 */
#pragma once

#include "helper/helper.h"
#include "policy.h"

/* So long may one file or one name take, and all of them together. */
#define LOAD_STEP_USEC 10000000
#define LOAD_ALL_USEC  60000000

struct load;

/* Called once, by the loop: 0 when load_compile() may follow, or a negative errno, and then
 * load_failure() says what went wrong. */
typedef void (*load_done)(void *userdata, int result);

/* 0; -EBUSY while loads that were given up before have not ended, some of them; or another negative
 * errno. */
int load_new(struct helper *helper, sd_event *loop, load_done done, void *userdata,
	struct load **ret_load);
/* Gives it up if it is under way. Takes NULL, returns NULL. */
struct load *load_free(struct load *load);

/* In words, with the file or name that it waited for; NULL when there are none. */
const char *load_failure(const struct load *load);

/* Makes the policy; in a thread. It is a mistake that a folder is not there whose bit (the first
 * one's is bit 0) is in required. Returns as policy_new(), or -EBADMSG when the child lied. */
int load_compile(struct load *load, uint32_t required, struct policy_errors *ret_errors,
	struct policy **ret_policy);
/* Afterwards: the folders that are there, likewise. */
uint32_t load_folders(const struct load *load);
/* Afterwards: the id of a group that the child looked up. 0, -ENOENT when there is none, or another
 * negative errno. */
int load_group(const struct load *load, const char *name, gid_t *ret_gid);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Policy files as the client reads them: the effective policy as an object, and what the engine
 * cannot see because it does not look at the file system.
 */
#pragma once

#include <stddef.h>
#include <json-c/json.h>

#include "policy.h"

/* The effective policy, as policy_show() has it, of paths, or of the default folders when there are
 * none. Returns as policy_load(). */
int policy_files_show(const char *const paths[], size_t n_paths, struct policy_errors *ret_errors,
	struct json_object **ret_shown);

/* Calls visit for each literal exe of a rule that no process can have: that does not exist (real is
 * NULL), or whose real path is another one. */
void policy_files_each_lost_exe(struct json_object *shown,
	void (*visit)(void *userdata, const char *rule, const char *exe, const char *real),
	void *userdata);

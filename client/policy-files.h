/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Policy files as the client reads them, with the rights of the daemon's user: the effective policy
 * as an object, and what the engine cannot see because it does not look at the machine.
 */
#pragma once

#include <stddef.h>
#include <json-c/json.h>

#include "daemon-user.h"
#include "policy.h"

/* The effective policy, as policy_show() has it, of paths, or of the default folders when there are
 * none, read with the caller's rights. Returns as policy_load(). */
int policy_files_show(const char *const paths[], size_t n_paths, struct policy_errors *ret_errors,
	struct json_object **ret_shown);

/*
 * All that can be said of the policy of paths, or of the default folders when there are none: an
 * object with "mistakes" and "warnings" (lists of lines) and, if there is no mistake, "shown" (as
 * policy_show() has it). NULL when it could not be examined, and then that is told.
 *
 * The default folders are read as the daemon does: as its user, with owners and modes looked at.
 * Other paths are read with the caller's rights, as they need not be in place yet; that the
 * daemon's user could not read them is a warning, and of what lies in a default folder a mistake.
 */
struct json_object *policy_files_examine(
	const char *const paths[], size_t n_paths, const struct daemon_user *user);

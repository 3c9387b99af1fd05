/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Policy files as the client reads them, with the rights of the daemon's user: the effective policy
 * as an object, and warnings that need a look at the machine.
 */
#pragma once

#include <stddef.h>
#include <json-c/json.h>

#include "daemon-user.h"
#include "policy.h"

/* The effective policy, in the form of policy_show(), of paths, or of the default folders when
 * there are none. Read with the caller's rights. Returns as policy_load(). */
int policy_files_show(const char *const paths[], size_t n_paths, struct policy_errors *ret_errors,
	struct json_object **ret_shown);

/*
 * Examines the policy of paths, or of the default folders when there are none: returns an object
 * with "mistakes" and "warnings" (lists of lines) and, if there is no mistake, "shown" (in the form
 * of policy_show()). NULL after reporting that it could not be examined.
 *
 * The default folders are read as by the daemon: as its user, and with checks of owners and modes.
 * Other paths are read with the caller's rights, as they need not be in place yet. A path that the
 * daemon's user could not read is a warning, or a mistake if it is in a default folder.
 */
struct json_object *policy_files_examine(
	const char *const paths[], size_t n_paths, const struct daemon_user *user);

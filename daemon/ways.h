/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The paths of the files that the daemon writes and opens. The load of the policy checks the
 * policy's paths and refuses; here the administrator is warned.
 */
#pragma once

#include "options.h"

/* Logs who, besides root and the daemon's user, could replace the folders of the trail, the socket
 * and the heaps, or change their contents. */
void ways_warn(const struct options *options);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ways to what the daemon writes and opens. The policy's are looked at by its load, which
 * refuses; of these the administrator is told.
 */
#pragma once

#include "options.h"

/* Says in the journal who else than root and the daemon's user could put another folder in the
 * place of those of the trail, the socket and the heaps, or change what is in them. */
void ways_warn(const struct options *options);

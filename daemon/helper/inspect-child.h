/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The role of a child that looks at processes, for it alone holds CAP_SYS_PTRACE. A filter of its
 * own lets it open files to read them only, and neither place itself in one, map it, nor pass it
 * on: it can see what a process is, and nothing of what that process holds.
 */
#pragma once

#include "helper/helper.h"

/* Answers questions on fd, see helper/inspect-wire.h, until that is closed. */
void inspect_child(int fd, const struct helper_settings *settings);

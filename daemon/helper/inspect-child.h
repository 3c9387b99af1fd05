/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The role of a child that inspects processes: only such a child has CAP_SYS_PTRACE. A filter of
 * its own lets it open files for reading only, and it cannot seek in a file, map it or pass it on.
 * So it can see a process's identity, but not its memory or files.
 */
#pragma once

#include "helper/helper.h"

/* Answers the questions on fd (helper/inspect-wire.h) until it is closed. */
void inspect_child(int fd, const struct helper_settings *settings);

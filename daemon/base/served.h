/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* File systems that somebody else serves, and that may not answer. */
#pragma once

#include <stdbool.h>

/* Whether an open file (O_PATH is enough) lies on such a file system (FUSE, a network). Does not
 * ask the server. False where the kernel does not say. */
bool served(int fd);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* File systems that somebody else serves, who may not answer. */
#pragma once

#include <stdbool.h>

/* Whether an open file, O_PATH is enough, lies on such a file system (FUSE, a network). Does not
 * ask its server. False where the kernel does not tell. */
bool served(int fd);

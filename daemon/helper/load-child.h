/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The role of a child that loads the policy: reads its files and looks up its names, as the name
 * service is configured today, once. It has no privilege and no system call filter, for a name
 * service brings in code of its own.
 */
#pragma once

#include "helper/helper.h"

/* Says it all on fd, see helper/load-stream.h. */
void load_child(int fd, const struct helper_settings *settings);

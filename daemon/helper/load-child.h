/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The role of a child that loads the policy once: it reads the files and looks up the names, with
 * the current configuration of the name service. It has no privilege. It has no system call filter
 * either, because a name service loads code of its own.
 */
#pragma once

#include "helper/helper.h"

/* Sends the records of the load on fd, see helper/load-stream.h. */
void load_child(int fd, const struct helper_settings *settings);

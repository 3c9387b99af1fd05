/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reports at once when others change the name of the trail's file. The kernel does not report every
 * change (a folder above, a network file system, no watch available): a regular check finds those.
 */
#pragma once

#include <stdbool.h>

/* An fd that is readable when something happened; -1 for none. */
int audit_watch_open(void);

/* Watches the folder of that path, also when the path leads to another folder than before. */
void audit_watch_folder(int fd, const char *path);

/* Takes the waiting events, without blocking. Returns whether one is about the file of that name,
 * or the folder. */
bool audit_watch_heard(int fd, const char *name);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Being told at once when others do something to the name of the trail's file. Where the kernel
 * cannot tell (a folder above, a file system of another machine, no watch to be had), looking now
 * and then has to do.
 */
#pragma once

#include <stdbool.h>

/* An fd that is readable when something happened; -1 for none. */
int audit_watch_open(void);

/* Watches the folder of that path, which may be another one each time. */
void audit_watch_folder(int fd, const char *path);

/* Takes what there is, without waiting. Whether it is about the file of that name, or the folder.
 */
bool audit_watch_heard(int fd, const char *name);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which file is the trail's current one: taking hold of it, replacing it, deleting the oldest.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A dot and 20 digits follow the name of a file that was rotated away. */
#define AUDIT_ROTATE_SUFFIX 21

/*
 * Opens the file name in folder with an exclusive lock, creating it (0640) if need be. 0, or the
 * errors of audit_file_open().
 */
int audit_rotate_open(int folder, const char *name, bool *ret_created, int *ret_fd);

/*
 * Gives the current file, open as *fd, the additional name aside and puts a new, empty, locked one
 * in its place, in one step: there is no moment without a file or without a lock. *fd is then the
 * new file. -EEXIST when the name aside is taken. On failure everything is as before. aside NULL:
 * the current file has no name any more, there is nothing to keep; -EEXIST when by now another file
 * has that name.
 */
int audit_rotate_replace(int folder, const char *name, const char *aside, int *fd);

/* Removes what a crash in the middle of audit_rotate_replace() left behind. first is the sequence
 * number that the file fd begins with. */
void audit_rotate_repair(int folder, const char *name, uint64_t first, int fd);

/* The sequence numbers in the names of rotated files, ascending; the caller frees the array. */
int audit_rotate_list(int folder, const char *name, uint64_t **ret_numbers, size_t *ret_n);

/* Deletes the oldest rotated files beyond keep (1 or more). *first_left is set to the number that
 * the oldest one left begins with, if any was deleted. */
int audit_rotate_prune(int folder, const char *name, unsigned int keep, uint64_t *first_left);

/* "name.00000000000000000001"; NULL when out of memory. The caller frees it. */
char *audit_rotate_name(const char *name, uint64_t first);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The trail's files: opens the current one, replaces it, deletes the oldest.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The name of a rotated file ends with a dot and 20 digits. */
#define AUDIT_ROTATE_SUFFIX 21

/* Whether the file of that name in folder is the one that is open as fd. */
bool audit_rotate_same(int folder, const char *name, int fd);

/*
 * Opens the file name in folder, and creates it (0640) if there is none. Returns 0, or: -EACCES;
 * -ELOOP a symbolic link; -EINVAL no regular file; another error of the file system.
 */
int audit_rotate_open(int folder, const char *name, bool *ret_created, int *ret_fd);

/*
 * Renames whatever has that name to aside and puts a new, empty file in its place, in one step
 * where the file system allows it. Closes *fd, which may be -1, and sets it to the new file.
 * Returns 0 or a negative errno: -EEXIST when the name aside is taken. On failure everything is as
 * before. With aside NULL there is no file of that name yet; -EEXIST when there is one by now.
 */
int audit_rotate_replace(int folder, const char *name, const char *aside, int *fd);

/* The same with the first free name of NAME.damaged-SEQUENCE, NAME.damaged-SEQUENCE.1, ... The
 * caller frees *ret_aside. */
int audit_rotate_set_aside(
	int folder, const char *name, uint64_t sequence, int *fd, char **ret_aside);

/* Removes what a crash during audit_rotate_replace() left. first is the sequence number of the
 * first record of the file fd. */
void audit_rotate_repair(int folder, const char *name, uint64_t first, int fd);

/* The sequence numbers in the names of rotated files, ascending; the caller frees the array. */
int audit_rotate_list(int folder, const char *name, uint64_t **ret_numbers, size_t *ret_n);

/* Deletes the rotated files with numbers below first. 0 or a negative errno. */
int audit_rotate_prune(int folder, const char *name, uint64_t first);

/* "name.00000000000000000001"; NULL when out of memory. The caller frees it. */
char *audit_rotate_name(const char *name, uint64_t first);

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

/* Whether the file of that name in folder is the one that is open as fd. */
bool audit_rotate_same(int folder, const char *name, int fd);

/*
 * Opens the file name in folder, creating it (0640) if need be. 0, or: -EACCES; -ELOOP a symbolic
 * link; -EINVAL no regular file; what the file system says.
 */
int audit_rotate_open(int folder, const char *name, bool *ret_created, int *ret_fd);

/*
 * Gives the file of that name, whatever it is, the name aside and puts a new, empty one in its
 * place, in one step where the file system can: *fd, which may be -1, is closed and then the new
 * file. -EEXIST when the name aside is taken. On failure everything is as before. aside NULL: there
 * is no file of that name; -EEXIST when by now there is.
 */
int audit_rotate_replace(int folder, const char *name, const char *aside, int *fd);

/* The same with the first name that is free of NAME.damaged-SEQUENCE, NAME.damaged-SEQUENCE.1, ...,
 * which the caller frees. */
int audit_rotate_set_aside(
	int folder, const char *name, uint64_t sequence, int *fd, char **ret_aside);

/* Removes what a crash in the middle of audit_rotate_replace() left behind. first is the sequence
 * number that the file fd begins with. */
void audit_rotate_repair(int folder, const char *name, uint64_t first, int fd);

/* The sequence numbers in the names of rotated files, ascending; the caller frees the array. */
int audit_rotate_list(int folder, const char *name, uint64_t **ret_numbers, size_t *ret_n);

/* Deletes the rotated files with numbers below first. 0 or a negative errno. */
int audit_rotate_prune(int folder, const char *name, uint64_t first);

/* "name.00000000000000000001"; NULL when out of memory. The caller frees it. */
char *audit_rotate_name(const char *name, uint64_t first);

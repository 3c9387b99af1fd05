/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The start of the trail: its file, and where the chain goes on.
 */
#pragma once

#include "audit/file.h"

/*
 * Opens or creates the file, locks the trail, and finds where the chain goes on: at the last record
 * that the state names, or that the file has if it has more. Records that the files lack are noted
 * as missing. An incomplete last line is cut off. A file that does not end in a valid record, or
 * may not be written, is set aside as NAME.damaged-SEQUENCE. Where the hash of the last record is
 * not known, a new chain begins with a previous hash of zeros; its numbers go on from the highest
 * one found. Returns 0, or: -ENOENT no folder; -ENOTDIR; -EACCES; -EBUSY another daemon writes it;
 * -ELOOP a symbolic link; -EINVAL no regular file; -ENOMEM; another error of the file system.
 */
int audit_open(
	const char *path, uint64_t rotate_bytes, unsigned int keep, struct audit_file **ret_file);

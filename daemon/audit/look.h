/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks what others did to the file of the trail while it is in use.
 */
#pragma once

#include "audit/file.h"

/*
 * Makes sure that the file of that name is the trail and ends with its last record, and deletes old
 * files as asked (prune). It looks up names and reads, so it may block where a write would not.
 * Returns 0 when records can be written, or a negative errno; file->trouble then says why not.
 * Notes say what was found and what is missing.
 */
int audit_look(struct audit_file *file);

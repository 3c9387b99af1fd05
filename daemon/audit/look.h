/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What others did to the file of the trail while it is written.
 */
#pragma once

#include "audit/file.h"

/*
 * Sees to it that the file of that name is the trail and ends with its last record, and deletes old
 * files as asked (prune). Looks things up by name and reads, so it may block where a write would
 * not. 0 when records can be written, or a negative errno, and trouble says why not. Notes say what
 * was found and what is missing.
 */
int audit_look(struct audit_file *file);

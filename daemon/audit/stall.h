/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records that somebody waits for while the disk does not answer. */
#pragma once

#include "audit/record.h"

/* For records that the writer has: calls done with -EINPROGRESS where a client waits. They may
 * still be written. */
void audit_stall_busy(struct audit_record *first);

/* For records that the writer will never give back: calls done, and uncharges their users. */
void audit_stall_left(struct audit_record *first);

/* For the records of a list: calls done with -ETIMEDOUT where a client waits. Grants are removed
 * from the list, as they do not happen; the other records stay. A done function may append to
 * *list. */
void audit_stall_waiting(struct audit_list *list);

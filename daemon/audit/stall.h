/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records for which a disk that does not answer keeps somebody waiting. */
#pragma once

#include "audit/record.h"

/* Tells those for whose records, which the writer has, a client waits: -EINPROGRESS, for they may
 * yet be written. */
void audit_stall_busy(struct audit_record *first);

/* Tells whoever waits for records that the writer will never give back; nobody is charged for them
 * any more. */
void audit_stall_left(struct audit_record *first);

/* Tells those for whose records of a list a client waits: -ETIMEDOUT. Grants, which do not happen
 * then, are taken from the list, the other records stay. A done function may append to *list. */
void audit_stall_waiting(struct audit_list *list);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Answers callers that have waited too long for the disk. Of a record that the writer has it must
 * only touch the done function: the rest belongs to the writer.
 */
#include "audit/stall.h"

#include <errno.h>

static void tell(struct audit_record *record, int result)
{
	audit_done done = record->done;

	record->done = NULL;
	if (done)
		done(record->userdata, result);
}

void audit_stall_busy(struct audit_record *first)
{
	for (struct audit_record *record = first; record; record = record->next)
		if (record->awaited)
			tell(record, -EINPROGRESS);
}

void audit_stall_left(struct audit_record *first)
{
	for (struct audit_record *record = first; record; record = record->next) {
		tell(record, -EINPROGRESS);
		audit_record_uncharge(record);
	}
}

void audit_stall_waiting(struct audit_list *list)
{
	struct audit_list old = *list;
	struct audit_record *record;

	*list = (struct audit_list){ 0 };
	while ((record = audit_list_pop(&old))) {
		bool grant = record->awaited && record->not_lost;

		if (!grant)
			audit_list_push(list, record);
		if (record->awaited)
			tell(record, -ETIMEDOUT);
		if (grant)
			audit_record_free(record);
	}
}

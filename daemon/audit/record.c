/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making records. A record keeps nothing that the event borrowed.
 */
#include "audit/record.h"

#include <time.h>

#include "audit/copy.h"
#include "base/clock.h"
#include "user/user.h"
#include "util.h"

/* A minimum, so that a share of the bytes is also a share of the records. */
#define COST_MIN (AUDIT_WAITING_BYTES / AUDIT_RECORD_WAITING)

struct audit_record *audit_record_new(struct audit_maker *maker, const struct audit_fields *fields,
	audit_done done, void *userdata)
{
	struct audit_record *record;
	size_t length = 0;

	if (fields)
		length = audit_format_body(&maker->format, fields, clock_usec(CLOCK_REALTIME),
			clock_usec(CLOCK_BOOTTIME), maker->body);
	record = malloc(sizeof(*record) + AUDIT_PREFIX_MAX + length);
	if (!record)
		return NULL;
	record->done = done;
	record->userdata = userdata;
	record->copy = fields && maker->copies ? audit_copy_new(fields) : NULL;
	record->length = length;
	record->events = fields ? fields->repeated : 1;
	record->not_lost = fields && fields->not_lost;
	record->awaited =
		done && (!fields || fields->kind == AUDIT_GRANT || fields->kind == AUDIT_DENY);
	record->has_uid = fields && fields->has_uid;
	record->uid = record->has_uid ? fields->uid : 0;
	record->user = NULL;
	memcpy(record->line + AUDIT_PREFIX_MAX, maker->body, length);
	return record;
}

/* What a record costs its user: nobody can fill more than its share of the queue. */
static uint64_t cost(const struct audit_record *record)
{
	return record->length > COST_MIN ? record->length : COST_MIN;
}

int audit_record_charge(struct audit_record *record, const struct audit_fields *fields)
{
	if (!fields || !fields->user)
		return 0;
	if (user_charge(fields->user, USER_RECORDS, cost(record)) < 0)
		return -EUSERS;
	record->user = user_ref(fields->user);
	return 0;
}

void audit_record_uncharge(struct audit_record *record)
{
	if (record->user)
		user_uncharge(record->user, USER_RECORDS, cost(record));
	record->user = user_unref(record->user);
}

void audit_record_free(struct audit_record *record)
{
	audit_record_uncharge(record);
	free(record->copy);
	free(record);
}

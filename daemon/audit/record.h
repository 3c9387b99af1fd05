/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A record on its way to the file: the formatted line, with room before it for what only the owner
 * of the chain knows, and the function to call when it is written. One thread holds a record at a
 * time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "audit/audit.h"
#include "audit/copy.h"
#include "audit/format.h"
#include "chain.h"

/* {"seq":18446744073709551615,"prev":"64 digits", */
#define AUDIT_PREFIX_MAX 102

/* Records that may wait. */
#define AUDIT_RECORD_WAITING 8192

struct audit_record {
	struct audit_record *next;
	audit_done done; /* may be NULL */
	void *userdata;
	struct audit_copy *copy; /* for the journal; NULL when it gets none */
	uint64_t events;	 /* lost if the record is; 0 when somebody retries */
	bool not_lost;		 /* the caller retries, unless the trail is being closed */
	bool awaited;		 /* a client waits for it: a grant or a refusal */
	struct user *user;	 /* charged for it, with a reference; NULL for none */
	bool has_uid;
	uid_t uid;	   /* whose events they are */
	int result;	   /* once written: 0 or a negative errno */
	uint64_t sequence; /* once written with result 0 */
	uint8_t hash[CHAIN_HASH_SIZE];
	size_t length; /* of the body, its newline included; 0 for a folded refusal, which only
			  keeps its place in the order of the done functions */
	char line[];   /* AUDIT_PREFIX_MAX bytes, then the body: "time":...}\n */
};

/* State for making records of events. */
struct audit_maker {
	struct audit_format format;
	bool copies; /* for the journal */
	char body[AUDIT_FORMAT_BODY_MAX];
};

/* A record with the time of now; without a body when fields is NULL. NULL when out of memory. */
struct audit_record *audit_record_new(struct audit_maker *maker, const struct audit_fields *fields,
	audit_done done, void *userdata);
/* Charges the record to the user of the fields, if there is one, until it is freed. Returns 0 or
 * -EUSERS. */
int audit_record_charge(struct audit_record *record, const struct audit_fields *fields);
void audit_record_uncharge(struct audit_record *record);
void audit_record_free(struct audit_record *record);

/* Records in order. The list owns them. */
struct audit_list {
	struct audit_record *first, *last;
	size_t count; /* of records */
	size_t bytes; /* of bodies */
};

static inline void audit_list_push(struct audit_list *list, struct audit_record *record)
{
	record->next = NULL;
	if (list->last)
		list->last->next = record;
	else
		list->first = record;
	list->last = record;
	list->count++;
	list->bytes += record->length;
}

/* Moves all records of another list before those of this one. */
static inline void audit_list_put_before(struct audit_list *list, struct audit_list *before)
{
	if (!before->first)
		return;
	before->last->next = list->first;
	list->first = before->first;
	if (!list->last)
		list->last = before->last;
	list->count += before->count;
	list->bytes += before->bytes;
	*before = (struct audit_list){ 0 };
}

/* NULL when the list is empty. */
static inline struct audit_record *audit_list_pop(struct audit_list *list)
{
	struct audit_record *record = list->first;

	if (!record)
		return NULL;
	list->first = record->next;
	if (!list->first)
		list->last = NULL;
	list->count--;
	list->bytes -= record->length;
	record->next = NULL;
	return record;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fields of a record. Only audit_fields_of() knows which there are. The trail, the journal and
 * the counting of refusals take them in the order of the list.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "audit/event.h"

/* How a field is written. */
enum audit_type {
	AUDIT_NUMBER,
	AUDIT_BOOLEAN,
	AUDIT_WORDS,   /* a text of the daemon's; names in it are escaped already */
	AUDIT_NAME,    /* a text from outside, not escaped */
	AUDIT_GROUPS,  /* the primary group, then n others at gid_t[] */
	AUDIT_BUFFERS, /* n at struct audit_buffer[] */
	AUDIT_RANGES,  /* n at struct audit_range[] */
	AUDIT_RANGE,   /* one */
};

/* The object that the field is a part of. */
enum audit_object { AUDIT_RECORD, AUDIT_PEER, AUDIT_BY };

struct audit_field {
	enum audit_object in : 8;
	enum audit_type type : 8;
	bool journal : 1; /* also in the journal */
	gid_t gid;
	const char *key; /* in the trail; in the journal CCBUF_KEY, CCBUF_BY_KEY in upper case */
	uint64_t number; /* the value, 0 or 1 for a boolean; or the number of elements */
	const void *at;	 /* borrowed; a text is never NULL */
};

#define AUDIT_FIELDS_MAX 40

struct audit_fields {
	enum audit_kind kind;
	enum ccbuf_verdict verdict;
	struct user *user; /* borrowed; NULL for none */
	bool has_uid;
	uid_t uid;	   /* of the peer */
	uint64_t repeated; /* events that the record stands for: 1 or more */
	bool not_lost;
	size_t n;
	struct audit_field all[AUDIT_FIELDS_MAX]; /* the fields of one object are adjacent */
};

/* All fields of an event. They borrow what the event borrows. */
void audit_fields_of(const struct audit_event *event, struct audit_fields *ret_fields);

/* Makes the record stand for so many events. */
void audit_fields_repeat(struct audit_fields *fields, uint64_t times);

/* The text or number of a key; NULL or 0 when the record has no such field. */
const char *audit_fields_text(
	const struct audit_fields *fields, enum audit_object in, const char *key);
uint64_t audit_fields_number(
	const struct audit_fields *fields, enum audit_object in, const char *key);

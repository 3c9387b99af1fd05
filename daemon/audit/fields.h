/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fields of a record. audit_fields_of() is the one place that knows which there are: the trail,
 * the journal and the counting of refusals take them as they stand in the list.
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
	AUDIT_WORDS,   /* a text of our own, in which names are escaped already */
	AUDIT_NAME,    /* a text as it came from outside */
	AUDIT_GROUPS,  /* the primary group, then n others at gid_t[] */
	AUDIT_BUFFERS, /* n at struct audit_buffer[] */
	AUDIT_RANGES,  /* n at struct audit_range[] */
	AUDIT_RANGE,   /* one */
};

/* The object that it is a part of. */
enum audit_object { AUDIT_RECORD, AUDIT_PEER, AUDIT_BY };

struct audit_field {
	enum audit_object in : 8;
	enum audit_type type : 8;
	bool journal : 1; /* it is in the journal as well */
	gid_t gid;
	const char *key; /* in the trail; in the journal CCBUF_KEY, CCBUF_BY_KEY in upper case */
	uint64_t number; /* the value, 0 or 1 for a boolean; or how many there are */
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
	struct audit_field all[AUDIT_FIELDS_MAX]; /* those of one object side by side */
};

/* All that an event has to say. Borrows what the event borrows. */
void audit_fields_of(const struct audit_event *event, struct audit_fields *ret_fields);

/* Makes the record stand for so many. */
void audit_fields_repeat(struct audit_fields *fields, uint64_t times);

/* A text by its key, NULL when the record has none such; a number, 0 when it has none such. */
const char *audit_fields_text(
	const struct audit_fields *fields, enum audit_object in, const char *key);
uint64_t audit_fields_number(
	const struct audit_fields *fields, enum audit_object in, const char *key);

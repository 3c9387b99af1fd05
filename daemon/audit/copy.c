/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Deep copies of fields, each in one allocation. A copy keeps no pointer to what the event
 * borrowed.
 */
#include "audit/copy.h"

#include "audit/format.h"
#include "util.h"

/* One byte or group more than a record shows, so that the record still marks the cut. */
#define TEXT_KEPT   (AUDIT_FORMAT_TEXT_MAX + 1)
#define GROUPS_KEPT (AUDIT_FORMAT_GROUPS_MAX + 1)

#define ALIGN(n) (((n) + sizeof(uint64_t) - 1) & ~(sizeof(uint64_t) - 1))

/* The bytes of a field that are kept. */
static size_t bytes_of(const struct audit_field *field)
{
	switch (field->type) {
	case AUDIT_NUMBER:
	case AUDIT_BOOLEAN:
		break;
	case AUDIT_WORDS:
	case AUDIT_NAME:
		return strnlen(field->at, TEXT_KEPT);
	case AUDIT_GROUPS:
		return (field->number < GROUPS_KEPT ? field->number : GROUPS_KEPT) * sizeof(gid_t);
	case AUDIT_BUFFERS:
		return field->number * sizeof(struct audit_buffer);
	case AUDIT_RANGES:
	case AUDIT_RANGE:
		return field->number * sizeof(struct audit_range);
	}
	return 0;
}

struct audit_copy *audit_copy_new(const struct audit_fields *fields)
{
	size_t bytes[AUDIT_FIELDS_MAX], size = sizeof(struct audit_copy);
	struct audit_copy *copy;
	char *at;

	for (size_t i = 0; i < fields->n; i++) {
		bytes[i] = bytes_of(&fields->all[i]);
		size += ALIGN(bytes[i] + 1);
	}
	copy = malloc(size);
	if (!copy)
		return NULL;
	*copy = (struct audit_copy){ .size = size, .fields = *fields };
	copy->fields.user = NULL;
	at = copy->rest;
	for (size_t i = 0; i < fields->n; i++) {
		struct audit_field *field = &copy->fields.all[i];

		if (!field->at)
			continue;
		memcpy(at, field->at, bytes[i]);
		at[bytes[i]] = 0; /* ends a text */
		field->at = at;
		if (field->type == AUDIT_GROUPS)
			field->number = bytes[i] / sizeof(gid_t);
		at += ALIGN(bytes[i] + 1);
	}
	return copy;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counting of lost events. It cannot fail and allocates nothing: events may be lost because memory
 * is short.
 */
#include "audit/lost.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void audit_lost_add(struct audit_lost *lost, const uid_t *uid, uint64_t events, int error)
{
	size_t i = 0;

	lost->total += events;
	lost->error = error;
	if (!uid || !events)
		return;
	while (i < lost->n_users && lost->users[i].uid != *uid)
		i++;
	if (i == AUDIT_LOST_USERS)
		return;
	if (i == lost->n_users)
		lost->users[lost->n_users++] = (struct audit_lost_user){ .uid = *uid };
	lost->users[i].events += events;
}

static uint64_t others(const struct audit_lost *lost)
{
	uint64_t count = lost->total;

	for (size_t i = 0; i < lost->n_users; i++)
		count -= lost->users[i].events;
	return count;
}

void audit_lost_merge(struct audit_lost *lost, const struct audit_lost *more)
{
	int error = more->total ? more->error : lost->error;

	for (size_t i = 0; i < more->n_users; i++)
		audit_lost_add(lost, &more->users[i].uid, more->users[i].events, error);
	audit_lost_add(lost, NULL, others(more), error);
}

void audit_lost_whose(const struct audit_lost *lost, char text[static AUDIT_LOST_TEXT])
{
	size_t length = 0;

	text[0] = 0;
	if (!lost->n_users)
		return;
	for (size_t i = 0; i < lost->n_users; i++)
		length += (size_t)snprintf(text + length, AUDIT_LOST_TEXT - length,
			"%suser %u: %" PRIu64, i ? ", " : " (", lost->users[i].uid,
			lost->users[i].events);
	if (others(lost))
		length += (size_t)snprintf(text + length, AUDIT_LOST_TEXT - length,
			", others: %" PRIu64, others(lost));
	snprintf(text + length, AUDIT_LOST_TEXT - length, ")");
}

size_t audit_lost_format(const struct audit_lost *lost, char text[static AUDIT_LOST_TEXT])
{
	static const char none[] = "0 0";
	size_t length;

	if (!lost->total) {
		memcpy(text, none, sizeof(none));
		return sizeof(none) - 1;
	}
	length = (size_t)snprintf(
		text, AUDIT_LOST_TEXT, "%" PRIu64 " %d", lost->total, -lost->error);
	for (size_t i = 0; i < lost->n_users; i++)
		length += (size_t)snprintf(text + length, AUDIT_LOST_TEXT - length, " %u:%" PRIu64,
			lost->users[i].uid, lost->users[i].events);
	return length;
}

static bool number(const char **at, const char *end, uint64_t *ret_value)
{
	const char *p = *at;
	uint64_t value = 0;

	for (; p < end && *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
			__builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return false;
	if (p == *at)
		return false;
	*at = p;
	*ret_value = value;
	return true;
}

static bool skip(const char **at, const char *end, char c)
{
	if (*at == end || **at != c)
		return false;
	(*at)++;
	return true;
}

bool audit_lost_parse(const char *untrusted_text, size_t length, struct audit_lost *ret_lost)
{
	const char *at = untrusted_text, *end = at + length;
	uint64_t error, uid, events, sum = 0;
	struct audit_lost lost = { 0 };

	if (!number(&at, end, &lost.total) || !skip(&at, end, ' ') || !number(&at, end, &error) ||
		error > 4095)
		return false;
	lost.error = -(int)error;
	while (at < end) {
		if (lost.n_users == AUDIT_LOST_USERS || !skip(&at, end, ' ') ||
			!number(&at, end, &uid) || uid > UINT32_MAX || !skip(&at, end, ':') ||
			!number(&at, end, &events) || __builtin_add_overflow(sum, events, &sum))
			return false;
		lost.users[lost.n_users++] = (struct audit_lost_user){ (uid_t)uid, events };
	}
	if (sum > lost.total)
		return false;
	*ret_lost = lost;
	return true;
}

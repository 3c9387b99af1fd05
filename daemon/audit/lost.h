/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many events could not be recorded, and whose they are. Up to AUDIT_LOST_USERS users have a
 * count each; the rest is counted together.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define AUDIT_LOST_USERS 16
/* Room for the text of audit_lost_whose() and audit_lost_format(). */
#define AUDIT_LOST_TEXT 704

struct audit_lost_user {
	uid_t uid;
	uint64_t events;
};

struct audit_lost {
	uint64_t total; /* all, with a user or without */
	int error;	/* why the last one was lost, a negative errno; 0 when not known */
	size_t n_users;
	struct audit_lost_user users[AUDIT_LOST_USERS];
};

/* Counts events of a user, NULL for none. */
void audit_lost_add(struct audit_lost *lost, const uid_t *uid, uint64_t events, int error);
/* Adds the counts of another one. */
void audit_lost_merge(struct audit_lost *lost, const struct audit_lost *more);

/* Writes " (user 1000: 5, user 0: 1, others: 3)", or nothing when no user is known. */
void audit_lost_whose(const struct audit_lost *lost, char text[static AUDIT_LOST_TEXT]);

/* For a file: "9 28 1000:5 0:1" without a newline, and back. audit_lost_parse() returns false for a
 * text of another form, and leaves *ret_lost unchanged. */
size_t audit_lost_format(const struct audit_lost *lost, char text[static AUDIT_LOST_TEXT]);
bool audit_lost_parse(const char *untrusted_text, size_t length, struct audit_lost *ret_lost);

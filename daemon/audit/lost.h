/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many events could not be recorded, and whose they are: of up to AUDIT_LOST_USERS users each
 * has a count of its own, the rest is counted together.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define AUDIT_LOST_USERS 16
/* Bytes for what audit_lost_whose() and audit_lost_format() write. */
#define AUDIT_LOST_TEXT 704

struct audit_lost_user {
	uid_t uid;
	uint64_t events;
};

struct audit_lost {
	uint64_t total; /* of users and of all else */
	int error;	/* why the last of them was lost, a negative errno; 0 when not known */
	size_t n_users;
	struct audit_lost_user users[AUDIT_LOST_USERS];
};

/* Counts events of a user, NULL for none. */
void audit_lost_add(struct audit_lost *lost, const uid_t *uid, uint64_t events, int error);
/* Counts all of another one as well. */
void audit_lost_merge(struct audit_lost *lost, const struct audit_lost *more);

/* " (user 1000: 5, user 0: 1, others: 3)", nothing when no user is known. */
void audit_lost_whose(const struct audit_lost *lost, char text[static AUDIT_LOST_TEXT]);

/* For a file: "9 28 1000:5 0:1" without a newline, and back. False when the text is none such; lost
 * is unchanged then. */
size_t audit_lost_format(const struct audit_lost *lost, char text[static AUDIT_LOST_TEXT]);
bool audit_lost_parse(const char *untrusted_text, size_t length, struct audit_lost *ret_lost);

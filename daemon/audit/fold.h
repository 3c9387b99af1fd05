/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Repeated refusals: the first few are recorded one by one, the rest are counted and recorded as
 * one with "repeated":N. Every refusal is in exactly one record.
 *
 * Two refusals are alike when user, exe, unit, use, verdict and rule are the same. A peer chooses
 * the name of the use, so it could be different each time. At most AUDIT_FOLD_PER_USER kinds of one
 * user are kept apart at a time, and AUDIT_FOLD_KINDS of all. Refusals beyond that are counted by
 * user, and beyond AUDIT_FOLD_USERS users all together. So neither the memory nor the number of
 * records in a given time depends on the number of refusals.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "audit/fields.h"

#define AUDIT_FOLD_KINDS    128
#define AUDIT_FOLD_PER_USER 16
#define AUDIT_FOLD_USERS    32

struct audit_fold;

/* Records a counted refusal. fields and all they point to are borrowed for the call. Returns false
 * when it cannot do so now and is to be called again later. */
typedef bool (*audit_fold_emit)(void *userdata, const struct audit_fields *fields);

/* after and usec are fold_after and fold_usec of struct audit_settings. Returns 0 or a negative
 * errno. */
int audit_fold_new(sd_event *loop, uint64_t after, uint64_t usec, audit_fold_emit emit,
	void *userdata, struct audit_fold **ret_fold);
/* Unrecorded counts are lost: call audit_fold_flush() first. Takes NULL. */
struct audit_fold *audit_fold_free(struct audit_fold *fold);

/* True when the event is a refusal that was counted: it is not to be recorded now. */
bool audit_fold_take(struct audit_fold *fold, const struct audit_fields *fields);

/* Records everything counted so far. */
void audit_fold_flush(struct audit_fold *fold);

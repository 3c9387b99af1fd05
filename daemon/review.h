/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The review after a reload with a policy that says "on-reload": "revoke": decides the grants that
 * are out again, and takes back those that the policy does not allow.
 *
 * The original request is evaluated again, for the process as it was then: the same use, size and
 * consent, and the user, unit and program that the ledger knows of the peer. If the process has
 * changed since, that matters only for its next request. No buffer is taken back because of a limit
 * on the sum of many buffers. A buffer of another heap than the use has now is not allowed any
 * more.
 */
#pragma once

#include "broker.h"

struct review;

/* 0 or a negative errno. */
int review_new(struct broker *broker, struct review **ret_review);
struct review *review_free(struct review *review);

/* Starts to go through all grants, some in each turn of the event loop. */
void review_start(struct review *review);

/* Decides one grant again: one that an earlier policy decided and that went out after the
 * reload. */
void review_one(struct review *review, const struct grant *grant);

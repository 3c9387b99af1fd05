/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * After a reload with a policy that says "on-reload": "revoke": the grants that are out are decided
 * again, and those that the policy does not allow are taken back.
 *
 * The original request is evaluated again, for the process as it was then: the same use, size and
 * consent, and the user, unit and program that the ledger has of the peer. A process that has
 * become another one since is the business of its next request. Limits on the sum of many buffers
 * do not take back any of them; a buffer of another heap than the use has now is not allowed any
 * more.
 */
#pragma once

#include "broker.h"

struct review;

/* 0 or a negative errno. */
int review_new(struct broker *broker, struct review **ret_review);
struct review *review_free(struct review *review);

/* Goes through all grants from the start, some in each turn of the event loop. */
void review_start(struct review *review);

/* Decides one again: a grant that a policy of before decided and that came out after it. */
void review_one(struct review *review, const struct grant *grant);

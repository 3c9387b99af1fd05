/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reviews. It must never take back a grant that the policy in force allows.
 */
#include "review.h"

#include <stdio.h>

#include "base/log.h"
#include "grant-preflight.h"
#include "revoke.h"
#include "util.h"

#define IN_A_TURN     64
#define IN_FLIGHT_MAX 64 /* revocations under way: others need the trail's queue, too */

struct review {
	struct broker *broker;
	sd_event_source *turn;
	unsigned int in_flight;
	size_t stuck; /* grants that no heap can take back */
	bool going;
};

/* Whether the policy in force allows a grant; if not, why. */
static bool allowed(struct broker *broker, const struct grant *grant, struct decision *ret_decision)
{
	struct request request = {
		.size = grant->asked,
		.count = 1,
		.accept_shared = grant->accept_shared,
		.read_only = grant->read_only,
		.transport = grant->transport,
	};
	struct preflight preflight;

	copy_string(request.use, sizeof(request.use), grant->use);
	copy_string(request.label, sizeof(request.label), grant->label);
	grant_preflight(broker, broker->policy, grant_identity(grant), NULL, &request,
		PREFLIGHT_POLICY, &preflight);
	*ret_decision = preflight.decision;
	if (ret_decision->verdict != CCBUF_GRANTED)
		return false;
	if (streq(ret_decision->heap, grant->heap))
		return true;
	ret_decision->verdict = CCBUF_HEAP_UNAVAILABLE;
	snprintf(ret_decision->reason, sizeof(ret_decision->reason),
		"use \"%s\" is for heap \"%s\" now", grant->use, ret_decision->heap);
	return false;
}

static void on_revoked(void *userdata, const struct revocation *revocation)
{
	struct review *review = userdata;

	(void)revocation;
	review->in_flight--;
	if (review->going)
		sd_event_source_set_enabled(review->turn, SD_EVENT_ONESHOT);
}

static void look(void *userdata, const struct grant *grant)
{
	struct review *review = userdata;
	struct broker *broker = review->broker;
	struct revoke_cause cause = { 0 };
	struct decision decision;

	if (policy_settings(broker->policy)->on_reload != POLICY_RELOAD_REVOKE)
		return;
	if (grant->state == GRANT_REVOKED || allowed(broker, grant, &decision))
		return;
	if (!heap_can_revoke(grant->node)) {
		review->stuck++;
		return;
	}
	cause.verdict = decision.verdict;
	cause.reason = decision.reason;
	if (revoke_grant(broker, grant, &cause, on_revoked, review) < 0)
		log_error("policy: grant %ju is not allowed any more but could not be taken back: "
			  "out of memory",
			(uintmax_t)grant->id);
	else
		review->in_flight++;
}

static void report(struct review *review)
{
	if (review->stuck)
		log_error("policy: %zu buffers that it does not allow any more are of heaps that "
			  "cannot take buffers back (only module ccbuf_heap can); 'ccbuf-client "
			  "list --all' shows who has them",
			review->stuck);
	review->stuck = 0;
}

static int on_turn(sd_event_source *source, void *userdata)
{
	struct review *review = userdata;

	if (review->in_flight >= IN_FLIGHT_MAX)
		return 0;
	review->going = ledger_review(review->broker->ledger, IN_A_TURN, look, review);
	if (review->going)
		sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	else
		report(review);
	return 0;
}

int review_new(struct broker *broker, struct review **ret_review)
{
	struct review *review = calloc(1, sizeof(*review));
	int r;

	if (!review)
		return -ENOMEM;
	review->broker = broker;
	r = sd_event_add_defer(broker->loop, &review->turn, on_turn, review);
	if (r >= 0)
		r = sd_event_source_set_enabled(review->turn, SD_EVENT_OFF);
	if (r < 0)
		return review_free(review), r;
	*ret_review = review;
	return 0;
}

struct review *review_free(struct review *review)
{
	if (review)
		sd_event_source_disable_unref(review->turn);
	free(review);
	return NULL;
}

void review_start(struct review *review)
{
	review->going = true;
	review->stuck = 0;
	ledger_review_start(review->broker->ledger);
	sd_event_source_set_enabled(review->turn, SD_EVENT_ONESHOT);
}

void review_one(struct review *review, const struct grant *grant)
{
	look(review, grant);
	if (!review->going)
		report(review);
}

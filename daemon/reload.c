/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reloads, one at a time. The thread must never touch the policy in force.
 */
#include "reload.h"

#include "review.h"
#include "util.h"

struct waiter {
	struct waiter *next;
	reload_done done;
	void *userdata;
};

struct reload {
	struct job job; /* first */
	struct broker *broker;
	struct waiter *waiters; /* for this one */
	struct waiter *later;	/* for the next one */
	struct policy_errors errors;
	struct policy *policy;
	int result;
};

static void load(struct job *job)
{
	struct reload *reload = (struct reload *)job;
	struct broker *broker = reload->broker;

	reload->result = policy_load(
		broker->policy_dirs, broker->policy_trusted_uid, &reload->errors, &reload->policy);
}

static void on_loaded(struct job *job);

static void begin(struct reload *reload)
{
	reload->waiters = steal_pointer(&reload->later);
	reload->policy = NULL;
	reload->job = (struct job){
		.large = true,
		.run = load,
		.done = on_loaded,
	};
	workers_submit(reload->broker->workers, &reload->job);
}

static void on_loaded(struct job *job)
{
	struct reload *reload = (struct reload *)job;
	struct broker *broker = reload->broker;
	int result = reload->result;

	broker_settle_policy(broker, result, &reload->errors, reload->policy);
	if (result >= 0)
		review_start(broker->review);
	while (reload->waiters) {
		struct waiter *waiter = reload->waiters;

		reload->waiters = waiter->next;
		waiter->done(waiter->userdata, result);
		free(waiter);
	}
	if (reload->later) {
		begin(reload);
		return;
	}
	broker->reload = NULL;
	broker->n_requests--;
	free(reload);
}

int reload_policy(struct broker *broker, reload_done done, void *userdata)
{
	struct reload *reload = broker->reload;
	struct waiter *waiter;
	bool fresh = !reload;

	for (waiter = fresh ? NULL : reload->later; waiter; waiter = waiter->next) {
		if (waiter->done == done && waiter->userdata == userdata)
			return 1;
	}
	waiter = malloc(sizeof(*waiter));
	if (fresh)
		reload = calloc(1, sizeof(*reload));
	if (!waiter || !reload) {
		free(waiter);
		if (fresh)
			free(reload);
		return -ENOMEM;
	}
	*waiter = (struct waiter){ reload->later, done, userdata };
	reload->later = waiter;
	if (fresh) {
		reload->broker = broker;
		broker->reload = reload;
		broker->n_requests++; /* a stop waits for it */
		begin(reload);
	}
	return 0;
}

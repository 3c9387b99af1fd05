/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reloads, one at a time. The thread does not touch the policy in force.
 */
#include "reload.h"

#include "load.h"
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
	struct waiter *waiters; /* for this reload */
	struct waiter *later;	/* for the next reload */
	struct load *load;	/* NULL where none could be begun */
	uint32_t required;	/* folders that must exist */
	bool compiling, stopped;
	struct policy_errors errors;
	struct policy *policy;
	int result;
};

static void tell(struct waiter **waiters, int result)
{
	while (*waiters) {
		struct waiter *waiter = *waiters;

		*waiters = waiter->next;
		waiter->done(waiter->userdata, result);
		free(waiter);
	}
}

static void begin(struct reload *reload);

static void end(struct reload *reload)
{
	struct broker *broker = reload->broker;

	tell(&reload->waiters, reload->result);
	if (reload->later && !reload->stopped) {
		begin(reload);
		return;
	}
	tell(&reload->later, -ECANCELED);
	broker->reload = NULL;
	broker->n_requests--;
	free(reload);
}

static void compile(struct job *job)
{
	struct reload *reload = (struct reload *)job;

	if (reload->result >= 0)
		reload->result = load_compile(
			reload->load, reload->required, &reload->errors, &reload->policy);
}

static void on_compiled(struct job *job)
{
	struct reload *reload = (struct reload *)job;
	struct broker *broker = reload->broker;
	const char *failure = reload->load ? load_failure(reload->load) : NULL;
	gid_t gid = (gid_t)-1;
	int r;

	reload->compiling = false;
	if (reload->result == -EBUSY && !reload->load)
		failure = "loads that were given up have not ended, because a file system does not "
			  "answer; see the processes ccbufd-load";
	/* A finished load knows the group, even if the policy has mistakes. */
	if (reload->load && !failure) {
		r = load_group(reload->load, ADMIN_GROUP, &gid);
		broker_settle_admins(broker, r, gid);
	}
	broker_settle_policy(broker, reload->result, failure, &reload->errors, reload->policy);
	if (reload->result >= 0)
		broker->policy_folders = load_folders(reload->load);
	if (reload->result >= 0 && broker->review)
		review_start(broker->review);
	reload->load = load_free(reload->load);
	end(reload);
}

/* Also when there is nothing to compile: done must not be called from inside reload_policy(). */
static void submit(struct reload *reload)
{
	reload->compiling = true;
	reload->job = (struct job){ .large = true, .run = compile, .done = on_compiled };
	workers_submit(reload->broker->workers, &reload->job);
}

static void on_loaded(void *userdata, int result)
{
	struct reload *reload = userdata;

	reload->result = result;
	submit(reload);
}

static void begin(struct reload *reload)
{
	struct broker *broker = reload->broker;

	reload->waiters = steal_pointer(&reload->later);
	reload->policy = NULL;
	reload->required = broker->policy_folders;
	reload->result = load_new(broker->helper, broker->loop, on_loaded, reload, &reload->load);
	if (reload->result < 0)
		submit(reload);
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

void reload_stop(struct broker *broker)
{
	struct reload *reload = broker->reload;

	if (!reload)
		return;
	reload->stopped = true;
	if (reload->compiling)
		return;
	reload->load = load_free(reload->load);
	reload->result = -ECANCELED;
	end(reload);
}

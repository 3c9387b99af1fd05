/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inspections, from the question to the answer. It must never read anything below /proc itself:
 * that can hang.
 */
#include <assert.h>
#include <time.h>

#include "base/clock.h"
#include "peer/inspect-internal.h"
#include "util.h"

int inspect_new(struct inspections *inspections, struct user *user, pid_t pid, unsigned int wanted,
	inspect_done done, void *userdata, struct inspection **ret_look)
{
	struct inspection *inspection;
	int r;

	if (inspections->stopped)
		return -ECANCELED;
	inspection = malloc(sizeof(*inspection));
	if (!inspection)
		return -ENOMEM;
	*inspection = (struct inspection){
		.inspections = inspections,
		.user = user_ref(user),
		.pid = pid,
		.wanted = wanted,
		.since_usec = clock_usec(CLOCK_MONOTONIC),
		.done = done,
		.userdata = userdata,
	};
	if (!inspector_may_ask(inspections, user) || !inspector_ask_any(inspections, inspection)) {
		r = inspect_turn_add(inspections, inspection);
		if (r < 0) {
			inspect_free(inspection);
			return r;
		}
		inspect_time_start(inspections);
	}
	*ret_look = inspection;
	return 0;
}

void inspect_hurry(struct inspection *inspection)
{
	if (inspection->state == INSPECT_RUNNING)
		while (inspector_receive(inspection->inspector))
			;
}

struct inspection *inspect_cancel(struct inspection *inspection)
{
	if (!inspection)
		return NULL;
	inspect_detach(inspection);
	inspect_free(inspection);
	return NULL;
}

/* --- all inspections --- */

int inspections_new(
	struct helper *helper, sd_event *loop, struct users *users, struct inspections **ret_looks)
{
	struct inspections *inspections = calloc(1, sizeof(*inspections));
	int r;

	if (!inspections)
		return -ENOMEM;
	inspections->helper = helper;
	inspections->loop = loop;
	inspections->users = users;
	inspections->turns_end = &inspections->turns;
	r = inspect_time_init(inspections);
	if (r >= 0 && !inspector_make(inspections))
		r = -EAGAIN;
	if (r < 0)
		inspections_free(inspections);
	else
		*ret_looks = inspections;
	return r;
}

bool inspections_ready(const struct inspections *inspections)
{
	for (const struct inspector *inspector = inspections->inspectors; inspector;
		inspector = inspector->next)
		if (inspector->fd < 0)
			return false;
	return true;
}

void inspections_stop(struct inspections *inspections)
{
	inspections->stopped = true;
	while (inspections->held) {
		struct inspection *inspection = inspections->held;

		inspect_detach(inspection);
		inspect_finish(inspection, -ECANCELED, NULL);
	}
	while (inspections->turns)
		inspect_finish(inspect_turn_next(inspections, NULL), -ECANCELED, NULL);
	for (struct inspector *inspector = inspections->inspectors; inspector;
		inspector = inspector->next)
		if (inspector->inspection)
			inspect_finish(steal_pointer(&inspector->inspection), -ECANCELED, NULL);
}

struct inspections *inspections_free(struct inspections *inspections)
{
	if (!inspections)
		return NULL;
	assert(!inspections->turns && !inspections->held);
	while (inspections->inspectors) {
		assert(!inspections->inspectors->inspection);
		inspector_free(inspections->inspectors);
	}
	sd_event_source_disable_unref(inspections->timer);
	free(inspections);
	return NULL;
}

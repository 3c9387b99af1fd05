/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds slow inspections, and ends those that take too long. One timer is for all inspections. An
 * inspector whose answer is only not read yet does not count as slow.
 */
#include "base/clock.h"
#include "peer/inspect-internal.h"
#include "util.h"

static uint64_t age(uint64_t now, uint64_t since)
{
	return now > since ? now - since : 0;
}

static bool check_lookers(struct inspections *inspections, uint64_t now)
{
	bool busy = false;

	for (struct inspector *inspector = inspections->inspectors; inspector;
		inspector = inspector->next)
		while (inspector->busy && inspector_receive(inspector))
			;
	for (struct inspector *inspector = inspections->inspectors; inspector;
		inspector = inspector->next) {
		if (!inspector->busy || inspector->given_up)
			continue;
		if (age(now, inspector->since_usec) >= INSPECT_USEC)
			inspector_give_up(inspector, -ETIMEDOUT);
		else if (age(now, inspector->since_usec) >= INSPECT_TICK_USEC &&
			 !inspector->charged)
			inspector_note_slow(inspector);
		busy |= !inspector->given_up;
	}
	return busy;
}

/* For how long a person has had a slow inspection; 0 for none. */
static uint64_t slow_for(
	const struct inspections *inspections, const struct user *user, uint64_t now)
{
	uint64_t longest = 0;

	for (const struct inspector *inspector = inspections->inspectors; inspector;
		inspector = inspector->next)
		if (inspector->charged == user && age(now, inspector->since_usec) > longest)
			longest = age(now, inspector->since_usec);
	return longest;
}

/* The first held inspection to be retried, or that is late. */
static struct inspection *next_held(
	const struct inspections *inspections, uint64_t now, bool *ret_late)
{
	for (struct inspection *inspection = inspections->held; inspection;
		inspection = inspection->next) {
		uint64_t slow = slow_for(inspections, inspection->user, now);

		*ret_late = slow >= INSPECT_HANGING_USEC ||
			    age(now, inspection->since_usec) >= INSPECT_USEC;
		if (*ret_late || slow == 0)
			return inspection;
	}
	return NULL;
}

static struct inspection *next_late(const struct inspections *inspections, uint64_t now)
{
	for (const struct inspect_turn *turn = inspections->turns; turn; turn = turn->next)
		if (age(now, turn->first->since_usec) >= INSPECT_USEC)
			return turn->first;
	return NULL;
}

/* done() may change other inspections, so start from the beginning after each. */
static void check_looks(struct inspections *inspections, uint64_t now)
{
	struct inspection *inspection;
	bool late;

	while ((inspection = next_held(inspections, now, &late))) {
		inspect_detach(inspection);
		if (late)
			inspect_finish(inspection, -ETIMEDOUT, NULL);
		else if (inspect_turn_add(inspections, inspection) < 0)
			inspect_finish(inspection, -ENOMEM, NULL);
	}
	while ((inspection = next_late(inspections, now))) {
		inspect_detach(inspection);
		inspect_finish(inspection, -ETIMEDOUT, NULL);
	}
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct inspections *inspections = userdata;
	uint64_t now = clock_usec(CLOCK_MONOTONIC);
	bool busy, enough;

	(void)source, (void)usec;
	inspections->timing = false;
	busy = check_lookers(inspections, now);
	enough = inspector_make(inspections);
	check_looks(inspections, now);
	inspector_dispatch(inspections);
	inspector_end_spare(inspections);
	if (busy || !enough || inspections->held || inspections->turns)
		inspect_time_start(inspections);
	return 0;
}

int inspect_time_init(struct inspections *inspections)
{
	int r = sd_event_add_time_relative(inspections->loop, &inspections->timer, CLOCK_MONOTONIC,
		INSPECT_TICK_USEC, INSPECT_TICK_USEC / 4, on_timer, inspections);

	return r < 0 ? r : sd_event_source_set_enabled(inspections->timer, SD_EVENT_OFF);
}

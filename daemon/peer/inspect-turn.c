/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inspections that wait for an inspector. It must never serve all inspections of one user
 * before those of another.
 */
#include "peer/inspect-internal.h"
#include "util.h"

int inspect_turn_add(struct inspections *inspections, struct inspection *inspection)
{
	struct inspect_turn *turn = inspections->turns;

	while (turn && turn->user != inspection->user)
		turn = turn->next;
	if (!turn) {
		turn = malloc(sizeof(*turn));
		if (!turn)
			return -ENOMEM;
		*turn = (struct inspect_turn){ .user = user_ref(inspection->user) };
		*inspections->turns_end = turn;
		inspections->turns_end = &turn->next;
	}
	inspection->next = NULL;
	if (turn->first)
		turn->last->next = inspection;
	else
		turn->first = inspection;
	turn->last = inspection;
	inspection->state = INSPECT_WAITING;
	return 0;
}

static void drop(struct inspections *inspections, struct inspect_turn **at)
{
	struct inspect_turn *turn = *at;

	*at = turn->next;
	if (!turn->next)
		inspections->turns_end = at;
	user_unref(turn->user);
	free(turn);
}

struct inspection *inspect_turn_next(struct inspections *inspections,
	bool (*may)(const struct inspections *inspections, const struct user *user))
{
	struct inspect_turn **at = &inspections->turns, *turn;
	struct inspection *inspection;

	while (*at && may && !may(inspections, (*at)->user))
		at = &(*at)->next;
	turn = *at;
	if (!turn)
		return NULL;
	inspection = turn->first;
	turn->first = inspection->next;
	if (!turn->first) {
		drop(inspections, at);
	} else if (turn->next) {
		*at = turn->next;
		turn->next = NULL;
		*inspections->turns_end = turn;
		inspections->turns_end = &turn->next;
	}
	return inspection;
}

static void inspect_turn_remove(
	struct inspections *inspections, const struct inspection *inspection)
{
	struct inspect_turn **at = &inspections->turns;
	struct inspection **in, *before = NULL;

	while ((*at)->user != inspection->user)
		at = &(*at)->next;
	for (in = &(*at)->first; *in != inspection; in = &(*in)->next)
		before = *in;
	*in = inspection->next;
	if ((*at)->last == inspection)
		(*at)->last = before;
	if (!(*at)->first)
		drop(inspections, at);
}

/* --- one inspection --- */

void inspect_free(struct inspection *inspection)
{
	user_unref(inspection->user);
	free(inspection);
}

void inspect_finish(struct inspection *inspection, int result, const struct inspect_answer *answer)
{
	inspect_done done = inspection->done;
	void *userdata = inspection->userdata;

	inspect_free(inspection);
	done(userdata, result, answer);
}

void inspect_detach(struct inspection *inspection)
{
	struct inspection **at = &inspection->inspections->held;

	switch (inspection->state) {
	case INSPECT_WAITING:
		inspect_turn_remove(inspection->inspections, inspection);
		break;
	case INSPECT_RUNNING:
		inspection->inspector->inspection = NULL;
		break;
	case INSPECT_HELD:
		while (*at != inspection)
			at = &(*at)->next;
		*at = inspection->next;
		break;
	}
}

void inspect_time_start(struct inspections *inspections)
{
	if (inspections->timing)
		return;
	sd_event_source_set_time_relative(inspections->timer, INSPECT_TICK_USEC);
	inspections->timing =
		sd_event_source_set_enabled(inspections->timer, SD_EVENT_ONESHOT) >= 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What takes long, and what takes too long. One timer is for all looks, or each would cost one. It
 * must never take a looker for slow whose answer only was not read.
 */
#include "clock.h"
#include "peer/probe-internal.h"
#include "util.h"

static uint64_t age(uint64_t now, uint64_t since)
{
	return now > since ? now - since : 0;
}

static bool check_lookers(struct looks *looks, uint64_t now)
{
	bool busy = false;

	for (struct looker *looker = looks->lookers; looker; looker = looker->next)
		while (looker->busy && looker_receive(looker))
			;
	for (struct looker *looker = looks->lookers; looker; looker = looker->next) {
		if (!looker->busy || looker->given_up)
			continue;
		if (age(now, looker->since_usec) >= LOOK_USEC)
			looker_give_up(looker, -ETIMEDOUT);
		else if (age(now, looker->since_usec) >= LOOK_TICK_USEC && !looker->charged)
			looker_note_slow(looker);
		busy |= !looker->given_up;
	}
	return busy;
}

/* For how long a person has had a slow look; 0 for none. */
static uint64_t slow_for(const struct looks *looks, const struct user *user, uint64_t now)
{
	uint64_t longest = 0;

	for (const struct looker *looker = looks->lookers; looker; looker = looker->next)
		if (looker->charged == user && age(now, looker->since_usec) > longest)
			longest = age(now, looker->since_usec);
	return longest;
}

/* The first that is to be tried again, or is late. */
static struct look *next_held(const struct looks *looks, uint64_t now, bool *ret_late)
{
	for (struct look *look = looks->held; look; look = look->next) {
		uint64_t slow = slow_for(looks, look->user, now);

		*ret_late = slow >= LOOK_HANGING_USEC || age(now, look->since_usec) >= LOOK_USEC;
		if (*ret_late || slow == 0)
			return look;
	}
	return NULL;
}

static struct look *next_late(const struct looks *looks, uint64_t now)
{
	for (const struct look_turn *turn = looks->turns; turn; turn = turn->next)
		if (age(now, turn->first->since_usec) >= LOOK_USEC)
			return turn->first;
	return NULL;
}

/* Whatever done() does, it may be to other looks: so each time from the beginning. */
static void check_looks(struct looks *looks, uint64_t now)
{
	struct look *look;
	bool late;

	while ((look = next_held(looks, now, &late))) {
		look_detach(look);
		if (late)
			look_finish(look, -ETIMEDOUT, NULL);
		else if (look_turn_add(looks, look) < 0)
			look_finish(look, -ENOMEM, NULL);
	}
	while ((look = next_late(looks, now))) {
		look_detach(look);
		look_finish(look, -ETIMEDOUT, NULL);
	}
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct looks *looks = userdata;
	uint64_t now = clock_usec(CLOCK_MONOTONIC);
	bool busy, enough;

	(void)source, (void)usec;
	looks->timing = false;
	busy = check_lookers(looks, now);
	enough = looker_make(looks);
	check_looks(looks, now);
	look_dispatch(looks);
	looker_end_spare(looks);
	if (busy || !enough || looks->held || looks->turns)
		look_time_start(looks);
	return 0;
}

int look_time_init(struct looks *looks)
{
	int r = sd_event_add_time_relative(looks->loop, &looks->timer, CLOCK_MONOTONIC,
		LOOK_TICK_USEC, LOOK_TICK_USEC / 4, on_timer, looks);

	return r < 0 ? r : sd_event_source_set_enabled(looks->timer, SD_EVENT_OFF);
}

void look_time_start(struct looks *looks)
{
	if (looks->timing)
		return;
	sd_event_source_set_time_relative(looks->timer, LOOK_TICK_USEC);
	looks->timing = sd_event_source_set_enabled(looks->timer, SD_EVENT_ONESHOT) >= 0;
}

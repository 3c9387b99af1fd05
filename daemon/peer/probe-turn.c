/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks that wait for a looker. It must never let one user's stand before all of another's.
 */
#include "peer/probe-internal.h"
#include "util.h"

int look_turn_add(struct looks *looks, struct look *look)
{
	struct look_turn *turn = looks->turns;

	while (turn && turn->user != look->user)
		turn = turn->next;
	if (!turn) {
		turn = malloc(sizeof(*turn));
		if (!turn)
			return -ENOMEM;
		*turn = (struct look_turn){ .user = user_ref(look->user) };
		*looks->turns_end = turn;
		looks->turns_end = &turn->next;
	}
	look->next = NULL;
	if (turn->first)
		turn->last->next = look;
	else
		turn->first = look;
	turn->last = look;
	look->state = LOOK_WAITING;
	return 0;
}

static void drop(struct looks *looks, struct look_turn **at)
{
	struct look_turn *turn = *at;

	*at = turn->next;
	if (!turn->next)
		looks->turns_end = at;
	user_unref(turn->user);
	free(turn);
}

struct look *look_turn_next(struct looks *looks)
{
	struct look_turn *turn = looks->turns;
	struct look *look;

	if (!turn)
		return NULL;
	look = turn->first;
	turn->first = look->next;
	if (!turn->first) {
		drop(looks, &looks->turns);
	} else if (turn->next) {
		looks->turns = turn->next;
		turn->next = NULL;
		*looks->turns_end = turn;
		looks->turns_end = &turn->next;
	}
	return look;
}

void look_turn_remove(struct looks *looks, const struct look *look)
{
	struct look_turn **at = &looks->turns;
	struct look **in, *before = NULL;

	while ((*at)->user != look->user)
		at = &(*at)->next;
	for (in = &(*at)->first; *in != look; in = &(*in)->next)
		before = *in;
	*in = look->next;
	if ((*at)->last == look)
		(*at)->last = before;
	if (!(*at)->first)
		drop(looks, at);
}

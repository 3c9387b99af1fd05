/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Takes turns between users. It must never do two pieces of one user while another user waits.
 */
#include "user/turns.h"

#include <assert.h>

#include "util.h"

struct turns {
	sd_event_source *source; /* on while somebody waits */
	struct user *first, *last;
};

static int on_turn(sd_event_source *source, void *userdata);

/* Replaces the source by a new one behind the others that wait with this priority; an old one keeps
 * its place. */
static int go_behind(struct turns *turns, sd_event *loop)
{
	sd_event_source *source = NULL;
	int r = sd_event_add_defer(loop, &source, on_turn, turns);

	/* Work under way is finished before new work is begun. */
	if (r >= 0)
		r = sd_event_source_set_priority(source, TURNS_PRIORITY);
	if (r < 0) {
		sd_event_source_disable_unref(source);
		return r;
	}
	sd_event_source_disable_unref(turns->source);
	turns->source = source;
	return sd_event_source_set_enabled(source, turns->first ? SD_EVENT_ON : SD_EVENT_OFF);
}

int turns_new(sd_event *loop, struct turns **ret_turns)
{
	struct turns *turns = calloc(1, sizeof(*turns));
	int r;

	if (!turns)
		return -ENOMEM;
	r = go_behind(turns, loop);
	if (r < 0) {
		turns_free(turns);
		return r;
	}
	*ret_turns = turns;
	return 0;
}

struct turns *turns_free(struct turns *turns)
{
	if (!turns)
		return NULL;
	assert(!turns->first);
	sd_event_source_disable_unref(turns->source);
	free(turns);
	return NULL;
}

static void push_user(struct turns *turns, struct user *user)
{
	user->turns_next = NULL;
	if (turns->last)
		turns->last->turns_next = user;
	else
		turns->first = user;
	turns->last = user;
}

static struct user *pop_user(struct turns *turns)
{
	struct user *user = turns->first;

	turns->first = user->turns_next;
	if (!turns->first)
		turns->last = NULL;
	return user;
}

static void push(struct turn *turn)
{
	struct user *user = turn->user;

	turn->waits = true;
	turn->next = NULL;
	if (user->turns_last)
		user->turns_last->next = turn;
	else
		user->turns_first = turn;
	user->turns_last = turn;
}

static int on_turn(sd_event_source *source, void *userdata)
{
	struct turns *turns = userdata;
	struct user *user;
	struct turn *turn;

	if (!turns->first) {
		sd_event_source_set_enabled(source, SD_EVENT_OFF);
		return 0;
	}
	user = pop_user(turns);
	turn = user->turns_first;
	user->turns_first = turn->next;
	if (!user->turns_first)
		user->turns_last = NULL;
	turn->waits = false;
	/* Puts the user behind the others before its piece is done, which may remove or free it. */
	if (user->turns_first)
		push_user(turns, user);
	user_ref(user);
	if (turn->run(turn))
		turns_add(turns, turn);
	user_unref(user);
	/* When out of memory the source keeps its place. */
	if (!turns->first || go_behind(turns, sd_event_source_get_event(source)) < 0)
		sd_event_source_set_enabled(
			turns->source, turns->first ? SD_EVENT_ON : SD_EVENT_OFF);
	return 0;
}

void turns_add(struct turns *turns, struct turn *turn)
{
	struct user *user = turn->user;

	if (turn->waits)
		return;
	if (!user->turns_first)
		push_user(turns, user);
	push(turn);
	sd_event_source_set_enabled(turns->source, SD_EVENT_ON);
}

static void remove_user(struct turns *turns, struct user *user)
{
	struct user **at = &turns->first, *last = NULL;

	for (; *at != user; at = &(*at)->turns_next)
		last = *at;
	*at = user->turns_next;
	if (turns->last == user)
		turns->last = last;
}

void turns_remove(struct turns *turns, struct turn *turn)
{
	struct user *user = turn->user;
	struct turn **at, *last = NULL;

	if (!turn->waits)
		return;
	turn->waits = false;
	for (at = &user->turns_first; *at != turn; at = &(*at)->next)
		last = *at;
	*at = turn->next;
	if (user->turns_last == turn)
		user->turns_last = last;
	if (!user->turns_first)
		remove_user(turns, user);
}

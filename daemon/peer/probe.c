/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks, from the question to the answer. It must never read anything under /proc itself.
 */
#include <assert.h>
#include <time.h>

#include "clock.h"
#include "peer/probe-internal.h"
#include "util.h"

/* --- answers --- */

bool look_answer_valid(const struct look_answer *untrusted_answer, size_t size)
{
	const char *text = untrusted_answer->texts;
	size_t left;

	if (size < sizeof(*untrusted_answer) ||
		memchr(untrusted_answer->groups, 0, sizeof(untrusted_answer->groups)) == NULL)
		return false;
	left = size - sizeof(*untrusted_answer);
	if (untrusted_answer->kind == LOOK_NOTICE)
		return left == 0;
	if (untrusted_answer->error > 0)
		return false;
	for (int i = 0; i < LOOK_TEXTS; i++) {
		size_t n = untrusted_answer->sizes[i];

		if (n > left || (n && strnlen(text, n) != n - 1))
			return false;
		text += n;
		left -= n;
	}
	return left == 0;
}

const char *look_answer_text(const struct look_answer *answer, enum look_text which)
{
	const char *text = answer->texts;

	for (int i = 0; i < (int)which; i++)
		text += answer->sizes[i];
	return answer->sizes[which] ? text : NULL;
}

/* --- one look --- */

static void look_free(struct look *look)
{
	user_unref(look->user);
	free(look);
}

void look_finish(struct look *look, int result, const struct look_answer *answer)
{
	look_done done = look->done;
	void *userdata = look->userdata;

	look_free(look);
	done(userdata, result, answer);
}

void look_detach(struct look *look)
{
	struct look **at = &look->looks->held;

	switch (look->state) {
	case LOOK_WAITING:
		look_turn_remove(look->looks, look);
		break;
	case LOOK_RUNNING:
		look->looker->look = NULL;
		break;
	case LOOK_HELD:
		while (*at != look)
			at = &(*at)->next;
		*at = look->next;
		break;
	}
}

void look_dispatch(struct looks *looks)
{
	while (looks->turns && looker_any_idle(looks)) {
		struct look *look = look_turn_next(looks);

		if (!looker_ask_any(looks, look) && look_turn_add(looks, look) < 0)
			look_finish(look, -ENOMEM, NULL);
	}
}

int look_new(struct looks *looks, struct user *user, pid_t pid, unsigned int wanted, look_done done,
	void *userdata, struct look **ret_look)
{
	struct look *look;
	int r;

	if (looks->stopped)
		return -ECANCELED;
	look = malloc(sizeof(*look));
	if (!look)
		return -ENOMEM;
	*look = (struct look){
		.looks = looks,
		.user = user_ref(user),
		.pid = pid,
		.wanted = wanted,
		.since_usec = clock_usec(CLOCK_MONOTONIC),
		.done = done,
		.userdata = userdata,
	};
	if (looks->turns || !looker_ask_any(looks, look)) {
		r = look_turn_add(looks, look);
		if (r < 0) {
			look_free(look);
			return r;
		}
		look_time_start(looks);
	}
	*ret_look = look;
	return 0;
}

void look_hurry(struct look *look)
{
	if (look->state == LOOK_RUNNING)
		while (looker_receive(look->looker))
			;
}

struct look *look_cancel(struct look *look)
{
	if (!look)
		return NULL;
	look_detach(look);
	look_free(look);
	return NULL;
}

/* --- all of them --- */

int looks_new(struct helper *helper, sd_event *loop, struct users *users, struct looks **ret_looks)
{
	struct looks *looks = calloc(1, sizeof(*looks));
	int r;

	if (!looks)
		return -ENOMEM;
	looks->helper = helper;
	looks->loop = loop;
	looks->users = users;
	looks->turns_end = &looks->turns;
	r = look_time_init(looks);
	if (r >= 0 && !looker_make(looks))
		r = -EAGAIN;
	if (r < 0)
		looks_free(looks);
	else
		*ret_looks = looks;
	return r;
}

bool looks_ready(const struct looks *looks)
{
	for (const struct looker *looker = looks->lookers; looker; looker = looker->next)
		if (looker->fd < 0)
			return false;
	return true;
}

void looks_stop(struct looks *looks)
{
	looks->stopped = true;
	while (looks->held) {
		struct look *look = looks->held;

		look_detach(look);
		look_finish(look, -ECANCELED, NULL);
	}
	while (looks->turns)
		look_finish(look_turn_next(looks), -ECANCELED, NULL);
	for (struct looker *looker = looks->lookers; looker; looker = looker->next)
		if (looker->look)
			look_finish(steal_pointer(&looker->look), -ECANCELED, NULL);
}

struct looks *looks_free(struct looks *looks)
{
	if (!looks)
		return NULL;
	assert(!looks->turns && !looks->held);
	while (looks->lookers) {
		assert(!looks->lookers->look);
		looker_free(looks->lookers);
	}
	sd_event_source_disable_unref(looks->timer);
	free(looks);
	return NULL;
}

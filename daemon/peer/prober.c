/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lookers: the children that look, one look at a time. It must never wait for one.
 */
#include <stddef.h>
#include <sys/socket.h>

#include "clock.h"
#include "peer/probe-internal.h"
#include "util.h"

/* Without a slow look there are so many: one may become slow at any time. */
#define READY 2

static void uncharge(struct looker *looker)
{
	if (!looker->charged)
		return;
	user_uncharge(looker->charged, USER_LOOKS, 1);
	looker->charged = user_unref(looker->charged);
}

static void settle(struct looker *looker)
{
	uncharge(looker);
	looker->busy = looker->noticed = false;
	looker->look = NULL;
}

void looker_free(struct looker *looker)
{
	struct looks *looks = looker->looks;
	struct looker **at = &looks->lookers;

	while (*at != looker)
		at = &(*at)->next;
	*at = looker->next;
	looks->n_lookers--;
	settle(looker);
	sd_event_source_disable_unref(looker->io);
	helper_disown(looker->process);
	close_fd(&looker->fd);
	free(looker);
}

void looker_give_up(struct looker *looker, int result)
{
	struct look *look = steal_pointer(&looker->look);

	looker->given_up = true;
	looker->io = sd_event_source_disable_unref(looker->io);
	helper_kill(looker->process);
	close_fd(&looker->fd);
	if (look)
		look_finish(look, result, NULL);
}

/* --- questions --- */

static unsigned int hanging(
	const struct looks *looks, uint64_t now, struct look_person persons[LOOK_HANGING_MAX])
{
	unsigned int n = 0;

	for (const struct looker *l = looks->lookers; l && n < LOOK_HANGING_MAX; l = l->next) {
		if (!l->charged)
			continue;
		/* One that did not say that it might hang may be short of time only. */
		if (l->noticed || now - l->since_usec > LOOK_HANGING_USEC)
			persons[n++] = (struct look_person){
				.ns = l->charged->ns,
				.uid = l->charged->uid,
			};
	}
	return n;
}

static bool ask(struct looker *looker, struct look *look)
{
	struct looks *looks = looker->looks;
	struct look_question question;
	uint64_t now = clock_usec(CLOCK_MONOTONIC);
	size_t size;

	question.number = ++looks->number;
	question.pid = look->pid;
	question.wanted = look->wanted;
	question.zero = 0;
	question.n_hanging = hanging(looks, now, question.hanging);
	size = offsetof(struct look_question, hanging) +
	       question.n_hanging * sizeof(question.hanging[0]);
	if (send(looker->fd, &question, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return false;
	looker->look = look;
	looker->busy = true;
	looker->number = question.number;
	looker->since_usec = now;
	look->looker = looker;
	look->state = LOOK_RUNNING;
	look_time_start(looks);
	return true;
}

static bool idle(const struct looker *looker)
{
	return !looker->busy && looker->fd >= 0;
}

bool looker_any_idle(const struct looks *looks)
{
	for (const struct looker *looker = looks->lookers; looker; looker = looker->next)
		if (idle(looker))
			return true;
	return false;
}

bool looker_ask_any(struct looks *looks, struct look *look)
{
	for (struct looker *looker = looks->lookers; looker; looker = looker->next) {
		if (!idle(looker))
			continue;
		if (ask(looker, look))
			return true;
		/* It is ending, which will be told. */
		looker->busy = true;
		looker->since_usec = clock_usec(CLOCK_MONOTONIC);
	}
	return false;
}

/* --- answers --- */

/* It would have to ask a file system like one that does not answer to another look of its person
 * now. Perhaps that one only takes its time. */
static void hold(struct looks *looks, struct look *look, const struct look_person *person)
{
	struct user *user;

	if (users_get(looks->users, person->uid, person->ns, &user) >= 0) {
		user_unref(look->user);
		look->user = user;
	}
	look->state = LOOK_HELD;
	look->next = looks->held;
	looks->held = look;
	look_time_start(looks);
}

static void on_notice(struct looker *looker, const struct look_answer *answer)
{
	struct user *user;

	looker->noticed = true;
	looker->person = answer->person;
	if (!looker->charged ||
		users_get(looker->looks->users, answer->person.uid, answer->person.ns, &user) < 0)
		return;
	/* Who it really is. */
	user_force(user, USER_LOOKS, 1);
	uncharge(looker);
	looker->charged = user;
}

static void on_answer(struct looker *looker, const struct look_answer *answer)
{
	struct looks *looks = looker->looks;
	struct look *look = looker->look;

	settle(looker);
	if (look && answer->error == -EBUSY)
		hold(looks, look, &answer->person);
	else if (look)
		look_finish(look, answer->error, answer->error < 0 ? NULL : answer);
	look_dispatch(looks);
}

bool looker_receive(struct looker *looker)
{
	struct looks *looks = looker->looks;
	ssize_t n;

	if (looker->fd < 0)
		return false;
	n = recv(looker->fd, &looks->in, sizeof(looks->in), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		/* why it ended is told by the helper */
		sd_event_source_set_enabled(looker->io, SD_EVENT_OFF);
		return false;
	}
	if (!look_answer_valid(&looks->in.answer, (size_t)n) || !looker->busy ||
		looks->in.answer.number != looker->number) {
		looker_give_up(looker, -EIO);
		return false;
	}
	if (looks->in.answer.kind == LOOK_NOTICE) {
		on_notice(looker, &looks->in.answer);
		return true;
	}
	on_answer(looker, &looks->in.answer);
	return false;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source, (void)fd, (void)events;
	looker_receive(userdata);
	return 0;
}

/* --- processes --- */

static void on_started(void *userdata, int error, int *fd)
{
	struct looker *looker = userdata;
	struct looks *looks = looker->looks;
	int r = error;

	if (r < 0) {
		looker->process = NULL;
	} else {
		looker->fd = steal_fd(fd);
		r = sd_event_add_io(looks->loop, &looker->io, looker->fd, EPOLLIN, on_io, looker);
	}
	if (r < 0) {
		looker_free(looker);
		/* it is tried again as long as somebody waits */
		look_time_start(looks);
		return;
	}
	look_dispatch(looks);
}

static void on_ended(void *userdata, int status)
{
	struct looker *looker = userdata;
	struct looks *looks = looker->looks;
	struct look *look = looker->look;

	(void)status;
	looker->process = NULL; /* freed after this */
	looker_free(looker);
	if (look)
		look_finish(look, -EIO, NULL);
	look_time_start(looks);
}

static const struct helper_events events = { on_started, on_ended };

static int make_one(struct looks *looks)
{
	struct looker *looker = calloc(1, sizeof(*looker));
	int r;

	if (!looker)
		return -ENOMEM;
	looker->looks = looks;
	looker->fd = -1;
	r = helper_spawn(looks->helper, HELPER_LOOK, &events, looker, &looker->process);
	if (r < 0) {
		free(looker);
		return r;
	}
	looker->next = looks->lookers;
	looks->lookers = looker;
	looks->n_lookers++;
	return 0;
}

bool looker_make(struct looks *looks)
{
	unsigned int ready = 0;

	for (const struct looker *looker = looks->lookers; looker; looker = looker->next)
		ready += !looker->charged && !looker->given_up;
	while (ready < READY && looks->n_lookers < LOOK_CHILDREN_MAX && make_one(looks) >= 0)
		ready++;
	return ready >= READY;
}

void looker_end_spare(struct looks *looks)
{
	struct looker *looker, *next;
	unsigned int n = 0;

	for (looker = looks->lookers; looker; looker = next) {
		next = looker->next;
		if (idle(looker) && ++n > READY)
			looker_free(looker);
	}
}

void looker_note_slow(struct looker *looker)
{
	struct users *users = looker->looks->users;
	struct user *user = NULL;

	if (looker->noticed)
		(void)users_get(users, looker->person.uid, looker->person.ns, &user);
	else if (looker->look)
		user = user_ref(looker->look->user);
	if (user && user_charge(user, USER_LOOKS, 1) >= 0) {
		looker->charged = user;
		return;
	}
	user_unref(user);
	/* Its share is used up by others that are as slow; or nobody waits for it any more. */
	looker_give_up(looker, -ETIMEDOUT);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inspectors: the children that inspect processes, one at a time each. The event loop never waits
 * for one.
 */
#include <stddef.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "peer/inspect-internal.h"
#include "user/turns.h"
#include "util.h"

/* The number of inspectors while none is slow: one may become slow at any time. */
#define READY 2

static void uncharge(struct inspector *inspector)
{
	if (!inspector->charged)
		return;
	user_uncharge(inspector->charged, USER_INSPECTIONS, 1);
	inspector->charged = user_unref(inspector->charged);
}

static void settle(struct inspector *inspector)
{
	uncharge(inspector);
	inspector->user = user_unref(inspector->user);
	inspector->busy = inspector->noticed = false;
	inspector->inspection = NULL;
}

void inspector_free(struct inspector *inspector)
{
	struct inspections *inspections = inspector->inspections;
	struct inspector **at = &inspections->inspectors;

	while (*at != inspector)
		at = &(*at)->next;
	*at = inspector->next;
	inspections->n_lookers--;
	settle(inspector);
	sd_event_source_disable_unref(inspector->io);
	helper_disown(inspector->process);
	close_fd(&inspector->fd);
	free(inspector);
}

void inspector_give_up(struct inspector *inspector, int result)
{
	struct inspection *inspection = steal_pointer(&inspector->inspection);

	inspector->given_up = true;
	inspector->io = sd_event_source_disable_unref(inspector->io);
	helper_kill(inspector->process);
	close_fd(&inspector->fd);
	if (inspection)
		inspect_finish(inspection, result, NULL);
}

/* --- questions --- */

static unsigned int hanging(const struct inspections *inspections, uint64_t now,
	struct inspect_person persons[INSPECT_HANGING_MAX])
{
	unsigned int n = 0;

	for (const struct inspector *l = inspections->inspectors; l && n < INSPECT_HANGING_MAX;
		l = l->next) {
		if (!l->charged)
			continue;
		/* An inspector that did not say that it may hang may only lack CPU time. */
		if (l->noticed || now - l->since_usec > INSPECT_HANGING_USEC)
			persons[n++] = (struct inspect_person){
				.ns = l->charged->ns,
				.uid = l->charged->uid,
			};
	}
	return n;
}

/* Whether one more may be asked something that it does not come back from. READY may not, whoever
 * asks: else the persons, however small their shares, could together leave none. */
static bool may_risk(const struct inspections *inspections)
{
	unsigned int n = 0;

	for (const struct inspector *l = inspections->inspectors; l; l = l->next)
		n += l->busy && !l->careful;
	return n < INSPECT_CHILDREN_MAX - READY;
}

static bool ask(struct inspector *inspector, struct inspection *inspection)
{
	struct inspections *inspections = inspector->inspections;
	struct inspect_question question;
	uint64_t now = clock_usec(CLOCK_MONOTONIC);
	size_t size;

	question.number = ++inspections->number;
	question.pid = inspection->pid;
	question.wanted = inspection->wanted;
	question.careful = !may_risk(inspections);
	question.n_hanging = hanging(inspections, now, question.hanging);
	size = offsetof(struct inspect_question, hanging) +
	       question.n_hanging * sizeof(question.hanging[0]);
	if (send(inspector->fd, &question, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return false;
	inspector->inspection = inspection;
	inspector->user = user_ref(inspection->user);
	inspector->busy = true;
	inspector->careful = question.careful;
	inspector->number = question.number;
	inspector->since_usec = now;
	inspection->inspector = inspector;
	inspection->state = INSPECT_RUNNING;
	inspect_time_start(inspections);
	return true;
}

static bool idle(const struct inspector *inspector)
{
	return !inspector->busy && inspector->fd >= 0;
}

bool inspector_may_ask(const struct inspections *inspections, const struct user *user)
{
	unsigned int n_idle = 0, n_his = 0;

	for (const struct inspector *inspector = inspections->inspectors; inspector;
		inspector = inspector->next) {
		n_idle += idle(inspector);
		n_his += inspector->user == user && !inspector->charged && !inspector->given_up;
	}
	return n_idle > 1 || (n_idle == 1 && n_his == 0);
}

bool inspector_ask_any(struct inspections *inspections, struct inspection *inspection)
{
	for (struct inspector *inspector = inspections->inspectors; inspector;
		inspector = inspector->next) {
		if (!idle(inspector))
			continue;
		if (ask(inspector, inspection))
			return true;
		/* The inspector is ending; the helper will report it. */
		inspector->busy = true;
		inspector->since_usec = clock_usec(CLOCK_MONOTONIC);
	}
	return false;
}

void inspector_dispatch(struct inspections *inspections)
{
	struct inspection *inspection;

	while ((inspection = inspect_turn_next(inspections, inspector_may_ask)))
		if (!inspector_ask_any(inspections, inspection) &&
			inspect_turn_add(inspections, inspection) < 0)
			inspect_finish(inspection, -ENOMEM, NULL);
}

/* --- answers --- */

/* Holds an inspection that would ask a file system that may hang, while another inspection of its
 * person is slow. That one may still come back. */
static void hold(struct inspections *inspections, struct inspection *inspection,
	const struct inspect_person *person)
{
	struct user *user;

	if (users_get(inspections->users, person->uid, person->ns, &user) >= 0) {
		user_unref(inspection->user);
		inspection->user = user;
	}
	inspection->state = INSPECT_HELD;
	inspection->next = inspections->held;
	inspections->held = inspection;
	inspect_time_start(inspections);
}

static void on_notice(struct inspector *inspector, const struct inspect_answer *answer)
{
	struct user *user;

	inspector->noticed = true;
	inspector->person = answer->person;
	if (!inspector->charged || users_get(inspector->inspections->users, answer->person.uid,
					   answer->person.ns, &user) < 0)
		return;
	/* The real user. */
	user_force(user, USER_INSPECTIONS, 1);
	uncharge(inspector);
	inspector->charged = user;
}

static void on_answer(struct inspector *inspector, const struct inspect_answer *answer)
{
	struct inspections *inspections = inspector->inspections;
	struct inspection *inspection = inspector->inspection;

	settle(inspector);
	if (inspection && answer->error == -EBUSY)
		hold(inspections, inspection, &answer->person);
	else if (inspection)
		inspect_finish(inspection, answer->error, answer->error < 0 ? NULL : answer);
	inspector_dispatch(inspections);
}

bool inspector_receive(struct inspector *inspector)
{
	struct inspections *inspections = inspector->inspections;
	ssize_t n;

	if (inspector->fd < 0)
		return false;
	n = recv(inspector->fd, &inspections->in, sizeof(inspections->in), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		/* the helper reports why it ended */
		sd_event_source_set_enabled(inspector->io, SD_EVENT_OFF);
		return false;
	}
	if (!inspect_answer_valid(&inspections->in.answer, (size_t)n) || !inspector->busy ||
		inspections->in.answer.number != inspector->number) {
		inspector_give_up(inspector, -EIO);
		return false;
	}
	if (inspections->in.answer.kind == INSPECT_NOTICE) {
		on_notice(inspector, &inspections->in.answer);
		return true;
	}
	on_answer(inspector, &inspections->in.answer);
	return false;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source, (void)fd, (void)events;
	inspector_receive(userdata);
	return 0;
}

/* --- processes --- */

static void on_started(void *userdata, int error, int *fd)
{
	struct inspector *inspector = userdata;
	struct inspections *inspections = inspector->inspections;
	int r = error;

	if (r < 0) {
		inspector->process = NULL;
	} else {
		inspector->fd = steal_fd(fd);
		r = sd_event_add_io(inspections->loop, &inspector->io, inspector->fd, EPOLLIN,
			on_io, inspector);
		/* An answer brings the next question: those that wait must not come before all
		 * turns. */
		if (r >= 0)
			r = sd_event_source_set_priority(inspector->io, TURNS_PRIORITY);
	}
	if (r < 0) {
		inspector_free(inspector);
		/* retried as long as somebody waits */
		inspect_time_start(inspections);
		return;
	}
	inspector_dispatch(inspections);
}

static void on_ended(void *userdata, int status)
{
	struct inspector *inspector = userdata;
	struct inspections *inspections = inspector->inspections;
	struct inspection *inspection = inspector->inspection;

	(void)status;
	inspector->process = NULL; /* freed after this */
	inspector_free(inspector);
	if (inspection)
		inspect_finish(inspection, -EIO, NULL);
	inspect_time_start(inspections);
}

static const struct helper_events events = { on_started, on_ended };

static int make_one(struct inspections *inspections)
{
	struct inspector *inspector = calloc(1, sizeof(*inspector));
	int r;

	if (!inspector)
		return -ENOMEM;
	inspector->inspections = inspections;
	inspector->fd = -1;
	r = helper_spawn(
		inspections->helper, HELPER_INSPECT, &events, inspector, &inspector->process);
	if (r < 0) {
		free(inspector);
		return r;
	}
	inspector->next = inspections->inspectors;
	inspections->inspectors = inspector;
	inspections->n_lookers++;
	return 0;
}

bool inspector_make(struct inspections *inspections)
{
	unsigned int ready = 0;

	for (const struct inspector *inspector = inspections->inspectors; inspector;
		inspector = inspector->next)
		ready += !inspector->charged && !inspector->given_up;
	while (ready < READY && inspections->n_lookers < INSPECT_CHILDREN_MAX &&
		make_one(inspections) >= 0)
		ready++;
	return ready >= READY;
}

void inspector_end_spare(struct inspections *inspections)
{
	struct inspector *inspector, *next;
	unsigned int n = 0;

	for (inspector = inspections->inspectors; inspector; inspector = next) {
		next = inspector->next;
		if (idle(inspector) && ++n > READY)
			inspector_free(inspector);
	}
}

void inspector_note_slow(struct inspector *inspector)
{
	struct users *users = inspector->inspections->users;
	struct user *user = NULL;

	if (inspector->noticed)
		(void)users_get(users, inspector->person.uid, inspector->person.ns, &user);
	else if (inspector->inspection)
		user = user_ref(inspector->inspection->user);
	if (user && user_charge(user, USER_INSPECTIONS, 1) >= 0) {
		inspector->charged = user;
		return;
	}
	user_unref(user);
	/* Other slow inspections use up the user's share, or nobody waits for this one. */
	inspector_give_up(inspector, -ETIMEDOUT);
}

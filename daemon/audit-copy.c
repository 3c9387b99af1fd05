/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Deep copies of events, each in one allocation. It must never keep a pointer to what the event
 * borrowed.
 */
#include "audit-copy.h"

#include "audit-format.h"
#include "util.h"

/* One byte or group more than a record shows, so that the cut still shows. */
#define TEXT_KEPT   (AUDIT_FORMAT_TEXT_MAX + 1)
#define GROUPS_KEPT (AUDIT_FORMAT_GROUPS_MAX + 1)

/* What texts and groups are copied to. */
struct rest {
	char *at;
	size_t size; /* of what is counted */
};

/* First all are counted, then there is an allocation to copy them to. */
static const char *text(struct rest *rest, const char *from)
{
	size_t length = from ? strnlen(from, TEXT_KEPT) : 0;
	char *copy = rest->at;

	if (!from)
		return NULL;
	rest->size += length + 1;
	if (!copy)
		return NULL;
	memcpy(copy, from, length);
	copy[length] = 0;
	rest->at += length + 1;
	return copy;
}

/* Of numbers, which want to be aligned: before any text. */
static const void *array(struct rest *rest, const void *from, size_t size)
{
	void *copy = rest->at;

	rest->size += size;
	if (!copy || !size)
		return NULL;
	memcpy(copy, from, size);
	rest->at += size;
	return copy;
}

static void groups(struct rest *rest, const struct identity *from, struct identity *to)
{
	size_t n = from->n_groups < GROUPS_KEPT ? from->n_groups : GROUPS_KEPT;

	/* The members of an identity are not const, though nobody writes to these. */
#define UNCONST(p) ((void *)(uintptr_t)(p))
	to->groups = UNCONST(array(rest, from->groups, n * sizeof(gid_t)));
	to->n_groups = n;
}

static void texts(struct rest *rest, const struct identity *from, struct identity *to)
{
	to->exe = UNCONST(text(rest, from->exe));
	to->unit = UNCONST(text(rest, from->unit));
	to->slice = UNCONST(text(rest, from->slice));
	to->cgroup = UNCONST(text(rest, from->cgroup));
	to->label = UNCONST(text(rest, from->label));
#undef UNCONST
}

/* Everything that event borrows, to where copy keeps it. */
static void keep(struct rest *rest, const struct audit_event *event, struct audit_copy *copy)
{
	struct audit_event *to = &copy->event;

	to->buffers = array(rest, event->buffers, event->n_buffers * sizeof(*event->buffers));
	to->missing = array(rest, event->missing, event->n_missing * sizeof(*event->missing));
	to->deleted = array(rest, event->deleted, event->deleted ? sizeof(*event->deleted) : 0);
	if (event->peer)
		groups(rest, event->peer, &copy->peer);
	if (event->by)
		groups(rest, event->by, &copy->by);
	if (event->peer)
		texts(rest, event->peer, &copy->peer);
	if (event->by)
		texts(rest, event->by, &copy->by);
	to->use = text(rest, event->use);
	to->heap = text(rest, event->heap);
	to->rule = text(rest, event->rule);
	to->reason = text(rest, event->reason);
	to->policy = text(rest, event->policy);
}

struct audit_copy *audit_copy_new(const struct audit_event *event)
{
	struct audit_copy counted = { 0 };
	struct rest rest = { 0 };
	struct audit_copy *copy;

	keep(&rest, event, &counted);
	copy = malloc(sizeof(*copy) + rest.size);
	if (!copy)
		return NULL;
	*copy = (struct audit_copy){ .size = sizeof(*copy) + rest.size, .event = *event };
	copy->event.user = NULL;
	if (event->peer) {
		copy->peer = *event->peer;
		copy->event.peer = &copy->peer;
	}
	if (event->by) {
		copy->by = *event->by;
		copy->event.by = &copy->by;
	}
	if (event->request) {
		copy->request = *event->request;
		copy->event.request = &copy->request;
	}
	rest.at = copy->rest;
	keep(&rest, event, copy);
	return copy;
}

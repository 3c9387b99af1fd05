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

struct text {
	const char *from;
	const char **to;
	size_t length;
};

struct audit_copy *audit_copy_new(const struct audit_event *event)
{
	const struct identity *peer = event->peer;
	const char *exe = NULL, *unit = NULL, *slice = NULL, *cgroup = NULL, *label = NULL;
	const char *use = NULL, *heap = NULL, *rule = NULL, *reason = NULL, *policy = NULL;
	struct text texts[] = {
		{ peer ? peer->exe : NULL, &exe, 0 },
		{ peer ? peer->unit : NULL, &unit, 0 },
		{ peer ? peer->slice : NULL, &slice, 0 },
		{ peer ? peer->cgroup : NULL, &cgroup, 0 },
		{ peer ? peer->label : NULL, &label, 0 },
		{ event->use, &use, 0 },
		{ event->heap, &heap, 0 },
		{ event->rule, &rule, 0 },
		{ event->reason, &reason, 0 },
		{ event->policy, &policy, 0 },
	};
	size_t n_groups = peer ? peer->n_groups : 0, groups, buffers, size;
	struct audit_copy *copy;
	char *at;

	if (n_groups > GROUPS_KEPT)
		n_groups = GROUPS_KEPT;
	groups = n_groups * sizeof(gid_t);
	buffers = event->n_buffers * sizeof(struct audit_buffer);
	size = sizeof(*copy) + buffers + groups;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].from) {
			texts[i].length = strnlen(texts[i].from, TEXT_KEPT);
			size += texts[i].length + 1;
		}

	copy = malloc(size);
	if (!copy)
		return NULL;
	*copy = (struct audit_copy){ .size = size, .event = *event };
	at = copy->rest;
	if (buffers) {
		memcpy(at, event->buffers, buffers);
		copy->event.buffers = (const struct audit_buffer *)(void *)at;
		at += buffers;
	}
	if (peer) {
		copy->peer = *peer;
		copy->peer.n_groups = n_groups;
		copy->peer.groups = NULL;
		if (groups) {
			memcpy(at, peer->groups, groups);
			copy->peer.groups = (gid_t *)(void *)at;
			at += groups;
		}
		copy->event.peer = &copy->peer;
	}
	if (event->request) {
		copy->request = *event->request;
		copy->event.request = &copy->request;
	}
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].from) {
			memcpy(at, texts[i].from, texts[i].length);
			at[texts[i].length] = 0;
			*texts[i].to = at;
			at += texts[i].length + 1;
		}
		/* The strings of an identity are char *, though nobody writes to these. */
#define UNCONST(p) ((char *)(uintptr_t)(p))
	copy->peer.exe = UNCONST(exe);
	copy->peer.unit = UNCONST(unit);
	copy->peer.slice = UNCONST(slice);
	copy->peer.cgroup = UNCONST(cgroup);
	copy->peer.label = UNCONST(label);
	copy->event.use = use;
	copy->event.heap = heap;
	copy->event.rule = rule;
	copy->event.reason = reason;
	copy->event.policy = policy;
	return copy;
}

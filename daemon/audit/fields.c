/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events to fields: one line for each. A field that is added here appears in the trail, in the
 * journal if its line says so, and in the output of ccbuf-client. Explain it in ccbufd(8).
 */
#include "audit/fields.h"

#include <assert.h>
#include <string.h>

#include "util.h"

/* Also in the journal, or in the trail only. */
#define J true
#define T false

/* A list that is being made, and its current object. */
struct maker {
	struct audit_fields *fields;
	enum audit_object in;
};

static struct audit_field *add(struct maker *m, const char *key, enum audit_type type, bool journal)
{
	struct audit_field *field = &m->fields->all[m->fields->n];

	assert(m->fields->n < AUDIT_FIELDS_MAX);
	m->fields->n++;
	*field = (struct audit_field){ .in = m->in, .key = key, .type = type, .journal = journal };
	return field;
}

static void number(struct maker *m, const char *key, uint64_t value, bool journal)
{
	add(m, key, AUDIT_NUMBER, journal)->number = value;
}

static void boolean(struct maker *m, const char *key, bool value)
{
	add(m, key, AUDIT_BOOLEAN, T)->number = value;
}

static void words(struct maker *m, const char *key, const char *text, bool journal)
{
	if (text)
		add(m, key, AUDIT_WORDS, journal)->at = text;
}

static void name(struct maker *m, const char *key, const char *untrusted_text, bool journal)
{
	if (untrusted_text)
		add(m, key, AUDIT_NAME, journal)->at = untrusted_text;
}

static void array(struct maker *m, const char *key, enum audit_type type, const void *at, size_t n,
	bool journal)
{
	struct audit_field *field;

	if (!n)
		return;
	field = add(m, key, type, journal);
	field->at = at;
	field->number = n;
}

static void process(struct maker *m, enum audit_object in, const struct identity *identity)
{
	struct audit_field *gids;

	if (!identity)
		return;
	m->in = in;
	number(m, "uid", identity->uid, J);
	/* Refusals counted together have a user, but no process. */
	if (identity->pid > 0) {
		gids = add(m, "gids", AUDIT_GROUPS, T);
		gids->gid = identity->gid;
		gids->at = identity->groups;
		gids->number = identity->n_groups;
		number(m, "pid", (uint64_t)identity->pid, J);
	}
	/* Nothing more is known of a peer that was turned away. */
	if (identity->pid > 0 && !identity->unseen) {
		number(m, "start", identity->start_time, T);
		name(m, "exe", identity->exe, J);
		name(m, "unit", identity->unit, J);
		name(m, "slice", identity->slice, T);
		name(m, "cgroup", identity->cgroup, T);
		name(m, "label", identity->lsm, T);
		boolean(m, "container", identity->container);
		words(m, "identity", identity->strong ? "strong" : "weak", T);
	}
	m->in = AUDIT_RECORD;
}

/* The verdict of an event, NULL when it has none. */
static const char *verdict_of(const struct audit_event *event)
{
	switch (event->kind) {
	case AUDIT_GRANT:
	case AUDIT_DENY:
	case AUDIT_UNDELIVERED:
	case AUDIT_POLICY:
		return verdict_name(event->verdict);
	case AUDIT_ERROR:
	case AUDIT_REVOKE:
		return event->verdict == CCBUF_GRANTED ? NULL : verdict_name(event->verdict);
	case AUDIT_START:
	case AUDIT_STOP:
	case AUDIT_RELEASE:
	case AUDIT_ORPHAN:
	case AUDIT_LEAK:
	case AUDIT_KIND_MAX_:
		break;
	}
	return NULL;
}

void audit_fields_of(const struct audit_event *event, struct audit_fields *ret_fields)
{
	const struct request *request = event->request;
	struct maker maker = { .fields = ret_fields }, *m = &maker;

	ret_fields->kind = event->kind;
	ret_fields->verdict = event->verdict;
	ret_fields->user = event->user;
	ret_fields->has_uid = event->peer;
	ret_fields->uid = event->peer ? event->peer->uid : 0;
	ret_fields->repeated = 1;
	ret_fields->not_lost = event->not_lost;
	ret_fields->n = 0;
	words(m, "event", audit_kind_name(event->kind), J);
	process(m, AUDIT_PEER, event->peer);
	process(m, AUDIT_BY, event->by);
	words(m, "use", request && request->use[0] ? request->use : event->use, J);
	if (request) {
		name(m, "label", request->label[0] ? request->label : NULL, J);
		boolean(m, "accept-shared", request->accept_shared);
		boolean(m, "read-only", request->read_only);
		words(m, "transport", transport_name(request->transport), J);
	}
	words(m, "heap", event->heap, J);
	if (event->exposure != EXPOSURE_UNKNOWN)
		words(m, "exposure", exposure_name(event->exposure), J);
	if (event->size || request)
		number(m, "size", event->size ? event->size : request->size, J);
	if (request || event->n_buffers)
		number(m, "count", request ? request->count : event->n_buffers, J);
	array(m, "buffers", AUDIT_BUFFERS, event->buffers, event->n_buffers, J);
	words(m, "rule", event->rule, J);
	words(m, "verdict", verdict_of(event), J);
	words(m, "reason", event->reason, J);
	words(m, "policy", event->policy, J);
	audit_fields_repeat(ret_fields, event->repeated);
	array(m, "missing", AUDIT_RANGES, event->missing, event->n_missing, T);
	array(m, "deleted", AUDIT_RANGE, event->deleted, event->deleted ? 1 : 0, T);
}

void audit_fields_repeat(struct audit_fields *fields, uint64_t times)
{
	struct maker maker = { .fields = fields };

	if (times <= 1)
		return;
	fields->repeated = times;
	number(&maker, "repeated", times, J);
}

static const struct audit_field *find(
	const struct audit_fields *fields, enum audit_object in, const char *key)
{
	for (size_t i = 0; i < fields->n; i++)
		if (fields->all[i].in == in && streq(fields->all[i].key, key))
			return &fields->all[i];
	return NULL;
}

const char *audit_fields_text(
	const struct audit_fields *fields, enum audit_object in, const char *key)
{
	const struct audit_field *field = find(fields, in, key);

	return field ? field->at : NULL;
}

uint64_t audit_fields_number(
	const struct audit_fields *fields, enum audit_object in, const char *key)
{
	const struct audit_field *field = find(fields, in, key);

	return field ? field->number : 0;
}

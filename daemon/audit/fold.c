/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counting of repeated refusals in a table of fixed size. It must never lose a refusal: one that
 * cannot be counted is recorded by itself.
 */
#include "audit/fold.h"

#include <inttypes.h>
#include <stdio.h>

#include "audit/copy.h"
#include "chain.h"
#include "user/user.h"
#include "util.h"

/* The parts of the table: kinds, then users, then one slot for all. */
#define FIRST_USER  AUDIT_FOLD_KINDS
#define EVERYBODY   (AUDIT_FOLD_KINDS + AUDIT_FOLD_USERS)
#define SLOTS	    (EVERYBODY + 1)
#define NO_USER	    UINT64_MAX
#define ACCURACY(u) ((u) / 8 + 1)

struct slot {
	bool used;
	uint8_t key[CHAIN_HASH_SIZE]; /* of a slot of a kind */
	uint64_t uid;		      /* NO_USER when the peer is not known */
	uint64_t seen;		      /* refusals recorded one by one */
	uint64_t folded;	      /* counted since the last counted record */
	bool active;		      /* seen or folded since the deadline was set */
	uint64_t deadline;
	struct audit_copy *sample; /* of the counted ones; NULL while there are none */
};

struct audit_fold {
	sd_event *loop;
	sd_event_source *timer;
	bool armed;
	uint64_t after, usec;
	audit_fold_emit emit;
	void *userdata;
	struct slot slots[SLOTS];
};

static uint64_t now_of(struct audit_fold *fold)
{
	uint64_t now = 0;

	sd_event_now(fold->loop, CLOCK_MONOTONIC, &now);
	return now;
}

static uint64_t user_of(const struct audit_fields *fields)
{
	const struct user *user = fields->user;

	if (!user)
		return fields->has_uid ? fields->uid : NO_USER;
	/* For a namespace, the lower half is its owner. */
	return user->ns ? (uint64_t)user->ns << 32 | user->uid : user->uid;
}

/* Hashes each text with its NUL, so that no two different events give the same bytes. */
static void key_of(const struct audit_fields *fields, uint8_t key[static CHAIN_HASH_SIZE])
{
	const char *texts[] = { audit_fields_text(fields, AUDIT_PEER, "exe"),
		audit_fields_text(fields, AUDIT_PEER, "unit"),
		audit_fields_text(fields, AUDIT_RECORD, "use"),
		audit_fields_text(fields, AUDIT_RECORD, "rule") };
	uint64_t numbers[] = { user_of(fields), fields->verdict };
	char material[sizeof(numbers) + ARRAY_SIZE(texts) * 1026], *at = material;
	struct chain hash = { 0 };

	memcpy(at, numbers, sizeof(numbers));
	at += sizeof(numbers);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		size_t length = texts[i] ? strnlen(texts[i], 1024) : 0;

		*at++ = texts[i] ? 't' : 'n';
		if (length)
			memcpy(at, texts[i], length);
		at += length;
		*at++ = 0;
	}
	chain_advance(&hash, material, (size_t)(at - material));
	memcpy(key, hash.hash, CHAIN_HASH_SIZE);
}

static void arm(struct audit_fold *fold)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < SLOTS; i++)
		if (fold->slots[i].used && fold->slots[i].deadline < next)
			next = fold->slots[i].deadline;
	fold->armed = next != UINT64_MAX;
	if (fold->armed)
		sd_event_source_set_time(fold->timer, next);
	sd_event_source_set_enabled(fold->timer, fold->armed ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* The record of refusals of one user, or of several, that are not kept apart. */
static bool emit_together(struct audit_fold *fold, const struct slot *slot)
{
	bool one = slot < fold->slots + EVERYBODY;
	struct identity peer = { .uid = (uid_t)slot->uid };
	struct audit_fields fields;
	char reason[160];
	struct audit_event event = {
		.kind = AUDIT_DENY,
		.peer = one && slot->uid != NO_USER ? &peer : NULL,
		.verdict = VERDICT_MAX_, /* several: left out */
		.reason = reason,
		.policy = audit_fields_text(&slot->sample->fields, AUDIT_RECORD, "policy"),
		.repeated = slot->folded,
	};

	snprintf(reason, sizeof(reason),
		"%" PRIu64 " refusals counted together, because %s was refused in more ways than "
		"are kept apart",
		slot->folded, one ? "the user" : "a multitude of users");
	audit_fields_of(&event, &fields);
	return fold->emit(fold->userdata, &fields);
}

static bool emit(struct audit_fold *fold, struct slot *slot)
{
	struct audit_fields fields = slot->sample->fields;
	bool taken;

	if (slot >= fold->slots + FIRST_USER && slot->folded > 1) {
		taken = emit_together(fold, slot);
	} else {
		audit_fields_repeat(&fields, slot->folded);
		taken = fold->emit(fold->userdata, &fields);
	}
	if (!taken)
		return false;
	slot->folded = 0;
	free(slot->sample);
	slot->sample = NULL;
	return true;
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct audit_fold *fold = userdata;
	uint64_t now = now_of(fold);

	(void)source;
	(void)usec;
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *slot = fold->slots + i;

		if (!slot->used || slot->deadline > now)
			continue;
		if (slot->folded && !emit(fold, slot))
			slot->active = true;
		if (slot->active) {
			slot->active = false;
			slot->deadline = now + fold->usec;
		} else {
			slot->used = false;
		}
	}
	arm(fold);
	return 0;
}

static void begin(struct audit_fold *fold, struct slot *slot, uint64_t uid)
{
	*slot = (struct slot){
		.used = true,
		.uid = uid,
		.deadline = now_of(fold) + fold->usec,
	};
	if (!fold->armed)
		arm(fold);
}

/* The slot that an event is counted in. */
static struct slot *find(struct audit_fold *fold, const struct audit_fields *fields)
{
	struct slot *unused = NULL;
	uint64_t uid = user_of(fields);
	uint8_t key[CHAIN_HASH_SIZE];
	size_t of_user = 0, i;

	key_of(fields, key);
	for (i = 0; i < AUDIT_FOLD_KINDS; i++) {
		struct slot *slot = fold->slots + i;

		if (!slot->used) {
			unused = unused ? unused : slot;
			continue;
		}
		if (memcmp(slot->key, key, sizeof(key)) == 0)
			return slot;
		of_user += slot->uid == uid;
	}
	if (unused && of_user < AUDIT_FOLD_PER_USER) {
		begin(fold, unused, uid);
		memcpy(unused->key, key, sizeof(key));
		return unused;
	}
	for (unused = NULL; i < EVERYBODY; i++) {
		struct slot *slot = fold->slots + i;

		if (slot->used && slot->uid == uid)
			return slot;
		if (!slot->used && !unused)
			unused = slot;
	}
	if (!unused)
		unused = fold->slots + EVERYBODY;
	if (!unused->used)
		begin(fold, unused, uid);
	return unused;
}

bool audit_fold_take(struct audit_fold *fold, const struct audit_fields *fields)
{
	struct slot *slot;

	if (fields->kind != AUDIT_DENY || fields->repeated > 1 || !fold->after)
		return false;
	slot = find(fold, fields);
	slot->active = true;
	if (slot < fold->slots + FIRST_USER && slot->seen < fold->after) {
		slot->seen++;
		return false;
	}
	if (!slot->sample) {
		slot->sample = audit_copy_new(fields);
		if (!slot->sample)
			return false;
	}
	slot->folded++;
	return true;
}

void audit_fold_flush(struct audit_fold *fold)
{
	for (size_t i = 0; i < SLOTS; i++)
		if (fold->slots[i].folded)
			emit(fold, fold->slots + i);
}

int audit_fold_new(sd_event *loop, uint64_t after, uint64_t usec, audit_fold_emit emit_counted,
	void *userdata, struct audit_fold **ret_fold)
{
	struct audit_fold *fold;
	int r;

	fold = calloc(1, sizeof(*fold));
	if (!fold)
		return -ENOMEM;
	fold->after = after;
	fold->usec = usec;
	fold->emit = emit_counted;
	fold->userdata = userdata;
	fold->loop = sd_event_ref(loop);
	r = sd_event_add_time(
		loop, &fold->timer, CLOCK_MONOTONIC, UINT64_MAX, ACCURACY(usec), on_time, fold);
	if (r >= 0)
		r = sd_event_source_set_enabled(fold->timer, SD_EVENT_OFF);
	if (r < 0) {
		audit_fold_free(fold);
		return r;
	}
	*ret_fold = fold;
	return 0;
}

struct audit_fold *audit_fold_free(struct audit_fold *fold)
{
	if (!fold)
		return NULL;
	for (size_t i = 0; i < SLOTS; i++)
		free(fold->slots[i].sample);
	sd_event_source_disable_unref(fold->timer);
	sd_event_unref(fold->loop);
	free(fold);
	return NULL;
}

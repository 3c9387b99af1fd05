/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The decision: one request of one peer to a verdict with a reason. It must never grant what no
 * rule allows. It allocates nothing, looks up nothing outside the policy, and cannot fail.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "policy-internal.h"
#include "size.h"

#define BYTES_MAX    (UINT64_C(1) << 62) /* of one request: a sum of a few cannot overflow */
#define EXAMINED_MAX 256		 /* uses tried to name those that a peer may have */

static int compare_name(const void *key, const void *item)
{
	return strcmp(key, ((const struct policy_use *)item)->name);
}

int64_t policy_decide_use(const struct policy *policy, const char *name)
{
	const struct policy_use *use = NULL;

	if (policy->n_uses)
		use = bsearch(
			name, policy->uses, policy->n_uses, sizeof(*policy->uses), compare_name);
	return use ? use - policy->uses : -1;
}

static void refuse(struct decision *decision, enum ccbuf_verdict verdict, const char *format, ...)
	printf_like(3, 4);
static void refuse(struct decision *decision, enum ccbuf_verdict verdict, const char *format, ...)
{
	va_list args;
	int length;

	decision->verdict = verdict;
	va_start(args, format);
	length = vsnprintf(decision->reason, sizeof(decision->reason), format, args);
	va_end(args);
	/* names, heaps and reasons of rules are limited so that the longest sentence fits */
	assert(length > 0 && (size_t)length < sizeof(decision->reason));
	(void)length;
}

static bool refuse_form(const struct request *request, struct decision *decision)
{
	char size[SIZE_TEXT_MAX], most[SIZE_TEXT_MAX];
	uint64_t bytes;

	if (!request->size)
		refuse(decision, CCBUF_BAD_SIZE,
			"a buffer of 0 bytes was asked for; the least is 1 byte");
	else if (request->count < 1 || request->count > REQUEST_COUNT_MAX)
		refuse(decision, CCBUF_BAD_SIZE,
			"%u buffers were asked for; one request may ask for 1 to %d",
			request->count, REQUEST_COUNT_MAX);
	else if (__builtin_mul_overflow(request->size, (uint64_t)request->count, &bytes) ||
		 bytes > BYTES_MAX)
		refuse(decision, CCBUF_BAD_SIZE,
			"%u of %s were asked for; one request may ask for %s at most",
			request->count, size_format(request->size, size),
			size_format(BYTES_MAX, most));
	else
		return false;
	return true;
}

/* Finds which of the first uses a peer may have, in one pass over the rules. */
static void find_allowed(const struct policy *policy, const struct identity *peer,
	enum transport transport, bool allowed[static EXAMINED_MAX])
{
	size_t n = policy->n_uses < EXAMINED_MAX ? policy->n_uses : EXAMINED_MAX;
	bool decided[EXAMINED_MAX] = { 0 };

	for (size_t i = 0; i < policy->n_rules; i++) {
		const struct policy_entry *entry = &policy->rules[i];
		size_t count = entry->all_uses ? n : entry->n_uses;

		if (!policy_match_holds(&entry->match, peer, transport))
			continue;
		for (size_t u = 0; u < count; u++) {
			size_t use = entry->all_uses ? u : entry->uses[u];

			if (use < n && !decided[use]) {
				decided[use] = true;
				allowed[use] = !entry->rule.deny;
			}
		}
	}
}

static void refuse_unknown_use(const struct policy *policy, const struct identity *peer,
	const struct request *request, struct decision *decision)
{
	char names[256];
	size_t length = 0, more = policy->n_uses > EXAMINED_MAX;
	bool allowed[EXAMINED_MAX] = { 0 };

	find_allowed(policy, peer, request->transport, allowed);
	for (size_t i = 0; i < policy->n_uses && i < EXAMINED_MAX; i++) {
		const char *name = policy->uses[i].name;

		if (!allowed[i])
			continue;
		if (length + strlen(name) + 3 > sizeof(names)) {
			more = 1;
			break;
		}
		length += (size_t)snprintf(
			names + length, sizeof(names) - length, "%s%s", length ? ", " : "", name);
	}
	if (!length)
		refuse(decision, CCBUF_UNKNOWN_USE,
			"use \"%s\" is not defined; the policy gives this process no use",
			request->use);
	else
		refuse(decision, CCBUF_UNKNOWN_USE,
			"use \"%s\" is not defined; this process may have: %s%s", request->use,
			names, more ? ", ..." : "");
}

static void decide(const struct policy *policy, const struct identity *peer,
	const struct request *request, struct decision *decision)
{
	char asked[SIZE_TEXT_MAX], limit[SIZE_TEXT_MAX];
	const struct policy_entry *entry;
	const struct policy_rule *rule;
	int64_t use;

	if (refuse_form(request, decision))
		return;
	use = policy_decide_use(policy, request->use);
	if (use < 0) {
		refuse_unknown_use(policy, peer, request, decision);
		return;
	}
	decision->heap = policy->uses[use].heap;
	decision->exposure = policy->uses[use].exposure;
	entry = policy_match_first(policy, (uint32_t)use, peer, request->transport);
	if (!entry) {
		refuse(decision, CCBUF_NO_RULE,
			"no rule of the policy allows this process use \"%s\"", request->use);
		return;
	}
	decision->rule = rule = &entry->rule;
	if (rule->deny) {
		refuse(decision, CCBUF_DENIED, "rule \"%s\" denies use \"%s\": %s", rule->name,
			request->use, rule->deny);
		return;
	}
	if (request->size > rule->limits.buffer) {
		refuse(decision, CCBUF_BUFFER_LIMIT,
			"a buffer of %s was asked for; rule \"%s\" allows %s at most for use "
			"\"%s\"",
			size_format(request->size, asked), rule->name,
			size_format(rule->limits.buffer, limit), request->use);
		return;
	}
	if (decision->exposure == EXPOSURE_UNKNOWN) {
		refuse(decision, CCBUF_HEAP_UNAVAILABLE,
			"use \"%s\" is for heap \"%s\", of which nobody has said what the host can "
			"see; declare its exposure in \"heaps\" of the policy",
			request->use, decision->heap);
		return;
	}
	if (decision->exposure == EXPOSURE_SHARED && !request->accept_shared)
		refuse(decision, CCBUF_CONSENT_REQUIRED,
			"the host reads and writes the memory of use \"%s\" (heap \"%s\"); ask "
			"again with accept-shared if that is meant",
			request->use, decision->heap);
}

void policy_decide(const struct policy *policy, const struct identity *peer,
	const struct request *request, struct decision *ret_decision)
{
	ret_decision->verdict = CCBUF_GRANTED;
	ret_decision->rule = NULL;
	ret_decision->heap = NULL;
	ret_decision->exposure = EXPOSURE_UNKNOWN;
	ret_decision->reason[0] = 0;
	decide(policy, peer, request, ret_decision);
}

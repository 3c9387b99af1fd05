/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The order of the checks before a grant. It charges and allocates nothing.
 */
#include "grant-preflight.h"

#include <stdarg.h>
#include <stdio.h>

#include "util.h"

static bool round_to_pages(uint64_t size, uint64_t *ret_size)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (__builtin_add_overflow(size, page - 1, &size) || size > INT64_MAX)
		return false;
	*ret_size = size & ~(page - 1);
	return true;
}

static void refuse(struct decision *decision, enum ccbuf_verdict verdict, const char *format, ...)
	printf_like(3, 4);

static void refuse(struct decision *decision, enum ccbuf_verdict verdict, const char *format, ...)
{
	va_list arguments;

	decision->verdict = verdict;
	va_start(arguments, format);
	vsnprintf(decision->reason, sizeof(decision->reason), format, arguments);
	va_end(arguments);
}

void grant_preflight(struct broker *broker, const struct policy *policy,
	const struct identity *identity, struct user *user, const struct request *request,
	enum preflight_until until, struct preflight *ret_preflight)
{
	struct decision *decision = &ret_preflight->decision;
	int r;

	policy_decide(policy, identity, request, decision);
	if (decision->verdict != CCBUF_GRANTED || until == PREFLIGHT_POLICY)
		return;
	if (!round_to_pages(request->size, &ret_preflight->size)) {
		refuse(decision, CCBUF_BAD_SIZE, "%ju bytes are more than can be addressed",
			(uintmax_t)request->size);
		return;
	}
	r = heaps_get(broker->heaps, decision->heap, &ret_preflight->heap);
	if (r < 0) {
		decision->verdict = CCBUF_HEAP_UNAVAILABLE;
		heaps_explain(broker->heaps, decision->heap, decision->exposure, r,
			decision->reason, sizeof(decision->reason));
		return;
	}
	if (request->read_only && !heap_can_read_only(ret_preflight->heap, decision->exposure)) {
		refuse(decision, CCBUF_UNSUPPORTED,
			"a read-only buffer of heap %s could not be zeroed before it is handed out",
			decision->heap);
		return;
	}
	if (until == PREFLIGHT_LIMITS)
		decision->verdict = ledger_would_reserve(broker->ledger, identity, user, decision,
			policy_settings(policy), ret_preflight->heap, ret_preflight->size,
			request->count, decision->reason);
}

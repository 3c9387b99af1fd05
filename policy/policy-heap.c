/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the host can do with the memory of a heap: known by its name, or declared by the policy. It
 * must never guess: any other heap is unknown.
 */
#include "policy-internal.h"

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	return length >= tail && streq(text + length - tail, end);
}

enum exposure policy_heap_well_known(const char *heap)
{
	static const struct {
		const char *name;
		enum exposure exposure;
	} known[] = {
		{ "system_cc_shared", EXPOSURE_SHARED },
		{ "system_cc_decrypted", EXPOSURE_SHARED },
		{ "system", EXPOSURE_PRIVATE },
		{ "reserved", EXPOSURE_PRIVATE },
		{ "default_cma_region", EXPOSURE_PRIVATE },
		{ "linux,cma", EXPOSURE_PRIVATE },
		{ "emulated", EXPOSURE_EMULATED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (streq(known[i].name, heap))
			return known[i].exposure;
	if (!strncmp(heap, "protected,", strlen("protected,")))
		return EXPOSURE_PROTECTED;
	return ends_with(heap, "cma") ? EXPOSURE_PRIVATE : EXPOSURE_UNKNOWN;
}

static int compare(const void *name, const void *heap)
{
	return strcmp(name, ((const struct policy_heap *)heap)->name);
}

enum exposure policy_exposure(const struct policy *policy, const char *heap)
{
	enum exposure exposure = policy_heap_well_known(heap);
	const struct policy_heap *declared;

	if (exposure != EXPOSURE_UNKNOWN || !policy || !policy->n_heaps)
		return exposure;
	declared = bsearch(heap, policy->heaps, policy->n_heaps, sizeof(*policy->heaps), compare);
	return declared ? declared->exposure : EXPOSURE_UNKNOWN;
}

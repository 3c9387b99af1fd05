/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The life of a policy: made from all its sources or not at all, shared by reference, freed. It
 * must never return a policy with a mistake.
 */
#include "chain.h"
#include "policy-internal.h"

#define CONNECTIONS_DEFAULT 128
#define EMULATED_DEFAULT    (UINT64_C(64) << 20)

static void cleanup_policy(struct policy **policy)
{
	policy_unref(*policy);
}

static void cleanup_report(struct policy_report *report)
{
	policy_errors_report_done(report);
}

static void parse_source(struct policy *policy, const struct policy_source *source,
	const struct policy_env *env, struct policy_report *report, bool *complete)
{
	struct policy_parse parse = {
		.policy = policy,
		.env = env,
		.report = report,
		.path = policy_pool_copy(&policy->pool, source->path),
	};
	struct json_object *json;

	if (!parse.path)
		return;
	json = policy_text_parse(report, parse.path, source->text, source->size);
	if (json)
		policy_parse_document(&parse, json);
	else
		*complete = false;
	json_object_put(json);
}

static int seal(struct policy *policy)
{
	cleanup(cleanup_free) char *canonical = NULL;

	for (size_t i = 0; i < policy->n_uses; i++)
		policy->uses[i].exposure = policy_exposure(policy, policy->uses[i].heap);
	canonical = policy_show_canonical(policy);
	if (!canonical)
		return -ENOMEM;
	sha256_text(canonical, strlen(canonical), policy->digest);
	return 0;
}

int policy_new_report(const struct policy_source *sources, size_t n_sources,
	const struct policy_env *env, struct policy_report *report, bool complete,
	struct policy **ret_policy)
{
	cleanup(cleanup_policy) struct policy *policy = calloc(1, sizeof(*policy));
	int r;

	if (!policy)
		return -ENOMEM;
	policy->references = 1;
	policy->settings = (struct policy_settings){
		.total = env->ram / 4,
		.per_user = POLICY_UNLIMITED,
		.emulated_per_user = EMULATED_DEFAULT,
		.connections_per_user = CONNECTIONS_DEFAULT,
		.durability = POLICY_SYNCED,
		.on_reload = POLICY_RELOAD_KEEP,
	};
	for (size_t i = 0; i < n_sources; i++)
		parse_source(policy, &sources[i], env, report, &complete);
	/* names may be missing when memory was short */
	if (!policy->pool.failed && !report->failed)
		policy_link(policy, report, complete);
	if (policy->pool.failed || report->failed)
		return -ENOMEM;
	if (report->errors.count)
		return 0;
	r = seal(policy);
	if (r < 0)
		return r;
	*ret_policy = steal_pointer(&policy);
	return 0;
}

int policy_new(const struct policy_source *sources, size_t n_sources, const struct policy_env *env,
	struct policy_errors *ret_errors, struct policy **ret_policy)
{
	cleanup(cleanup_report) struct policy_report report = { 0 };
	cleanup(cleanup_policy) struct policy *policy = NULL;
	int r;

	r = policy_new_report(sources, n_sources, env, &report, true, &policy);
	if (r >= 0)
		r = policy_errors_finish(&report, ret_errors);
	if (r < 0)
		return r;
	*ret_policy = steal_pointer(&policy);
	return 0;
}

struct policy *policy_ref(struct policy *policy)
{
	policy->references++;
	return policy;
}

struct policy *policy_unref(struct policy *policy)
{
	if (!policy || --policy->references)
		return NULL;
	free(policy->uses);
	free(policy->heaps);
	free(policy->rules);
	policy_pool_done(&policy->pool);
	free(policy);
	return NULL;
}

const struct policy_settings *policy_settings(const struct policy *policy)
{
	return &policy->settings;
}

const char *policy_digest(const struct policy *policy)
{
	return policy->digest;
}

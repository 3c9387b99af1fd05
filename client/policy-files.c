/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Policy files as the client reads them. It must never parse the language itself.
 */
#include "policy-files.h"

#include "output.h"
#include "policy-load.h"

static void cleanup_policy(struct policy **policy)
{
	policy_unref(*policy);
}

int policy_files_show(const char *const paths[], size_t n_paths, struct policy_errors *ret_errors,
	struct json_object **ret_shown)
{
	cleanup(cleanup_policy) struct policy *policy = NULL;
	cleanup(cleanup_free) char *text = NULL;
	struct json_object *shown;
	int r;

	r = n_paths ? policy_load_paths(paths, n_paths, ret_errors, &policy)
		    : policy_load(policy_default_dirs, 0, ret_errors, &policy);
	if (r < 0)
		return r;
	text = policy_show(policy);
	shown = text ? json_tokener_parse(text) : NULL;
	if (!shown)
		return -ENOMEM;
	*ret_shown = shown;
	return 0;
}

struct search {
	const char *rule;
	void (*visit)(void *userdata, const char *rule, const char *exe, const char *real);
	void *userdata;
};

static void look_at_exe(const struct search *search, const char *exe)
{
	cleanup(cleanup_free) char *real = NULL;

	if (exe[strcspn(exe, "*?[\\")])
		return;
	real = realpath(exe, NULL);
	/* Without permission to look there is nothing to say. */
	if (!real && errno != ENOENT && errno != ENOTDIR)
		return;
	if (!real || !streq(real, exe))
		search->visit(search->userdata, search->rule, exe, real);
}

static void look_at_match(const struct search *search, struct json_object *match)
{
	struct json_object *list, *inner;

	if (json_object_object_get_ex(match, "exe", &list))
		for (size_t i = 0; i < json_object_array_length(list); i++)
			look_at_exe(
				search, json_object_get_string(json_object_array_get_idx(list, i)));
	if (json_object_object_get_ex(match, "not", &inner))
		look_at_match(search, inner);
}

void policy_files_each_lost_exe(struct json_object *shown,
	void (*visit)(void *userdata, const char *rule, const char *exe, const char *real),
	void *userdata)
{
	struct json_object *rules = json_object_object_get(shown, "rules");

	for (size_t i = 0; i < json_object_array_length(rules); i++) {
		struct json_object *rule = json_object_array_get_idx(rules, i);
		struct search search = { member_text(rule, "name"), visit, userdata };

		look_at_match(&search, json_object_object_get(rule, "match"));
	}
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of the policy engine share: a machine with a few users, and policies written with
 * single quotes so that they can be read in C.
 */
#pragma once

#include <stdio.h>

#include "policy-internal.h"
#include "runner.h"

#define GIB (UINT64_C(1) << 30)

/* Users and groups of the test machine: anything but "no..." (not there) and "broken". */
static inline int test_resolve(void *userdata, const char *name, uint32_t *ret_id)
{
	static const char *const known[] = { "root", "hpc", "alice", "bob", "guests", "video" };

	(void)userdata;
	if (!strncmp(name, "no", 2))
		return -ENOENT;
	if (streq(name, "minus-one") || streq(name, "overflow")) {
		*ret_id = name[0] == 'm' ? UINT32_MAX : 65534;
		return 0;
	}
	if (streq(name, "1000"))
		return -ENOENT;
	if (streq(name, "broken"))
		return -EIO;
	for (uint32_t i = 0; i < ARRAY_SIZE(known); i++)
		if (streq(known[i], name)) {
			*ret_id = i ? 1000 + i : 0;
			return 0;
		}
	*ret_id = 5000;
	for (const char *p = name; *p; p++)
		*ret_id = *ret_id * 31 % 60000 + (unsigned char)*p;
	return 0;
}

static const struct policy_env test_env = {
	.user = test_resolve,
	.group = test_resolve,
	.ram = 8 * GIB,
};

/* A copy with " for '. */
static inline char *test_quotes(const char *text)
{
	char *copy = strdup(text);

	ck_assert_ptr_nonnull(copy);
	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	return copy;
}

/* Compiles up to four texts, as files a.json, b.json, ... Returns as policy_new(). */
static inline int test_new(
	const char *const *texts, size_t n, struct policy_errors *errors, struct policy **policy)
{
	static const char *const paths[] = { "a.json", "b.json", "c.json", "d.json" };
	struct policy_source sources[4] = { 0 };
	char *copies[4] = { 0 };
	int r;

	ck_assert(n <= 4);
	for (size_t i = 0; i < n; i++) {
		copies[i] = test_quotes(texts[i]);
		sources[i] = (struct policy_source){ paths[i], copies[i], strlen(copies[i]) };
	}
	r = policy_new(sources, n, &test_env, errors, policy);
	for (size_t i = 0; i < n; i++)
		free(copies[i]);
	return r;
}

static inline struct policy *test_policies(const char *const *texts, size_t n)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;
	int r = test_new(texts, n, &errors, &policy);

	ck_assert_msg(r == 0, "%s", errors.count ? errors.lines[0] : strerror(-r));
	ck_assert_uint_eq(errors.count, 0);
	return policy;
}

static inline struct policy *test_policy(const char *text)
{
	return test_policies(&text, 1);
}

/* All mistakes of the texts, a line each. */
static inline char *test_mistakes(const char *const *texts, size_t n)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;
	char *all = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&all, &size);
	int r = test_new(texts, n, &errors, &policy);

	ck_assert_ptr_nonnull(to);
	ck_assert_msg(r == -EINVAL, "%s: %d", texts[0], r);
	ck_assert_ptr_null(policy);
	ck_assert_uint_gt(errors.count, 0);
	for (size_t i = 0; i < errors.count; i++)
		fprintf(to, "%s\n", errors.lines[i]);
	fclose(to);
	policy_errors_done(&errors);
	ck_assert_uint_eq(errors.count, 0);
	return all;
}

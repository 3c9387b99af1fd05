/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Holds the parser to a corpus of documents that the JSON schema is held to as well, the keys of
 * the one to those of the other, and the shipped policies to the parser.
 */
#include <dirent.h>

#include "test-policy.h"

#define CORPUS TEST_POLICY_ROOT "/tests/unit/policy-corpus"

static char *read_file(const char *path, size_t *ret_size)
{
	FILE *from = fopen(path, "re");
	char *text = malloc(POLICY_FILE_MAX);

	ck_assert_msg(from && text, "%s: %s", path, strerror(errno));
	*ret_size = fread(text, 1, POLICY_FILE_MAX, from);
	fclose(from);
	return text;
}

/* Returns as policy_new(); the first mistake in line. */
static int parse_file(const char *path, struct policy **ret_policy, char line[static 256])
{
	struct policy_errors errors = { 0 };
	struct policy_source source = { .path = path };
	char *text = read_file(path, &source.size);
	int r;

	source.text = text;
	r = policy_new(&source, 1, &test_env, &errors, ret_policy);
	copy_string(line, 256, errors.count ? errors.lines[0] : "");
	policy_errors_done(&errors);
	free(text);
	return r;
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

START_TEST(corpus)
{
	DIR *dir = opendir(CORPUS);
	struct dirent *entry;
	int good = 0, bad = 0;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir))) {
		struct policy *policy = NULL;
		char path[512], line[256];
		int r;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", CORPUS, entry->d_name);
		r = parse_file(path, &policy, line);
		if (begins(entry->d_name, "valid-")) {
			ck_assert_msg(r == 0, "%s", line);
			good++;
		} else {
			ck_assert_msg(begins(entry->d_name, "invalid-") ||
					      begins(entry->d_name, "parser-only-"),
				"%s", entry->d_name);
			ck_assert_msg(r == -EINVAL, "%s was accepted", entry->d_name);
			/* each names its file and where in it */
			ck_assert_msg(begins(line, path), "%s", line);
			bad++;
		}
		policy_unref(policy);
	}
	closedir(dir);
	ck_assert_int_gt(good, 25);
	ck_assert_int_gt(bad, 75);
}
END_TEST

START_TEST(schema_keys)
{
	struct json_object *schema =
		json_object_from_file(TEST_POLICY_ROOT "/policy/ccbuf-policy.schema.json");
	struct json_object *definitions, *definition, *properties;

	ck_assert_msg(schema != NULL, "%s", json_util_get_last_err());
	ck_assert(json_object_object_get_ex(schema, "$defs", &definitions));
	for (size_t i = 0; i < POLICY_OBJECTS; i++) {
		const struct policy_keys *keys = &policy_keys[i];
		size_t n = 0;

		ck_assert_msg(json_object_object_get_ex(definitions, keys->name, &definition),
			"the schema does not define %s", keys->name);
		ck_assert(json_object_object_get_ex(definition, "properties", &properties));
		for (; keys->keys[n]; n++)
			ck_assert_msg(json_object_object_get_ex(properties, keys->keys[n], NULL),
				"%s: the schema lacks the key %s", keys->name, keys->keys[n]);
		ck_assert_msg((size_t)json_object_object_length(properties) == n,
			"%s: the schema has a key that the parser does not know", keys->name);
	}
	json_object_put(schema);
}
END_TEST

START_TEST(shipped)
{
	static const char *const paths[] = {
		TEST_POLICY_ROOT "/policy/00-default.json",
		TEST_POLICY_ROOT "/policy/examples/rdma-service.json",
		TEST_POLICY_ROOT "/policy/examples/video-pipeline.json",
	};
	struct request request = { .use = "rdma", .size = 4096, .count = 1, .accept_shared = true };
	char unit[] = "mpi@1.service", camera[] = "camera.service", slice[] = "video.slice";
	struct identity peer = { .unit = unit, .strong = true };
	struct policy *policy = NULL;
	struct decision decision;
	char line[256];

	ck_assert_msg(parse_file(paths[0], &policy, line) == 0, "%s", line);
	policy_decide(policy, &peer, &request, &decision);
	ck_assert_verdict(decision.verdict, CCBUF_UNKNOWN_USE);
	ck_assert_uint_eq(policy->n_rules, 0);
	policy = policy_unref(policy);

	ck_assert_msg(parse_file(paths[1], &policy, line) == 0, "%s", line);
	test_resolve(NULL, "hpc", &peer.uid);
	policy_decide(policy, &peer, &request, &decision);
	ck_assert_verdict(decision.verdict, CCBUF_GRANTED);
	peer.container = true;
	policy_decide(policy, &peer, &request, &decision);
	ck_assert_verdict(decision.verdict, CCBUF_DENIED);
	policy = policy_unref(policy);

	ck_assert_msg(parse_file(paths[2], &policy, line) == 0, "%s", line);
	peer = (struct identity){ .unit = camera, .slice = slice };
	test_resolve(NULL, "camera", &peer.uid);
	copy_string(request.use, sizeof(request.use), "capture");
	policy_decide(policy, &peer, &request, &decision);
	ck_assert_verdict(decision.verdict, CCBUF_GRANTED);
	peer.uid = 0;
	policy_decide(policy, &peer, &request, &decision);
	ck_assert_verdict(decision.verdict, CCBUF_DENIED);
	ck_assert_str_eq(decision.rule->name, "camera-only");
	policy_unref(policy);
}
END_TEST

int main(int argc, char *argv[])
{
	const struct test tests[] = {
		{ corpus },
		{ schema_keys },
		{ shipped },
		{ NULL },
	};

	return run_tests(argc, argv, "policy-corpus", NULL, tests);
}

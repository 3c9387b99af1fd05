/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the parts of ccbuf-client that need no daemon: escaping, records in words, the policy
 * files, what doctor thinks of heap nodes.
 */
#include <check.h>
#include <stdio.h>
#include <sys/stat.h>

#include "findings.h"
#include "holding.h"
#include "output.h"
#include "policy-files.h"
#include "record-text.h"

static const struct {
	const char *from, *text, *json;
} escapes[] = {
	{ "plain", "plain", "plain" },
	{ "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7",
		"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7" },
	{ "\x1b[2J\a", "\\x1b[2J\\x07", "\\u001b[2J\\u0007" },
	{ "a\nb", "a\\x0ab", "a\nb" },
	{ "\x7f\xc2\x9b", "\\x7f\\x9b", "\\u007f\\u009b" },
	{ "\xe2\x80\xae", "\\u202e", "\\u202e" },
	{ "\xff\xc3", "\\xff\\xc3", "\\ufffd\\ufffd" },
	{ "\xc0\xaf\xed\xa0\x80", "\\xc0\\xaf\\xed\\xa0\\x80",
		"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd" },
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\\ufffd\\ufffd\\ufffd\\ufffd" },
};

START_TEST(escaping)
{
	const char *from = escapes[_i].from;
	cleanup(cleanup_free) char *text = escape(from, strlen(from), ESCAPE_TEXT);
	cleanup(cleanup_free) char *json = escape(from, strlen(from), ESCAPE_JSON);
	cleanup(cleanup_free) char *nul = escape("a\0b", 3, ESCAPE_TEXT);

	ck_assert_str_eq(text, escapes[_i].text);
	ck_assert_str_eq(json, escapes[_i].json);
	ck_assert_str_eq(nul, "a\\x00b");
}
END_TEST

START_TEST(names_of_fds)
{
	char longest[400];
	char *name = listen_fds_name("a:b c");

	ck_assert_str_eq(name, "a_b c");
	free(name);
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	name = listen_fds_name(longest);
	ck_assert_uint_eq(strlen(name), 255);
	free(name);
}
END_TEST

static void expect_record(const char *json, const char *expected)
{
	cleanup(cleanup_json) struct json_object *record = json_tokener_parse(json);
	cleanup(cleanup_free) char *text = record_text(record);

	ck_assert_str_eq(text, expected);
}

START_TEST(records)
{
	expect_record("{\"seq\":7,\"time\":\"T\",\"event\":\"grant\",\"peer\":{\"uid\":4294967294,"
		      "\"pid\":12,\"unit\":\"x.service\",\"identity\":\"weak\"},\"use\":\"rdma\","
		      "\"label\":\"ring\",\"heap\":\"system_cc_shared\",\"exposure\":\"shared\","
		      "\"size\":65536,\"count\":2,\"buffers\":[{\"grant\":3},{\"grant\":4}],"
		      "\"transport\":\"socket\",\"verdict\":\"granted\",\"rule\":\"mpi\"}",
		"T      7 grant        uid 4294967294 pid 12 x.service (weak identity)  2 x 64K "
		"for "
		"rdma (ring) on system_cc_shared, shared, over socket  grants 3 4  rule mpi");
	expect_record("{\"seq\":8,\"time\":\"T\",\"event\":\"deny\",\"verdict\":\"denied\","
		      "\"reason\":\"a\\nb\",\"repeated\":5}",
		"T      8 deny         denied  a; b  (5 times)");
	/* What is of another type than it should be is shown as it can be. */
	expect_record("{\"seq\":[],\"event\":{},\"peer\":3,\"buffers\":\"x\",\"size\":\"y\"}",
		"    [ ] { }          uid unknown  0");
}
END_TEST

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "we");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
	ck_assert_int_eq(chmod(path, mode), 0);
}

struct lost {
	char text[512];
};

static void note_lost(void *userdata, const char *rule, const char *exe, const char *real)
{
	struct lost *lost = userdata;
	size_t length = strlen(lost->text);

	snprintf(lost->text + length, sizeof(lost->text) - length, "%s:%s:%s;", rule, exe,
		real ? real : "-");
}

START_TEST(lost_programs)
{
	char folder[] = "/tmp/test-client-XXXXXX", policy[64], program[64], link[64], text[1024];
	const char *const paths[] = { policy };
	cleanup(cleanup_json) struct json_object *shown = NULL;
	struct policy_errors errors = { 0 };
	struct lost lost = { "" };

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(policy, sizeof(policy), "%s/p.json", folder);
	snprintf(program, sizeof(program), "%s/program", folder);
	snprintf(link, sizeof(link), "%s/link", folder);
	write_file(program, "", 0755);
	ck_assert_int_eq(symlink(program, link), 0);
	snprintf(text, sizeof(text),
		"{\"version\":1,\"uses\":{\"s\":{\"heap\":\"emulated\"}},\"rules\":["
		"{\"name\":\"a\",\"match\":{\"exe\":[\"%s\",\"%s\",\"/usr/lib/x/*\"],"
		"\"not\":{\"exe\":\"/nonexistent/program\"}},\"allow\":{\"use\":[\"s\"]}}]}",
		program, link);
	write_file(policy, text, 0644);
	ck_assert_int_eq(policy_files_show(paths, 1, &errors, &shown), 0);
	policy_files_each_lost_exe(shown, note_lost, &lost);
	snprintf(text, sizeof(text), "a:%s:%s;a:/nonexistent/program:-;", link, program);
	ck_assert_str_eq(lost.text, text);
	write_file(policy, "{\"version\":1,\"rles\":[],\"uses\":7}", 0644);
	ck_assert_int_eq(policy_files_show(paths, 1, &errors, &shown), -EINVAL);
	ck_assert_uint_eq(errors.count, 2);
	policy_errors_done(&errors);
	unlink(policy);
	unlink(link);
	unlink(program);
	rmdir(folder);
}
END_TEST

static char heaps[] = "/tmp/test-client-heaps-XXXXXX";

static void put_heap(const char *name, mode_t mode)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", heaps, name);
	write_file(path, "", mode);
}

static const char *status_of(struct findings *findings, const char *beginning)
{
	for (size_t i = 0; i < json_object_array_length(findings->list); i++) {
		struct json_object *finding = json_object_array_get_idx(findings->list, i);

		if (strncmp(member_text(finding, "text"), beginning, strlen(beginning)) == 0)
			return member_text(finding, "status");
	}
	return "none";
}

START_TEST(heap_nodes)
{
	static const char *const names[] = { "system", "system_cc_shared", "protected,video",
		"mystery", "declared" };
	char policy[128], path[128], *const paths[] = { policy };
	struct places places = { .heaps = heaps, .policy = paths, .n_policy = 1 };
	struct findings findings = { .list = json_object_new_array() };

	ck_assert_ptr_nonnull(mkdtemp(heaps));
	snprintf(policy, sizeof(policy), "%s/.policy.json", heaps);
	write_file(policy, "{\"version\":1,\"heaps\":{\"declared\":{\"exposure\":\"private\"}}}",
		0644);
	put_heap("system", 0444);
	put_heap("system_cc_shared", 0600);
	put_heap("protected,video", 0666);
	put_heap("mystery", 0600);
	put_heap("declared", 0600);
	examine_heaps(&findings, &places);
	ck_assert_str_eq(
		status_of(&findings, "system is private: the host sees ciphertext at most: "
				     "everybody can open it past the broker (mode 0444"),
		"problem");
	/* Nodes belong to root; here they belong to who runs the test. */
	if (geteuid() == 0) {
		ck_assert_uint_eq(findings.problems, 2);
		ck_assert_str_eq(status_of(&findings, "declared is private"), "warning");
	} else {
		ck_assert_uint_eq(findings.problems, 5);
		ck_assert_str_eq(status_of(&findings, "declared is private"), "problem");
	}
	if (geteuid() == 0)
		ck_assert_str_eq(
			status_of(&findings, "system_cc_shared is shared: the host reads and "
					     "writes its memory: ccbufd as its own user cannot"),
			"warning");
	ck_assert_str_eq(status_of(&findings, "protected,video is protected: not even the guest's "
					      "CPU reads it: everybody"),
		"problem");
	ck_assert_str_eq(status_of(&findings, "mystery: nobody has said"), "warning");
	ck_assert_str_eq(status_of(&findings, "declared: nobody"), "none");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", heaps, names[i]);
		unlink(path);
	}
	unlink(policy);
	rmdir(heaps);
	json_object_put(findings.list);
}
END_TEST

START_TEST(no_heaps)
{
	struct places places = { .heaps = "/nonexistent" };
	struct findings findings = { .list = json_object_new_array() };

	examine_heaps(&findings, &places);
	ck_assert_str_eq(status_of(&findings, "there are no heaps in /nonexistent"), "warning");
	json_object_put(findings.list);
}
END_TEST

START_TEST(guest_and_kernel)
{
	struct findings findings = { .list = json_object_new_array() };

	examine_platform(&findings);
	examine_kernel(&findings);
	ck_assert_uint_eq(json_object_array_length(findings.list), 4);
	json_object_put(findings.list);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client-parts");
	TCase *tcase = tcase_create("client-parts");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, escaping, 0, ARRAY_SIZE(escapes));
	tcase_add_test(tcase, names_of_fds);
	tcase_add_test(tcase, records);
	tcase_add_test(tcase, lost_programs);
	tcase_add_test(tcase, heap_nodes);
	tcase_add_test(tcase, no_heaps);
	tcase_add_test(tcase, guest_and_kernel);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

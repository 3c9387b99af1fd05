/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the parts of ccbuf-client that need no daemon: escaping, records in words, the policy
 * files, what doctor thinks of heap nodes.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "findings.h"
#include "holding.h"
#include "hostile-checks.h"
#include "output.h"
#include "policy-files.h"
#include "record-text.h"
#include "runner.h"

static char printed[65536];

/* What a function prints to stdout and stderr. */
static const char *print(void (*function)(const char *text), const char *text)
{
	int file = memfd_create("printed", MFD_CLOEXEC), saved[2] = { dup(1), dup(2) };
	ssize_t n;

	fflush(NULL);
	dup2(file, 1);
	dup2(file, 2);
	function(text);
	fflush(NULL);
	for (int i = 0; i < 2; i++) {
		dup2(saved[i], i + 1);
		close(saved[i]);
	}
	n = pread(file, printed, sizeof(printed) - 1, 0);
	ck_assert_int_ge(n, 0);
	close(file);
	printed[n] = 0;
	return printed;
}

/* The one line that it is, without its beginning and its end. */
static char *line_of(const char *text, const char *beginning, const char *end)
{
	size_t length = strlen(text), before = strlen(beginning), after = strlen(end);

	ck_assert_msg(strchr(text, '\n') == text + length - 1, "%s", text);
	ck_assert_msg(!strncmp(text, beginning, before), "%s", text);
	ck_assert_uint_ge(length, before + after + 1);
	ck_assert_msg(!strncmp(text + length - 1 - after, end, after), "%s", text);
	return strndup(text + before, length - before - after - 1);
}

static void say_name(const char *text)
{
	say("<%s>", shown_name(text));
}

static void say_words(const char *text)
{
	say("<%s>", text);
}

static void complain_name(const char *text)
{
	complain("<%s>", shown_name(text));
}

static void say_object(const char *text)
{
	cleanup(cleanup_json) struct json_object *object = json_object_new_object();

	json_object_object_add(object, "name", json_name(text));
	json_object_object_add(object, "as-it-is", json_object_new_string(text));
	say_json(object, false);
}

static void say_object_indented(const char *text)
{
	cleanup(cleanup_json) struct json_object *object = json_object_new_object();

	json_object_object_add(object, "name", json_name(text));
	say_json(object, true);
}

static void refuse(const char *text)
{
	say_refusal(3, text, text, true);
}

/* A name goes through all that prints: it can be seen, and is not lost. */
START_TEST(any_name)
{
	const char *name = hostile[_i].text;
	cleanup(cleanup_free) char *said = line_of(print(say_name, name), "<", ">");
	cleanup(cleanup_free) char *complained =
		line_of(print(complain_name, name), "ccbuf-client: <", ">");
	cleanup(cleanup_free) char *words = line_of(print(say_words, name), "<", ">");
	cleanup(cleanup_free) char *back = read_back(said);
	cleanup(cleanup_free) char *text = NULL, *value = NULL;
	struct json_object *object, *member;
	char *end;

	ck_assert_msg(is_safe(said), "%s", said);
	ck_assert_msg(is_safe(words), "%s", words);
	ck_assert_str_eq(complained, said);
	ck_assert_str_eq(back, name);

	text = line_of(print(say_object, name), "", "");
	ck_assert_msg(is_safe(text), "%s", text);
	object = json_tokener_parse(text);
	ck_assert_msg(json_object_object_get_ex(object, "name", &member), "%s", text);
	value = read_back(json_object_get_string(member));
	ck_assert_str_eq(value, name);
	json_object_put(object);

	print(say_object_indented, name);
	for (char *line = printed, *save; (line = strtok_r(line, "\n", &save)); line = NULL)
		ck_assert_msg(is_safe(line), "%s", line);
	ck_assert_msg(is_utf8(print(refuse, name)), "%s", printed);
	end = strchr(printed, '\n');
	ck_assert_ptr_nonnull(end);
	*end = 0;
	object = json_tokener_parse(printed);
	ck_assert_msg(object, "%s", printed);
	json_object_put(object);
}
END_TEST

/* What the daemon escaped is not escaped again. */
START_TEST(escaped_once)
{
	cleanup(cleanup_free) char *text = line_of(print(say_words, "\\xff\\x5cxff"), "<", ">");
	cleanup(cleanup_free) char *name = line_of(print(say_name, "\\xff\xff"), "<", ">");

	ck_assert_str_eq(text, "\\xff\\x5cxff");
	ck_assert_str_eq(name, "\\x5cxff\\xff");
}
END_TEST

static void add_row(struct json_object *rows, const char *one, const char *other)
{
	struct json_object *row = json_object_new_array();

	json_object_array_add(row, json_object_new_string(one));
	json_object_array_add(row, json_object_new_string(other));
	json_object_array_add(rows, row);
}

static void say_rows(const char *text)
{
	cleanup(cleanup_json) struct json_object *rows = json_object_new_array();

	add_row(rows, "NAME", "NEXT");
	add_row(rows, text, "|");
	add_row(rows, "plain", "|");
	say_table(rows);
}

/* Each row is a line, and the second column stands in the same place in all of them. */
START_TEST(tables)
{
	static const struct {
		const char *text;
		int columns;
	} widths[] = { { "plain", 5 }, { "caf\xc3\xa9!!", 6 }, { "cafe\xcc\x81!!", 6 },
		{ "\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2", 6 }, { "\xff\xff", 8 },
		{ "\xe2\x80\x8b\n", 10 } };
	char expected[64];

	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		int lines = 0;

		print(say_rows, hostile[i].text);
		for (char *line = printed, *save; (line = strtok_r(line, "\n", &save));
			line = NULL, lines++)
			ck_assert_msg(is_safe(line), "%s", line);
		ck_assert_int_eq(lines, 3);
	}
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		snprintf(
			expected, sizeof(expected), "\nplain%*s|\n", widths[i].columns - 5 + 2, "");
		ck_assert_msg(strstr(print(say_rows, widths[i].text), expected), "%s", printed);
	}
}
END_TEST

/* The names in a record, as they come out of it. */
START_TEST(names_in_records)
{
	const char *name = hostile[_i].text;
	cleanup(cleanup_free) char *json = text_new(name, TEXT_NAME | TEXT_JSON_STRING);
	cleanup(cleanup_free) char *line = NULL, *text = NULL, *shown = NULL, *wanted = NULL;
	cleanup(cleanup_json) struct json_object *record = NULL;

	ck_assert_int_ge(asprintf(&line,
				 "{\"seq\":1,\"time\":\"T\",\"event\":\"grant\",\"peer\":{\"uid\":"
				 "4294967294,\"exe\":\"%s\"},\"reason\":\"%s\"}",
				 json, json),
		0);
	record = json_tokener_parse(line);
	ck_assert_msg(record, "%s", line);
	text = record_text(record);
	shown = line_of(print(say_words, text), "<", ">");
	ck_assert_msg(is_safe(shown), "%s", shown);
	wanted = text_new(name, TEXT_NAME | TEXT_VISIBLE);
	ck_assert_msg(strstr(shown, wanted), "%s", shown);
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

static struct daemon_user caller = { .as_caller = true, .words = "you" };

static bool is_said(struct json_object *object, const char *list, const char *text)
{
	struct json_object *lines = json_object_object_get(object, list);

	for (size_t i = 0; i < json_object_array_length(lines); i++)
		if (strstr(json_object_get_string(json_object_array_get_idx(lines, i)), text))
			return true;
	return false;
}

START_TEST(lost_programs)
{
	char folder[] = "/tmp/test-client-XXXXXX", policy[64], program[64], link[64], text[1024];
	const char *const paths[] = { policy, NULL };
	struct json_object *object;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(policy, sizeof(policy), "%s/p.json", folder);
	snprintf(program, sizeof(program), "%s/program", folder);
	snprintf(link, sizeof(link), "%s/link", folder);
	write_file(program, "", 0755);
	ck_assert_int_eq(symlink(program, link), 0);
	snprintf(text, sizeof(text),
		"{\"version\":1,\"uses\":{\"s\":{\"heap\":\"emulated\"}},\"rules\":["
		"{\"name\":\"a\",\"match\":{\"exe\":[\"%s\",\"%s\",\"/usr/lib/x/*\"],"
		"\"not\":{\"exe\":[\"/nonexistent/program\",\"/usr\",\"/etc/"
		"passwd\"]}},\"allow\":{\"use\":[\"s\"]}}]}",
		program, link);
	write_file(policy, text, 0644);
	object = policy_files_examine(paths, 1, &caller);
	ck_assert_uint_eq(json_object_array_length(json_object_object_get(object, "mistakes")), 0);
	/* no advice to write what other programs may be as well */
	snprintf(text, sizeof(text),
		"rule \"a\": exe %s is reached by a symbolic link: the rule matches nobody, as the "
		"program is known as %s, whatever name it was started by",
		link, program);
	ck_assert_msg(is_said(object, "warnings", text), "%s", json_object_get_string(object));
	ck_assert(is_said(object, "warnings", "exe /nonexistent/program does not exist here"));
	ck_assert(is_said(object, "warnings", "exe /usr is no file: the rule matches nobody"));
	ck_assert(is_said(object, "warnings", "exe /etc/passwd is not executable"));
	snprintf(text, sizeof(text), "exe %s does", program);
	ck_assert(!is_said(object, "warnings", text));
	ck_assert(!is_said(object, "warnings", "/usr/lib/x"));
	json_object_put(object);
	write_file(policy, "{\"version\":1,\"rles\":[],\"uses\":7}", 0644);
	object = policy_files_examine(paths, 1, &caller);
	ck_assert_uint_eq(json_object_array_length(json_object_object_get(object, "mistakes")), 2);
	ck_assert_ptr_null(json_object_object_get(object, "shown"));
	json_object_put(object);
	unlink(policy);
	unlink(link);
	unlink(program);
	rmdir(folder);
}
END_TEST

static struct json_object *whoami(void *userdata)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "uid", json_object_new_int64(geteuid()));
	json_object_object_add(object, "groups", json_object_new_int64(getgroups(0, NULL)));
	/* root may, whatever the mode */
	json_object_object_add(object, "may", json_object_new_boolean(access(userdata, R_OK) == 0));
	return object;
}

static struct json_object *hang(void *userdata)
{
	(void)userdata;
	raise(SIGKILL);
	return NULL;
}

/* What is examined for another user is examined as that user, and without root's rights. */
START_TEST(rights_of_the_daemon)
{
	char path[] = "/tmp/test-client-XXXXXX";
	struct daemon_user user = { .uid = 65534, .gid = 65534, .groups = { 7 }, .n_groups = 1 };
	struct json_object *object;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	if (geteuid() == 0) {
		object = daemon_user_run(&user, whoami, path);
		ck_assert_uint_eq(member_number(object, "uid"), 65534);
		ck_assert_uint_eq(member_number(object, "groups"), 1);
		ck_assert(!member_true(object, "may"));
		json_object_put(object);
		ck_assert_int_eq(daemon_user_access(&user, path, R_OK), -EACCES);
		ck_assert_int_eq(chown(path, 0, 7), 0);
		ck_assert_int_eq(chmod(path, 0440), 0);
		ck_assert_int_eq(daemon_user_access(&user, path, R_OK), 0);
		ck_assert_int_eq(daemon_user_access(&user, path, W_OK), -EACCES);
		/* root, but without capabilities */
		user = (struct daemon_user){ .words = "user root" };
		ck_assert_int_eq(chown(path, 7, 7), 0);
		ck_assert_int_eq(daemon_user_access(&user, path, R_OK), -EACCES);
	}
	user = (struct daemon_user){ .uid = geteuid(), .gid = getegid(), .words = "us" };
	ck_assert_ptr_null(daemon_user_run(&user, hang, NULL));
	object = daemon_user_run(&caller, whoami, path);
	ck_assert_uint_eq(member_number(object, "uid"), geteuid());
	json_object_put(object);
	ck_assert_int_eq(daemon_user_access(&caller, "/nonexistent", R_OK), 0);
	daemon_user_find(&user);
	ck_assert_int_eq(user.as_caller, geteuid() != 0 && geteuid() != user.uid);
	ck_assert_uint_gt(strlen(user.words), 0);
	unlink(path);
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

static const char *platform = "tdx";

const char *__wrap_platform_name(void);
const char *__wrap_platform_name(void)
{
	return platform;
}

/* What the host can do depends on the machine, not on the heap alone. */
START_TEST(heaps_of_an_ordinary_machine)
{
	static const struct {
		const char *name, *words;
	} said[] = {
		{ "system",
			"system is private in a confidential guest, which this is not: the host "
			"can read all its memory" },
		{ "system_cc_shared", "system_cc_shared is shared: the host reads and writes" },
		{ "protected,video", "protected,video is protected: not even the guest's CPU reads "
				     "it; the host may" },
	};
	struct places places = { .heaps = heaps };
	struct findings findings = { .list = json_object_new_array() };
	char path[128];

	platform = "none";
	ck_assert_ptr_nonnull(mkdtemp(heaps));
	for (size_t i = 0; i < ARRAY_SIZE(said); i++)
		put_heap(said[i].name, 0600);
	examine_heaps(&findings, &places);
	for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
		ck_assert_str_ne(status_of(&findings, said[i].words), "none");
		snprintf(path, sizeof(path), "%s/%s", heaps, said[i].name);
		unlink(path);
	}
	ck_assert_ptr_null(strstr(json_object_to_json_string(findings.list), "ciphertext"));
	rmdir(heaps);
	json_object_put(findings.list);
}
END_TEST

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
				     "everybody can open it without the broker (mode 0444"),
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

int main(int argc, char *argv[])
{
	const struct test tests[] = {
		{ any_name, .times = ARRAY_SIZE(hostile) },
		{ escaped_once },
		{ tables },
		{ names_in_records, .times = ARRAY_SIZE(hostile) },
		{ names_of_fds },
		{ records },
		{ lost_programs },
		{ rights_of_the_daemon },
		{ heaps_of_an_ordinary_machine },
		{ heap_nodes },
		{ no_heaps },
		{ guest_and_kernel },
		{ NULL },
	};

	return run_tests(argc, argv, "client-parts", NULL, tests);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of what the journal is told, and of a journal that does not listen.
 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "test-audit.h"

#include <pthread.h>
#include <sched.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

#include "audit/format.h"
#include "audit/journal.h"
#include "hostile-checks.h"
#include "record-text.h"

/* The messages sent, each with its fields one a line (newlines in values as '|'). */
static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	char text[64][200000];
	size_t n, total;
	bool hang;
} sent = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

/* In place of libsystemd's. */
int sd_journal_sendv(const struct iovec *iov, int n)
{
	pthread_mutex_lock(&sent.mutex);
	while (sent.hang)
		pthread_cond_wait(&sent.changed, &sent.mutex);
	if (sent.n < ARRAY_SIZE(sent.text)) {
		char *at = sent.text[sent.n++];

		for (int i = 0; i < n; i++) {
			const char *from = iov[i].iov_base;

			ck_assert_uint_lt(iov[i].iov_len, 20000);
			for (size_t k = 0; k < iov[i].iov_len; k++)
				*at++ = from[k] == '\n' ? '|' : from[k];
			*at++ = '\n';
		}
		*at = 0;
	}
	sent.total++;
	pthread_cond_broadcast(&sent.changed);
	pthread_mutex_unlock(&sent.mutex);
	return 0;
}

static bool disk_fails;

int fdatasync(int fd)
{
	(void)fd;
	errno = ENOSPC;
	return disk_fails ? -1 : 0;
}

static void hang(bool yes)
{
	pthread_mutex_lock(&sent.mutex);
	sent.hang = yes;
	pthread_cond_broadcast(&sent.changed);
	pthread_mutex_unlock(&sent.mutex);
}

static void push(struct audit_journal *journal, const struct audit_event *event, uint64_t sequence)
{
	struct audit_fields fields;
	struct audit_copy *copy;

	audit_fields_of(event, &fields);
	copy = audit_copy_new(&fields);
	ck_assert_ptr_nonnull(copy);
	copy->sequence = sequence;
	memset(copy->hash, 0xab, sizeof(copy->hash));
	audit_journal_push(journal, event->peer ? &event->peer->uid : NULL, copy);
}

/* The text of the message that one event gives. */
static const char *message_of(const struct audit_event *event, uint64_t sequence)
{
	struct audit_journal *journal;

	sent.n = sent.total = 0;
	ck_assert_int_eq(audit_journal_new(&journal), 0);
	push(journal, event, sequence);
	audit_journal_free(journal);
	ck_assert_uint_eq(sent.n, 1);
	return sent.text[0];
}

static void check_field(const char *text, const char *line)
{
	char with_ends[1024];

	snprintf(with_ends, sizeof(with_ends), "\n%s\n", line);
	ck_assert_msg(
		strstr(text, with_ends) || strncmp(text, with_ends + 1, strlen(with_ends) - 1) == 0,
		"%s is not in:\n%s", line, text);
}

/* A line in audit-fields.c is all that a new field takes. */
START_TEST(new_field)
{
	static char body[AUDIT_FORMAT_BODY_MAX + 2];
	struct audit_event event = { .kind = AUDIT_ERROR, .reason = "why" };
	struct json_object *record;
	struct audit_journal *journal;
	struct audit_format format;
	struct audit_fields fields;
	struct audit_copy *copy;
	char *text;

	audit_fields_of(&event, &fields);
	fields.all[fields.n++] = (struct audit_field){
		.type = AUDIT_NAME, .journal = true, .key = "seen-by", .at = "an \xff\033[m eye"
	};
	ck_assert_int_eq(audit_format_init(&format), 0);
	body[0] = '{';
	body[1 + audit_format_body(&format, &fields, 0, 0, body + 1)] = 0;
	record = json_tokener_parse(body);
	ck_assert_ptr_nonnull(record);
	ck_assert_str_eq(json_object_get_string(json_object_object_get(record, "seen-by")),
		"an \\xff\033[m eye");
	text = record_text(record);
	ck_assert_ptr_nonnull(strstr(text, "  why  seen-by an \\xff\033[m eye"));
	free(text);
	json_object_put(record);

	sent.n = sent.total = 0;
	ck_assert_int_eq(audit_journal_new(&journal), 0);
	copy = audit_copy_new(&fields);
	ck_assert_ptr_nonnull(copy);
	audit_journal_push(journal, NULL, copy);
	audit_journal_free(journal);
	check_field(sent.text[0], "CCBUF_SEEN_BY=an \\xff\\x1b[m eye");
}
END_TEST

START_TEST(grant)
{
	struct audit_event event = sample_grant();
	const char *text = message_of(&event, 12);

	check_field(text, "MESSAGE=Granted 1 buffer of 64K of heap system_cc_shared (shared) to "
			  "user 1000, process 4711 (mpi@3.service) for use rdma by rule mpi");
	check_field(text, "PRIORITY=6");
	check_field(text, "MESSAGE_ID=" AUDIT_JOURNAL_GRANT);
	check_field(text, "CCBUF_EVENT=grant");
	check_field(text, "CCBUF_SEQ=12");
	check_field(text, "CCBUF_HASH="
			  "abababababababababababababababababababababababababababababababab");
	check_field(text, "CCBUF_UID=1000");
	check_field(text, "CCBUF_PID=4711");
	check_field(text, "CCBUF_EXE=/usr/bin/ib_write_bw");
	check_field(text, "CCBUF_UNIT=mpi@3.service");
	check_field(text, "CCBUF_USE=rdma");
	check_field(text, "CCBUF_LABEL=ring 1");
	check_field(text, "CCBUF_TRANSPORT=socket");
	check_field(text, "CCBUF_HEAP=system_cc_shared");
	check_field(text, "CCBUF_EXPOSURE=shared");
	check_field(text, "CCBUF_SIZE=65536");
	check_field(text, "CCBUF_COUNT=1");
	check_field(text, "CCBUF_GRANT=17");
	check_field(text, "CCBUF_INODE=4242");
	check_field(text, "CCBUF_RULE=mpi");
	check_field(text, "CCBUF_VERDICT=granted");
	check_field(text, "CCBUF_POLICY=0123456789abcdef0123456789abcdef0123456789abcdef0123456789"
			  "abcdef");
}
END_TEST

/* At the start there is no policy that could stay in force. */
START_TEST(first_policy_refused)
{
	struct audit_event event = {
		.kind = AUDIT_POLICY, .verdict = CCBUF_MALFORMED, .reason = "why"
	};

	check_field(message_of(&event, 2),
		"MESSAGE=Policy refused, and there is none from before: why");
}
END_TEST

START_TEST(each_kind)
{
	struct identity peer = { .uid = 5, .pid = 6 }, user = { .uid = 7 };
	static const struct {
		enum audit_kind kind;
		enum ccbuf_verdict verdict;
		int priority;
		const char *id, *words;
	} cases[] = {
		{ AUDIT_START, 0, LOG_INFO, AUDIT_JOURNAL_START, "ccbufd started: why" },
		{ AUDIT_STOP, 0, LOG_INFO, AUDIT_JOURNAL_STOP, "ccbufd stops: why" },
		{ AUDIT_POLICY, 0, LOG_NOTICE, AUDIT_JOURNAL_POLICY, "Policy loaded: why" },
		{ AUDIT_POLICY, CCBUF_MALFORMED, LOG_ERR, AUDIT_JOURNAL_POLICY,
			"Policy refused, the one before stays in force: why" },
		{ AUDIT_GRANT, 0, LOG_INFO, AUDIT_JOURNAL_GRANT,
			"Granted 1 buffer of 4K to user 5, process 6 for use u by rule ?: why" },
		{ AUDIT_DENY, CCBUF_DENIED, LOG_NOTICE, AUDIT_JOURNAL_DENY,
			"Refused a request of user 5, process 6 for use u: why" },
		{ AUDIT_UNDELIVERED, 0, LOG_WARNING, AUDIT_JOURNAL_UNDELIVERED,
			"Could not deliver 1 buffer of 4K to user 5, process 6, freed again: why" },
		{ AUDIT_RELEASE, 0, LOG_INFO, AUDIT_JOURNAL_RELEASE,
			"Released 1 buffer of 4K, granted to user 5, process 6: why" },
		{ AUDIT_ORPHAN, 0, LOG_WARNING, AUDIT_JOURNAL_ORPHAN,
			"Still held although its owner is gone: 1 buffer of 4K, granted to user 5, "
			"process 6: why" },
		{ AUDIT_REVOKE, CCBUF_NO_RULE, LOG_WARNING, AUDIT_JOURNAL_REVOKE,
			"Takes back 1 buffer of 4K, granted to user 5, process 6, for the policy: "
			"why" },
		{ AUDIT_LEAK, 0, LOG_CRIT, AUDIT_JOURNAL_LEAK,
			"4K of heap ? could not be made private again and are lost: why" },
		{ AUDIT_ERROR, CCBUF_INTERNAL, LOG_ERR, AUDIT_JOURNAL_ERROR,
			"ccbufd failed at something: why" },
		{ AUDIT_ERROR, CCBUF_AUDIT_FAILED, LOG_CRIT, AUDIT_JOURNAL_UNWRITTEN,
			"Audit trail cannot be written, nothing is handed out: why" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct audit_event event = {
			.kind = cases[i].kind,
			.verdict = cases[i].verdict,
			.peer = &peer,
			.use = "u",
			.size = 4096,
			.reason = "why",
			.policy = "abcdef",
		};
		char line[256];
		const char *text = message_of(&event, 0);

		snprintf(line, sizeof(line), "MESSAGE=%s", cases[i].words);
		check_field(text, line);
		snprintf(line, sizeof(line), "PRIORITY=%d", cases[i].priority);
		check_field(text, line);
		snprintf(line, sizeof(line), "MESSAGE_ID=%s", cases[i].id);
		check_field(text, line);
		snprintf(line, sizeof(line), "CCBUF_EVENT=%s", audit_kind_name(cases[i].kind));
		check_field(text, line);
		check_field(text, "CCBUF_REASON=why");
		ck_assert_ptr_null(strstr(text, "CCBUF_SEQ"));
	}
	check_field(message_of(&(struct audit_event){ .kind = AUDIT_DENY,
				       .peer = &user,
				       .verdict = CCBUF_DENIED,
				       .repeated = 9 },
			    0),
		"MESSAGE=Refused 9 more requests of user 7");
	check_field(message_of(&(struct audit_event){ .kind = AUDIT_REVOKE,
				       .peer = &peer,
				       .by = &(struct identity){ .uid = 8,
					       .pid = 9,
					       .unit = (char *)"a.service" },
				       .size = 4096 },
			    0),
		"MESSAGE=Takes back 1 buffer of 4K, granted to user 5, process 6, for user 8, "
		"process 9 (a.service)");
	check_field(message_of(&(struct audit_event){ .kind = AUDIT_REVOKE,
				       .by = &(struct identity){ .uid = 8, .pid = 9 } },
			    0),
		"CCBUF_BY_UID=8");
	check_field(message_of(&(struct audit_event){ .kind = AUDIT_DENY, .repeated = 9 }, 0),
		"CCBUF_REPEATED=9");
	check_field(
		message_of(
			&(struct audit_event){ .kind = AUDIT_DENY, .verdict = CCBUF_MALFORMED }, 0),
		"MESSAGE=Refused a request of an unknown peer for use ?");
}
END_TEST

START_TEST(long_fields)
{
	static char exe[4000];
	struct audit_buffer buffers[REQUEST_COUNT_MAX];
	struct audit_event event = sample_grant();
	struct identity peer = sample_peer;
	char reason[] = "\x1b[2J\nMESSAGE_ID=0\xc2\x9b%s\xff";
	const char *text;

	memset(exe, 'e', sizeof(exe) - 1);
	memset(buffers, 0xff, sizeof(buffers));
	peer.exe = exe;
	peer.unit = NULL;
	event.peer = &peer;
	event.rule = event.heap = event.policy = exe;
	event.reason = reason;
	event.buffers = buffers;
	event.n_buffers = REQUEST_COUNT_MAX;
	text = message_of(&event, UINT64_MAX);
	ck_assert_ptr_nonnull(strstr(text, ": \\x1b[2J; MESSAGE_ID=0\\u009b%s\\xff\n"));
	check_field(text, "CCBUF_REASON=\\x1b[2J|MESSAGE_ID=0\\u009b%s\\xff");
	check_field(text, "CCBUF_INODE=18446744073709551615");
	ck_assert_ptr_null(strstr(text, "\nMESSAGE_ID=0"));
	memset(exe, 0xff, sizeof(exe) - 1);
	text = message_of(&event, UINT64_MAX);
	ck_assert_ptr_nonnull(strstr(text, "\\xff..."));
}
END_TEST

static char *field_of(const char *text, const char *field)
{
	const char *at = strncmp(text, field, strlen(field)) ? strstr(text, field) : text;

	ck_assert_msg(at, "%s is not in:\n%s", field, text);
	at += strlen(field);
	return strndup(at, strcspn(at, "\n"));
}

/* No field obeys what a name says, and none loses it. */
START_TEST(names)
{
	static const char *const fields[] = {
		"\nCCBUF_EXE=", "\nCCBUF_UNIT=", "\nCCBUF_BY_EXE=", "\nCCBUF_BY_UNIT="
	};
	char *name = (char *)hostile[_i].text;
	struct identity peer = { .pid = 1, .uid = 2, .exe = name, .unit = name };
	struct audit_event event = { .kind = AUDIT_GRANT,
		.peer = &peer,
		.by = &peer,
		.use = "scratch",
		.heap = name,
		.rule = "r",
		.reason = name };
	const char *text = message_of(&event, 1);
	cleanup(cleanup_free) char *message = field_of(text, "MESSAGE=");
	cleanup(cleanup_free) char *reason = field_of(text, "\nCCBUF_REASON=");

	ck_assert_msg(is_safe(message), "%s", message);
	ck_assert_ptr_nonnull(strstr(message, " to user 2, process 1 ("));
	ck_assert_msg(is_safe(reason), "%s", reason);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		cleanup(cleanup_free) char *value = field_of(text, fields[i]);
		cleanup(cleanup_free) char *back = read_back(value);

		ck_assert_msg(is_safe(value), "%s", value);
		ck_assert_str_eq(back, name);
	}
}
END_TEST

START_TEST(slow_journald)
{
	struct audit_event event = sample_denial();
	struct audit_journal *journal;
	size_t n = AUDIT_JOURNAL_ENTRIES + 100, i;
	bool said = false;

	hang(true);
	ck_assert_int_eq(audit_journal_new(&journal), 0);
	for (i = 0; i < n; i++)
		push(journal, &event, i + 1); /* never blocks */
	audit_journal_push(journal, NULL, NULL);
	hang(false);
	audit_journal_free(journal);
	ck_assert_uint_eq(sent.total, AUDIT_JOURNAL_ENTRIES + 1);
	/* The count is in the last message. */
	sent.n = 0;
	hang(true);
	ck_assert_int_eq(audit_journal_new(&journal), 0);
	for (i = 0; i < 3; i++)
		audit_journal_push(journal, i ? &event.peer->uid : NULL, NULL);
	hang(false);
	audit_journal_free(journal);
	for (i = 0; i < sent.n; i++)
		said = said || strstr(sent.text[i], "CCBUF_DROPPED=3\n");
	ck_assert(said);
	check_field(sent.text[0], "MESSAGE_ID=" AUDIT_JOURNAL_DROPPED);
	check_field(sent.text[0], "PRIORITY=4");
	ck_assert_ptr_nonnull(strstr(sent.text[0], "(user 1000: 2, others: 1)\n"));
}
END_TEST

START_TEST(bounded_in_bytes)
{
	static char long_text[4000];
	struct audit_event event = sample_denial();
	struct audit_journal *journal;

	memset(long_text, 'x', sizeof(long_text) - 1);
	event.reason = event.heap = event.rule = event.policy = long_text;
	hang(true);
	ck_assert_int_eq(audit_journal_new(&journal), 0);
	for (size_t i = 0; i < AUDIT_JOURNAL_ENTRIES; i++)
		push(journal, &event, i + 1);
	hang(false);
	audit_journal_free(journal);
	ck_assert_uint_lt(sent.total, AUDIT_JOURNAL_BYTES / 16000 + 2);
	ck_assert_uint_gt(sent.total, 100);
}
END_TEST

static size_t task_count(void)
{
	DIR *tasks = opendir("/proc/self/task");
	size_t n = 0;

	while (readdir(tasks))
		n++;
	closedir(tasks);
	return n;
}

START_TEST(dead_journald)
{
	struct audit_event event = sample_denial();
	struct audit_journal *journal;
	struct timespec before, now;
	size_t tasks;

	/* With the threads that a sanitizer starts beside the first one. */
	ck_assert_int_eq(audit_journal_new(&journal), 0);
	audit_journal_free(journal);
	tasks = task_count();

	/* It takes the first message and never answers: the stop gives up on it. */
	hang(true);
	ck_assert_int_eq(audit_journal_new(&journal), 0);
	for (int i = 0; i < 10; i++)
		push(journal, &event, 1);
	clock_gettime(CLOCK_MONOTONIC, &before);
	ck_assert_ptr_null(audit_journal_free(journal));
	clock_gettime(CLOCK_MONOTONIC, &now);
	ck_assert_int_lt(now.tv_sec - before.tv_sec, 10);
	ck_assert_uint_eq(sent.total, 0);
	/* Should it answer after all, the thread sees that nobody waits and ends. */
	hang(false);
	pthread_mutex_lock(&sent.mutex);
	while (!sent.total)
		pthread_cond_wait(&sent.changed, &sent.mutex);
	pthread_mutex_unlock(&sent.mutex);
	while (task_count() > tasks)
		sched_yield();
	ck_assert_uint_eq(sent.total, 1);
}
END_TEST

START_TEST(wakes_for_later_ones)
{
	struct audit_event event = sample_denial();
	struct audit_journal *journal;

	ck_assert_int_eq(audit_journal_new(&journal), 0);
	for (size_t i = 1; i <= 5; i++) {
		push(journal, &event, i);
		pthread_mutex_lock(&sent.mutex);
		while (sent.total < i)
			pthread_cond_wait(&sent.changed, &sent.mutex);
		pthread_mutex_unlock(&sent.mutex);
	}
	ck_assert_ptr_null(audit_journal_free(journal));
	ck_assert_uint_eq(sent.total, 5);
	ck_assert_ptr_null(audit_journal_free(NULL));
}
END_TEST

START_TEST(through_the_trail)
{
	struct audit_settings settings = { .path = path, .journal = true };
	struct audit_event event = sample_grant();
	struct chain chain = { 0 };
	struct audit *audit;
	char line[128], hash[CHAIN_HASH_TEXT];
	sd_event *loop;

	ck_assert_int_ge(sd_event_new(&loop), 0);
	ck_assert_int_eq(audit_new(loop, &settings, &audit), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(audit_append(audit, &event, NULL, NULL), 0);
	audit_free(audit);
	sd_event_unref(loop);
	ck_assert_uint_eq(file_verify(path, &chain), 3);
	ck_assert_uint_eq(sent.n, 3);
	/* The journal knows the hash of the last line, which nothing in the trail itself does. */
	chain_hash_text(&chain, hash);
	snprintf(line, sizeof(line), "CCBUF_HASH=%s", hash);
	check_field(sent.text[2], line);
	check_field(sent.text[2], "CCBUF_SEQ=3");
}
END_TEST

START_TEST(trail_cannot_be_written)
{
	struct audit_settings settings = { .path = path, .journal = true };
	struct audit_event event = sample_grant();
	struct audit *audit;
	sd_event *loop;
	char reason[512];

	ck_assert_int_ge(sd_event_new(&loop), 0);
	ck_assert_int_eq(audit_new(loop, &settings, &audit), 0);
	disk_fails = true;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(audit_append(audit, &event, NULL, NULL), 0);
	audit_free(audit);
	sd_event_unref(loop);
	/* One message for the whole time, and no grant that is not in the trail. */
	ck_assert_uint_eq(sent.n, 1);
	check_field(sent.text[0], "MESSAGE_ID=" AUDIT_JOURNAL_UNWRITTEN);
	snprintf(reason, sizeof(reason),
		"CCBUF_REASON=there is no room for %s (No space left on device): make room on its "
		"file system",
		path);
	check_field(sent.text[0], reason);
	check_field(sent.text[0], "CCBUF_VERDICT=audit-failed");
}
END_TEST

START_TEST(trail_cannot_be_had)
{
	struct audit_settings settings = { .path = "/dev/null/x" };
	struct audit *audit;
	sd_event *loop;

	ck_assert_int_ge(sd_event_new(&loop), 0);
	settings.journal = true;
	ck_assert_int_eq(audit_new(loop, &settings, &audit), -ENOTDIR);
	sd_event_unref(loop);
	ck_assert_uint_eq(sent.total, 0);
}
END_TEST

START_TEST(catalog)
{
	static const char *const ids[] = { AUDIT_JOURNAL_START, AUDIT_JOURNAL_STOP,
		AUDIT_JOURNAL_POLICY, AUDIT_JOURNAL_GRANT, AUDIT_JOURNAL_DENY,
		AUDIT_JOURNAL_UNDELIVERED, AUDIT_JOURNAL_RELEASE, AUDIT_JOURNAL_ORPHAN,
		AUDIT_JOURNAL_REVOKE, AUDIT_JOURNAL_LEAK, AUDIT_JOURNAL_ERROR,
		AUDIT_JOURNAL_UNWRITTEN, AUDIT_JOURNAL_DROPPED };
	char *text = file_read(CATALOG, NULL);
	size_t entries = 0;

	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		char line[64];

		ck_assert_uint_eq(strlen(ids[i]), 32);
		snprintf(line, sizeof(line), "-- %s\n", ids[i]);
		ck_assert_msg(strstr(text, line), "no entry for %s", ids[i]);
	}
	for (char *p = text; (p = strstr(p, "\n-- ")); p++)
		entries++;
	ck_assert_uint_eq(entries, ARRAY_SIZE(ids));
	free(text);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { folder_new, folder_free };
	const struct test tests[] = {
		{ new_field },
		{ grant },
		{ first_policy_refused },
		{ each_kind },
		{ long_fields },
		{ names, .times = ARRAY_SIZE(hostile) },
		{ slow_journald },
		{ bounded_in_bytes },
		{ dead_journald },
		{ wakes_for_later_ones },
		{ through_the_trail },
		{ trail_cannot_be_written },
		{ trail_cannot_be_had },
		{ catalog },
		{ NULL },
	};

	return run_tests(argc, argv, "audit-journal", &hooks, tests);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the path of a grant: every verdict on it, what is recorded before it is told, what is
 * charged and open afterwards. Policy, ledger, threads, trail and peers are the real ones, and so
 * are the failures, but for those of the heap and of memory.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "fixture.h"
#include "grant.h"
#include "review.h"

#define PAGE   4096u
#define UNUSED -1000

static const char policy_text[] =
	"{ \"version\": 1, \"uses\": { \"plain\": { \"heap\": \"emulated\" },"
	" \"small\": { \"heap\": \"emulated\" }, \"few\": { \"heap\": \"emulated\" },"
	" \"bytes\": { \"heap\": \"emulated\" }, \"slow\": { \"heap\": \"emulated\" },"
	" \"ruleless\": { \"heap\": \"emulated\" }, \"secret\": { \"heap\": \"emulated\" },"
	" \"shared\": { \"heap\": \"null\" }, \"private\": { \"heap\": \"zero\" },"
	" \"strange\": { \"heap\": \"full\" }, \"missing\": { \"heap\": \"no-such-node\" } },"
	" \"heaps\": { \"null\": { \"exposure\": \"shared\" },"
	" \"zero\": { \"exposure\": \"private\" }, \"no-such-node\": { \"exposure\": \"private\" } "
	"},"
	" \"limits\": { \"total\": \"4G\", \"emulated-per-user\": \"4G\" }, \"rules\": ["
	" { \"name\": \"keeper\", \"match\": {}, \"use\": [\"secret\"], \"deny\": \"it is secret\" "
	"},"
	" { \"name\": \"r\", \"match\": {}, \"allow\": { \"use\": [\"plain\", \"shared\","
	" \"private\", \"strange\", \"missing\"] } },"
	" { \"name\": \"s\", \"match\": {}, \"allow\": { \"use\": [\"small\"], \"buffer\": \"8K\" "
	"} },"
	" { \"name\": \"f\", \"match\": {}, \"allow\": { \"use\": [\"few\"], \"buffers\": 1 } },"
	" { \"name\": \"b\", \"match\": {}, \"allow\": { \"use\": [\"bytes\"], \"total\": \"4K\" } "
	"},"
	" { \"name\": \"t\", \"match\": {}, \"allow\": { \"use\": [\"slow\"], \"rate\": \"1/h\" } }"
	" ] }";

static struct broker broker;
static struct peer *self;

/* --- what is made to fail --- */

static int heap_succeeds; /* so many allocations; UNUSED for all of the real ones */
static int heap_error;	  /* 0: memfds stand for dma-bufs */
static int append_error;
static enum audit_kind append_kind;
static int allocations = UNUSED;

int __real_heap_alloc(const struct heap *heap, enum exposure exposure, uint64_t size,
	bool read_only, int *ret_fd, struct buffer_id *ret_id);
int __wrap_heap_alloc(const struct heap *heap, enum exposure exposure, uint64_t size,
	bool read_only, int *ret_fd, struct buffer_id *ret_id);
int __wrap_heap_alloc(const struct heap *heap, enum exposure exposure, uint64_t size,
	bool read_only, int *ret_fd, struct buffer_id *ret_id)
{
	struct stat st;
	int fd;

	if (heap_succeeds == UNUSED)
		return __real_heap_alloc(heap, exposure, size, read_only, ret_fd, ret_id);
	if (heap_error && heap_succeeds-- <= 0)
		return heap_error;
	fd = memfd_create("test", MFD_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		abort();
	*ret_fd = fd;
	*ret_id = (struct buffer_id){ .inode = st.st_ino };
	return 0;
}

int __real_audit_append(
	struct audit *audit, const struct audit_event *event, audit_done done, void *userdata);
int __wrap_audit_append(
	struct audit *audit, const struct audit_event *event, audit_done done, void *userdata);
int __wrap_audit_append(
	struct audit *audit, const struct audit_event *event, audit_done done, void *userdata)
{
	if (append_error && (append_kind == AUDIT_KIND_MAX_ || event->kind == append_kind))
		return append_error;
	return __real_audit_append(audit, event, done, userdata);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
	return allocations >= 0 && allocations-- == 0 ? NULL : __real_calloc(count, size);
}

/* --- a front end --- */

static struct {
	unsigned int replies;
	enum ccbuf_verdict verdict;
	char rule[POLICY_RULE_NAME_MAX + 1];
	char reason[POLICY_REASON_MAX + 1];
	uint32_t count;
	uint64_t ids[REQUEST_COUNT_MAX];
	uint64_t bytes;	   /* charged at the reply */
	unsigned int live; /* at the reply */
	int delivered;	   /* what the front end says of it */
	bool later;	   /* it says so later */
	struct grant_op *op;
	size_t grants, denials, undelivered; /* in the trail when the reply came */
} front;

static size_t n_events(const char *name)
{
	char part[64];

	snprintf(part, sizeof(part), "\"event\":\"%s\"", name);
	return fixture_trail_count(part);
}

static void count_live(void *userdata, const struct grant *grant)
{
	(void)grant;
	(*(unsigned int *)userdata)++;
}

static unsigned int n_live(void)
{
	unsigned int n = 0;

	ledger_each(broker.ledger, count_live, &n);
	return n;
}

static void on_reply(void *userdata, struct grant_op *op, const struct outcome *outcome)
{
	struct stat st;

	ck_assert_ptr_eq(userdata, &front);
	front.replies++;
	front.verdict = outcome->verdict;
	copy_string(front.rule, sizeof(front.rule), outcome->rule ? outcome->rule : "");
	copy_string(front.reason, sizeof(front.reason), outcome->reason);
	front.count = outcome->count;
	front.grants = n_events("grant");
	front.denials = n_events("deny");
	front.bytes = ledger_bytes(broker.ledger);
	front.live = n_live();
	for (uint32_t i = 0; i < outcome->count; i++) {
		ck_assert_verdict(outcome->verdict, CCBUF_GRANTED);
		ck_assert_int_eq(fstat(outcome->fds[i], &st), 0);
		ck_assert_uint_eq(outcome->grants[i]->inode, st.st_ino);
		ck_assert_state(outcome->grants[i]->state, GRANT_RESERVED);
		front.ids[i] = outcome->grants[i]->id;
	}
	front.op = op;
	if (!front.later)
		grant_delivered(op, front.delivered);
}

static void ask(
	struct peer *peer, const char *use, uint64_t size, uint32_t count, unsigned int options)
{
	struct request request = {
		.size = size, .count = count, .accept_shared = options & 1, .read_only = options & 2
	};

	copy_string(request.use, sizeof(request.use), use);
	ck_assert_int_eq(grant_request(&broker, peer, &request, on_reply, &front), 0);
}

/* Asks and waits for the reply. */
static enum ccbuf_verdict request(
	const char *use, uint64_t size, uint32_t count, unsigned int options)
{
	unsigned int before = front.replies;

	ask(self, use, size, count, options);
	fixture_run_until(front.replies > before);
	ck_assert_uint_eq(front.replies, before + 1);
	if (!front.later)
		ck_assert_uint_eq(broker.n_requests, 0);
	return front.verdict;
}

/* --- the fixture --- */

static void set_up(void)
{
	fixture_set_up();
	memset(&front, 0, sizeof(front));
	heap_succeeds = UNUSED;
	heap_error = append_error = 0;
	append_kind = AUDIT_KIND_MAX_;
	broker = (struct broker){
		.loop = fixture.loop,
		.inspections = fixture.inspections,
		.users = fixture.users,
		.audit = fixture.audit,
		/* any node that can be opened will do as a heap whose allocations are wrapped */
		.heaps = heaps_new("/dev"),
		.policy = fixture_policy(policy_text),
		.admin_gid = (gid_t)-1,
	};
	ck_assert_ptr_nonnull(broker.heaps);
	ck_assert_int_eq(workers_new(fixture.loop, &broker.workers), 0);
	ck_assert_int_eq(ledger_new(fixture.loop, fixture.audit, &broker.ledger), 0);
	ck_assert_int_eq(heap_events_new(fixture.loop, broker.heaps, broker.ledger, fixture.audit,
				 &broker.heap_events),
		0);
	ck_assert_int_eq(review_new(&broker, &broker.review), 0);
	self = fixture_self();
}

static void tear_down(void)
{
	fixture_audit_heal();
	broker.workers = workers_free(broker.workers);
	fixture_end_audit();
	broker.review = review_free(broker.review);
	broker.heap_events = heap_events_free(broker.heap_events);
	broker.ledger = ledger_free(broker.ledger);
	broker.heaps = heaps_free(broker.heaps);
	broker.policy = policy_unref(broker.policy);
	ck_assert_uint_eq(self->refs, 1);
	self = peer_unref(self);
	fixture_tear_down();
}

/* Nothing was handed out, nothing is charged, nothing is open, and it was recorded first. */
static void check_refused(enum ccbuf_verdict verdict, const char *rule, const char *reason)
{
	size_t fds = fixture_fds();

	ck_assert_msg(
		front.verdict == verdict, "%s: %s", verdict_name(front.verdict), front.reason);
	ck_assert_str_eq(front.rule, rule);
	ck_assert_msg(strstr(front.reason, reason), "%s", front.reason);
	ck_assert_uint_eq(front.count, 0);
	ck_assert_uint_eq(front.bytes, 0);
	ck_assert_uint_eq(ledger_bytes(broker.ledger), 0);
	ck_assert_uint_eq(ledger_count(broker.ledger), 0);
	ck_assert_uint_eq(fixture_fds(), fds);
}

static void check_recorded_refusal(enum ccbuf_verdict verdict, const char *rule, const char *reason)
{
	char part[64];
	char *line;

	check_refused(verdict, rule, reason);
	ck_assert_uint_eq(front.denials, 1);
	ck_assert_uint_eq(front.grants, 0);
	line = fixture_trail_last("\"event\":\"deny\"");
	snprintf(part, sizeof(part), "\"verdict\":\"%s\"", verdict_name(verdict));
	ck_assert_msg(strstr(line, part), "%s", line);
	ck_assert_msg(strstr(line, policy_digest(broker.policy)), "%s", line);
	free(line);
}

/* --- grants --- */

static const struct {
	const char *use;
	uint64_t size, charged; /* of each */
	uint32_t count;
	unsigned int options;
} good[] = {
	{ "plain", 1, PAGE, 1, 0 },
	{ "plain", PAGE, PAGE, 64, 0 },
	{ "plain", PAGE + 1, 2 * PAGE, 3, 2 },
	/* beyond what is quick: by a thread, small and large */
	{ "plain", 1 << 19, 1 << 19, 3, 0 },
	{ "plain", 2 << 20, 2 << 20, 2, 0 },
};

START_TEST(granted)
{
	size_t fds = fixture_fds();

	ck_assert_verdict(request(good[_i].use, good[_i].size, good[_i].count, good[_i].options),
		CCBUF_GRANTED);
	ck_assert_uint_eq(front.count, good[_i].count);
	ck_assert_str_eq(front.rule, "r");
	ck_assert_str_eq(front.reason, "");
	/* charged and recorded before the reply, live only after it */
	ck_assert_uint_eq(front.grants, 1);
	ck_assert_uint_eq(front.bytes, good[_i].charged * good[_i].count);
	ck_assert_uint_eq(front.live, 0);
	ck_assert_uint_eq(n_live(), good[_i].count);
	ck_assert_uint_eq(ledger_bytes(broker.ledger), good[_i].charged * good[_i].count);
	/* one fd of each, to know of its end */
	ck_assert_uint_le(fixture_fds(), fds + front.count);
	for (uint32_t i = 0; i < front.count; i++)
		ck_assert_int_eq(ledger_release(broker.ledger, self, front.ids[i]), 0);
	ck_assert_uint_eq(ledger_bytes(broker.ledger), 0);
}
END_TEST

START_TEST(granted_of_a_heap_that_counts)
{
	size_t fds = fixture_fds();

	heap_succeeds = 0;
	ck_assert_verdict(request("shared", PAGE, 64, 1), CCBUF_GRANTED);
	ck_assert_uint_eq(front.grants, 1);
	ck_assert_uint_eq(n_live(), 64);
	/* the daemon keeps its own of each, and the node */
	ck_assert_uint_eq(fixture_fds(), fds + 65);
	ck_assert_uint_eq(ledger_bytes(broker.ledger), 64 * PAGE);
}
END_TEST

START_TEST(read_only_private_heap)
{
	heap_succeeds = 0;
	ck_assert_verdict(request("private", PAGE, 1, 2), CCBUF_GRANTED);
}
END_TEST

START_TEST(delivered_later)
{
	front.later = true;
	ck_assert_verdict(request("plain", PAGE, 2, 0), CCBUF_GRANTED);
	ck_assert_uint_eq(broker.n_requests, 1);
	fixture_settle();
	ck_assert_uint_eq(n_live(), 0);
	ck_assert_uint_eq(ledger_bytes(broker.ledger), 2 * PAGE);
	grant_delivered(front.op, 0);
	ck_assert_uint_eq(n_live(), 2);
	ck_assert_uint_eq(broker.n_requests, 0);
}
END_TEST

/* The record stands, so a second one says that the peer has it not. */
START_TEST(undelivered)
{
	size_t fds = fixture_fds();
	char *line;

	front.delivered = -EPIPE;
	ck_assert_verdict(request("plain", PAGE, 3, 0), CCBUF_GRANTED);
	ck_assert_uint_eq(ledger_bytes(broker.ledger), 0);
	ck_assert_uint_eq(n_live(), 0);
	ck_assert_uint_eq(fixture_fds(), fds);
	fixture_audit_wait();
	ck_assert_uint_eq(n_events("grant"), 1);
	ck_assert_uint_eq(n_events("undelivered"), 1);
	ck_assert_uint_eq(n_events("release"), 0);
	line = fixture_trail_last("\"event\":\"undelivered\"");
	ck_assert_msg(strstr(line, "Broken pipe"), "%s", line);
	free(line);
}
END_TEST

START_TEST(undelivered_refusal)
{
	front.delivered = -EPIPE;
	ck_assert_verdict(request("ruleless", PAGE, 1, 0), CCBUF_NO_RULE);
	fixture_audit_wait();
	ck_assert_uint_eq(n_events("deny"), 1);
	ck_assert_uint_eq(n_events("undelivered"), 0);
}
END_TEST

/* What decides is the policy that was in force when the request came. */
START_TEST(policy_changes_meanwhile)
{
	char digest[POLICY_DIGEST_TEXT_MAX];
	char *line;

	copy_string(digest, sizeof(digest), policy_digest(broker.policy));
	ask(self, "plain", 2 << 20, 1, 0);
	policy_unref(broker.policy);
	broker.policy = fixture_policy("{ \"version\": 1 }");
	fixture_run_until(front.replies);
	ck_assert_verdict(front.verdict, CCBUF_GRANTED);
	ck_assert_str_eq(front.rule, "r");
	line = fixture_trail_last("\"event\":\"grant\"");
	ck_assert_ptr_nonnull(strstr(line, digest));
	free(line);
	ck_assert_verdict(request("plain", PAGE, 1, 0), CCBUF_UNKNOWN_USE);
}
END_TEST

/* --- refusals --- */

static const struct {
	const char *use;
	uint64_t size;
	uint32_t count;
	unsigned int options;
	enum ccbuf_verdict verdict;
	const char *rule, *reason;
} bad[] = {
	{ "plain", 0, 1, 0, CCBUF_BAD_SIZE, "", "0 bytes" },
	{ "plain", PAGE, 0, 0, CCBUF_BAD_SIZE, "", "0 buffers" },
	{ "plain", PAGE, 65, 0, CCBUF_BAD_SIZE, "", "65 buffers" },
	{ "plain", PAGE, UINT32_MAX, 0, CCBUF_BAD_SIZE, "", "" },
	{ "plain", UINT64_MAX, 1, 0, CCBUF_BAD_SIZE, "", "" },
	{ "plain", INT64_MAX, 1, 0, CCBUF_BAD_SIZE, "", "" },
	{ "plain", UINT64_MAX / 2, 2, 0, CCBUF_BAD_SIZE, "", "" },
	{ "plain", UINT64_MAX / 64 + 1, 64, 0, CCBUF_BAD_SIZE, "", "" },
	{ "plain", UINT64_C(1) << 58, 16, 0, CCBUF_BYTES_LIMIT, "r", "limits.total" },
	{ "nothing", PAGE, 1, 0, CCBUF_UNKNOWN_USE, "", "nothing" },
	{ "ruleless", PAGE, 1, 0, CCBUF_NO_RULE, "", "ruleless" },
	{ "secret", PAGE, 1, 0, CCBUF_DENIED, "keeper", "it is secret" },
	{ "small", 2 * PAGE + 1, 1, 0, CCBUF_BUFFER_LIMIT, "s", "8K" },
	{ "strange", PAGE, 1, 1, CCBUF_HEAP_UNAVAILABLE, "r", "full" },
	{ "missing", PAGE, 1, 0, CCBUF_HEAP_UNAVAILABLE, "r", "no-such-node" },
	{ "shared", PAGE, 1, 0, CCBUF_CONSENT_REQUIRED, "r", "accept-shared" },
	{ "shared", PAGE, 1, 3, CCBUF_UNSUPPORTED, "r", "read-only" },
	{ "few", PAGE, 2, 0, CCBUF_BUFFERS_LIMIT, "f", "allows 1 buffers" },
	{ "bytes", PAGE + 1, 1, 0, CCBUF_BYTES_LIMIT, "b", "allows 4K" },
	/* these nodes are no heaps: they fail for real */
	{ "shared", PAGE, 1, 1, CCBUF_INTERNAL, "r", "heap null failed" },
	{ "private", PAGE, 64, 0, CCBUF_INTERNAL, "r", "heap zero failed" },
};

START_TEST(refused)
{
	ck_assert_int_ne(
		request(bad[_i].use, bad[_i].size, bad[_i].count, bad[_i].options), CCBUF_GRANTED);
	check_recorded_refusal(bad[_i].verdict, bad[_i].rule, bad[_i].reason);
}
END_TEST

START_TEST(refused_for_the_rate)
{
	ck_assert_verdict(request("slow", PAGE, 1, 0), CCBUF_GRANTED);
	ck_assert_int_eq(ledger_release(broker.ledger, self, front.ids[0]), 0);
	ck_assert_verdict(request("slow", PAGE, 1, 0), CCBUF_RATE_LIMIT);
	front.grants = 0;
	check_recorded_refusal(CCBUF_RATE_LIMIT, "t", "1 requests per hour");
}
END_TEST

static const struct {
	int succeeds, error;
	enum ccbuf_verdict verdict;
	const char *reason;
} heap_failures[] = {
	{ 0, -ENOMEM, CCBUF_OUT_OF_MEMORY, "heap zero has no 4096 bytes for 3 buffers now" },
	{ 2, -ENOMEM, CCBUF_OUT_OF_MEMORY, "heap zero has no" },
	{ 1, -EIO, CCBUF_INTERNAL, "heap zero failed: Input/output error" },
};

START_TEST(heap_fails)
{
	size_t fds;

	/* opens the node */
	heap_succeeds = 0;
	heap_error = -EIO;
	request("private", PAGE, 1, 0);
	fds = fixture_fds();
	front.denials = 0;
	heap_succeeds = heap_failures[_i].succeeds;
	heap_error = heap_failures[_i].error;
	request("private", PAGE, 3, 0);
	ck_assert_uint_eq(front.denials--, 2);
	check_recorded_refusal(heap_failures[_i].verdict, "r", heap_failures[_i].reason);
	ck_assert_uint_eq(fixture_fds(), fds);
	/* and works again */
	heap_error = 0;
	ck_assert_verdict(request("private", PAGE, 3, 0), CCBUF_GRANTED);
}
END_TEST

/* For real: no file may grow so large. */
START_TEST(emulated_heap_is_full)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = 1 << 20;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	request("plain", 2 << 20, 1, 0);
	check_recorded_refusal(CCBUF_OUT_OF_MEMORY, "r", "heap emulated has no 2097152 bytes");
	ck_assert_verdict(request("plain", 1 << 20, 1, 0), CCBUF_GRANTED);
}
END_TEST

/* --- audit --- */

START_TEST(record_cannot_be_written)
{
	size_t fds;

	fixture_audit_fail();
	fds = fixture_fds();
	request("plain", PAGE, 3, 0);
	check_refused(CCBUF_AUDIT_FAILED, "r", "could not be written: File too large");
	ck_assert_uint_eq(fixture_fds(), fds);
	ck_assert(broker.audit_failing);
	/* a refusal may be heard all the same */
	request("ruleless", PAGE, 1, 0);
	check_refused(CCBUF_NO_RULE, "", "");
	ck_assert(broker.audit_failing);
	/* nor is a record that is only queued a sign that it works again */
	broker_record_refusal(&broker, self, NULL, CCBUF_MALFORMED, "what");
	ck_assert(broker.audit_failing);
	fixture_audit_wait();
	fixture_audit_heal();
	ck_assert_uint_eq(n_events("grant") + n_events("deny"), 0);
	ck_assert_verdict(request("plain", PAGE, 1, 0), CCBUF_GRANTED);
	ck_assert(!broker.audit_failing);
	ck_assert_uint_eq(front.grants, 1);
}
END_TEST

START_TEST(record_cannot_be_queued)
{
	size_t fds = fixture_fds();

	append_error = -ENOBUFS;
	append_kind = AUDIT_GRANT;
	request("plain", PAGE, 3, 0);
	check_recorded_refusal(
		CCBUF_AUDIT_FAILED, "r", "could not be written: No buffer space available");
	ck_assert_uint_eq(fixture_fds(), fds);
	append_kind = AUDIT_KIND_MAX_;
	request("plain", PAGE, 3, 0);
	check_refused(CCBUF_AUDIT_FAILED, "r", "could not be written");
	request("secret", PAGE, 3, 0);
	check_refused(CCBUF_DENIED, "keeper", "it is secret");
	broker_record_refusal(&broker, NULL, NULL, CCBUF_BUSY, "what");
	ck_assert(broker.audit_failing);
	append_error = 0;
	ck_assert_verdict(request("plain", PAGE, 1, 0), CCBUF_GRANTED);
}
END_TEST

START_TEST(refusals_of_front_ends_are_recorded)
{
	struct request asked = { .use = "plain", .size = PAGE, .count = 1 };
	char *line;

	broker_record_refusal(&broker, self, &asked, CCBUF_MALFORMED, "why");
	broker_record_refusal(&broker, NULL, NULL, CCBUF_BUSY, "too many");
	fixture_audit_wait();
	ck_assert_uint_eq(n_events("deny"), 2);
	line = fixture_trail_last("\"verdict\":\"malformed\"");
	ck_assert_msg(strstr(line, "why") && strstr(line, "plain"), "%s", line);
	free(line);
	ck_assert_uint_eq(fixture_trail_count("too many"), 1);
}
END_TEST

/* --- identity --- */

static void wait_for_word(int fd, void *userdata)
{
	char word;

	(void)userdata;
	(void)!read(fd, &word, 1);
}

/* Another program, as soon as it is told, and says so by the end of its end of a pipe. */
static void exec_another(int fd, void *userdata)
{
	(void)userdata;
	wait_for_word(fd, NULL);
	dup2(fd, STDIN_FILENO);
	execl("/bin/cat", "cat", NULL);
	_exit(1);
}

static void become_nobody(int fd, void *userdata)
{
	char word = 'x';

	(void)userdata;
	wait_for_word(fd, NULL);
	if (setresuid(65534, 65534, 65534) < 0)
		_exit(1);
	(void)!write(fd, &word, 1);
	wait_for_word(fd, NULL);
}

static void check_identity_changed(const char *reason)
{
	fixture_run_until(front.replies);
	check_refused(CCBUF_IDENTITY_CHANGED, "r", reason);
	fixture_audit_wait();
	ck_assert_uint_eq(n_events("grant"), 1);
	ck_assert_uint_eq(n_events("undelivered"), 1);
	ck_assert_uint_eq(n_events("deny"), 0);
	ck_assert_uint_eq(fixture_trail_count("\"verdict\":\"identity-changed\""), 1);
}

START_TEST(peer_is_gone)
{
	struct child child;
	struct peer *peer;

	child_start(&child, wait_for_word, NULL);
	peer = child_peer(&child);
	ask(peer, "plain", PAGE, 3, 0);
	child_kill(&child);
	check_identity_changed("the process that asked is gone");
	ck_assert_uint_eq(peer->refs, 1);
	peer_unref(peer);
}
END_TEST

/* Dead, but its parent has not waited for it. */
START_TEST(peer_is_a_zombie)
{
	struct child child;
	struct peer *peer;
	siginfo_t info;

	child_start(&child, wait_for_word, NULL);
	peer = child_peer(&child);
	ask(peer, "plain", PAGE, 1, 0);
	kill(child.pid, SIGKILL);
	ck_assert_int_eq(waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT), 0);
	check_identity_changed("the process that asked is gone");
	peer_unref(peer);
	child_kill(&child);
}
END_TEST

START_TEST(peer_is_another_program)
{
	int fds[2];
	struct child child;
	struct peer *peer;
	char byte;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	child_start(&child, exec_another, NULL);
	close(fds[1]);
	peer = child_peer(&child);
	child_say(&child, 'x');
	ck_assert_int_eq(read(fds[0], &byte, 1), 0);
	close(fds[0]);
	ask(peer, "plain", PAGE, 1, 0);
	check_identity_changed("runs another program");
	peer_unref(peer);
	child_kill(&child);
}
END_TEST

START_TEST(peer_is_another_user)
{
	struct child child;
	struct peer *peer;

	if (geteuid() != 0)
		fixture_skip("changing the user needs root");
	child_start(&child, become_nobody, NULL);
	peer = child_peer(&child);
	child_say(&child, 'x');
	ck_assert_int_eq(child_hear(&child), 'x');
	ask(peer, "plain", PAGE, 1, 0);
	check_identity_changed("other credentials");
	peer_unref(peer);
	child_kill(&child);
}
END_TEST

/* --- memory, and many at a time --- */

/* Whichever allocation fails: no reply at all, or a refusal, or it did not matter. */
START_TEST(no_memory)
{
	struct request asked = { .use = "plain", .size = PAGE, .count = 1 };
	unsigned int refs = self->refs, n_refused = 0, silent = 0;
	bool failed = true;

	for (int n = 0; failed; n++) {
		int r;

		front.replies = 0;
		allocations = n;
		r = grant_request(&broker, self, &asked, on_reply, &front);
		failed = allocations < 0;
		allocations = UNUSED;
		if (r == 0)
			fixture_run_until(front.replies);
		fixture_settle();
		ck_assert_uint_eq(broker.n_requests, 0);
		if (r < 0) {
			ck_assert_int_eq(r, -ENOMEM);
			ck_assert_uint_eq(front.replies, 0);
			silent++;
		} else if (front.verdict != CCBUF_GRANTED) {
			ck_assert_uint_eq(front.count, 0);
			n_refused++;
		}
		if (r < 0 || front.verdict != CCBUF_GRANTED) {
			ck_assert_uint_eq(ledger_bytes(broker.ledger), 0);
			ck_assert_uint_eq(self->refs, refs);
		} else {
			ck_assert_int_eq(ledger_release(broker.ledger, self, front.ids[0]), 0);
			fixture_run_until(self->refs == refs);
		}
	}
	ck_assert_uint_ge(silent, 1);
	ck_assert_uint_ge(n_refused, 2);
}
END_TEST

/* One user's share of the requests under way. */
#define GRANT_USER_MAX 256

/* One more than a user may have under way; nobody else is refused for it. */
START_TEST(too_many_of_one_user)
{
	struct peer other = *self;

	users_set_max(fixture.users, USER_REQUESTS, 2 * GRANT_USER_MAX);
	for (int i = 0; i < GRANT_USER_MAX; i++)
		ask(self, "plain", PAGE, 1, 0);
	ck_assert_uint_eq(broker.n_requests, GRANT_USER_MAX);
	ask(self, "plain", PAGE, 1, 0);
	fixture_run_until(front.replies == GRANT_USER_MAX + 1);
	ck_assert_uint_eq(n_live(), GRANT_USER_MAX);
	ck_assert_uint_eq(fixture_trail_count("\"verdict\":\"busy\""), 1);
	ck_assert_uint_eq(broker.n_requests, 0);
	ck_assert_uint_eq(self->user->used[USER_REQUESTS], 0);
	ck_assert_verdict(request("plain", PAGE, 1, 0), CCBUF_GRANTED);
	/* the same again, with another user behind */
	other.identity.uid++;
	other.identity.pid = -1;
	ck_assert_int_eq(users_get(fixture.users, other.identity.uid, 0, &other.user), 0);
	front.replies = 0;
	for (int i = 0; i < GRANT_USER_MAX; i++)
		ask(self, "ruleless", PAGE, 1, 0);
	ask(&other, "secret", PAGE, 1, 0);
	fixture_run_until(front.replies == GRANT_USER_MAX + 1);
	ck_assert_uint_eq(fixture_trail_count("\"verdict\":\"busy\""), 1);
	ck_assert_uint_eq(fixture_trail_count("\"verdict\":\"denied\""), 1);
	user_unref(other.user);
}
END_TEST

START_TEST(many_at_a_time)
{
	enum { N = 100 };
	size_t fds = fixture_fds();

	for (int i = 0; i < N; i++)
		ask(self, i % 3 ? "plain" : "secret", i % 2 ? PAGE : 2 << 20, 1, 0);
	ck_assert_uint_eq(broker.n_requests, N);
	fixture_run_until(front.replies == N);
	ck_assert_uint_eq(broker.n_requests, 0);
	ck_assert_uint_eq(n_live(), 66);
	ck_assert_uint_eq(n_events("grant"), 66);
	ck_assert_uint_eq(n_events("deny"), 34);
	ck_assert_uint_le(fixture_fds(), fds + 66);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { set_up, tear_down };
	const struct test tests[] = {
		{ granted, .times = ARRAY_SIZE(good) },
		{ granted_of_a_heap_that_counts },
		{ read_only_private_heap },
		{ delivered_later },
		{ undelivered },
		{ undelivered_refusal },
		{ policy_changes_meanwhile },
		{ refused, .times = ARRAY_SIZE(bad) },
		{ refused_for_the_rate },
		{ heap_fails, .times = ARRAY_SIZE(heap_failures) },
		{ emulated_heap_is_full },
		{ record_cannot_be_written },
		{ record_cannot_be_queued },
		{ refusals_of_front_ends_are_recorded },
		{ peer_is_gone },
		{ peer_is_a_zombie },
		{ peer_is_another_program },
		{ peer_is_another_user },
		{ no_memory },
		{ too_many_of_one_user },
		{ many_at_a_time },
		{ NULL },
	};

	return run_tests(argc, argv, "grant", &hooks, tests);
}

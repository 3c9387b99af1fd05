/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A broker with a heap of the module. Linked with --wrap=ioctl. It must never stand in for a part
 * of the daemon.
 */
#include "module-fixture.h"

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <termios.h>

#include "grant.h"
#include "review.h"

#define POLICY_TEXT_MAX 4096

struct module_fixture mf;

/* --- the module --- */

static int answer(int error)
{
	errno = -error;
	return error ? -1 : 0;
}

static int answer_alloc(struct dma_heap_allocation_data *data)
{
	char text[4096];
	int fd;

	if (mf.alloc_error)
		return answer(mf.alloc_error);
	fd = memfd_create("buffer", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	memset(text, 'x', sizeof(text));
	for (uint64_t at = 0; at < data->len; at += sizeof(text))
		ck_assert_int_eq(write(fd, text, sizeof(text)), sizeof(text));
	data->fd = (uint32_t)fd;
	return 0;
}

static int answer_revoke(struct ccbuf_heap_revoke *revoke)
{
	uint64_t id = revoke->id;

	ck_assert_uint_eq(revoke->flags, 0);
	if (mf.revoke_error)
		return answer(mf.revoke_error);
	mf.revoked = id;
	mf.n_revoked++;
	*revoke = mf.hold;
	if (mf.released_by_revoke)
		module_tell(0, CCBUF_HEAP_RELEASED, id, 4096);
	return 0;
}

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	switch (request) {
	case CCBUF_HEAP_STATS:
		if (mf.other)
			return answer(-EINVAL);
		*(struct ccbuf_heap_stats *)argument = mf.stats;
		return 0;
	case CCBUF_HEAP_WATCH:
		if (mf.watch_error)
			return answer(mf.watch_error);
		((struct ccbuf_heap_watch *)argument)->id = ++mf.last_watch;
		return 0;
	case CCBUF_HEAP_REVOKE:
		return answer_revoke(argument);
	case DMA_HEAP_IOCTL_ALLOC:
		return answer_alloc(argument);
	case DMA_BUF_IOCTL_SYNC:
		mf.n_synced++;
		return 0;
	default:
		return __real_ioctl(fd, request, argument);
	}
}

void module_add_node(unsigned int n)
{
	struct termios raw;
	char path[64];

	mf.end[n] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(mf.end[n], 0);
	ck_assert_int_eq(unlockpt(mf.end[n]), 0);
	ck_assert_int_eq(ptsname_r(mf.end[n], path, sizeof(path)), 0);
	mf.node[n] = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(mf.node[n], 0);
	ck_assert_int_eq(tcgetattr(mf.node[n], &raw), 0);
	cfmakeraw(&raw);
	ck_assert_int_eq(tcsetattr(mf.node[n], TCSANOW, &raw), 0);
	copy_string(mf.name[n], sizeof(mf.name[n]), path + strlen("/dev/pts/"));
}

const struct heap *module_heap(void)
{
	const struct heap *heap;

	ck_assert_int_eq(heaps_get(mf.broker.heaps, mf.name[0], &heap), 0);
	return heap;
}

void module_tell(unsigned int n, enum ccbuf_heap_event_type type, uint64_t id, uint64_t bytes)
{
	struct ccbuf_heap_event event = { .type = type, .id = id, .bytes = bytes };

	int before, now;

	/* What is written to a terminal takes a moment to get there; where it is read at once it is
	 * not seen. */
	ck_assert_int_eq(__real_ioctl(mf.node[n], FIONREAD, &before), 0);
	ck_assert_int_eq(write(mf.end[n], &event, sizeof(event)), sizeof(event));
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(__real_ioctl(mf.node[n], FIONREAD, &now), 0);
		if (now >= before + (int)sizeof(event))
			break;
		usleep(200);
	}
}

/* --- the broker --- */

struct policy *module_policy(const char *format)
{
	char text[POLICY_TEXT_MAX];
	size_t size = 0;

	for (; *format; format++) {
		const char *from = !strncmp(format, "%s", 2) ? mf.name[0] : NULL;

		size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%.*s",
			from ? from : "", from ? 0 : 1, format);
		format += from != NULL;
	}
	return fixture_policy(text);
}

void module_set_up(void)
{
	struct broker *broker = &mf.broker;

	fixture_set_up();
	mf = (struct module_fixture){
		.node = { -1, -1 }, .end = { -1, -1 }, .fd = -1, .last_watch = 100
	};
	module_add_node(0);
	*broker = (struct broker){
		.loop = fixture.loop,
		.inspections = fixture.inspections,
		.users = fixture.users,
		.audit = fixture.audit,
		.heaps = heaps_new("/dev/pts"),
		.admin_gid = (gid_t)-1,
	};
	broker->policy = module_policy(
		"{\"version\":1,\"heaps\":{\"%s\":{\"exposure\":\"shared\"}},"
		"\"uses\":{\"u\":{\"heap\":\"%s\"},\"e\":{\"heap\":\"emulated\"}},"
		"\"rules\":[{\"name\":\"r\",\"match\":{},\"allow\":{\"use\":[\"u\",\"e\"]}}]}");
	ck_assert_int_eq(workers_new(fixture.loop, &broker->workers), 0);
	ck_assert_int_eq(ledger_new(fixture.loop, fixture.audit, &broker->ledger), 0);
	ledger_set_workers(broker->ledger, broker->workers);
	ck_assert_int_eq(heap_events_new(fixture.loop, broker->heaps, broker->ledger, fixture.audit,
				 &broker->heap_events),
		0);
	ck_assert_int_eq(review_new(broker, &broker->review), 0);
	mf.self = fixture_self();
}

void module_tear_down(void)
{
	struct broker *broker = &mf.broker;

	fixture_audit_heal();
	fixture_run_until(broker->n_requests == 0);
	ledger_set_workers(broker->ledger, NULL);
	broker->workers = workers_free(broker->workers);
	fixture_end_audit();
	broker->review = review_free(broker->review);
	broker->heap_events = heap_events_free(broker->heap_events);
	broker->ledger = ledger_free(broker->ledger);
	broker->heaps = heaps_free(broker->heaps);
	broker->policy = policy_unref(broker->policy);
	ck_assert_uint_eq(mf.self->refs, 1);
	mf.self = peer_unref(mf.self);
	close_fd(&mf.fd);
	for (unsigned int i = 0; i < MODULE_NODES_MAX; i++) {
		close_fd(&mf.node[i]);
		close_fd(&mf.end[i]);
	}
	fixture_tear_down();
}

/* --- the peer --- */

static void on_reply(void *userdata, struct grant_op *op, const struct outcome *outcome)
{
	struct stat st;

	(void)userdata;
	mf.replies++;
	mf.verdict = outcome->verdict;
	copy_string(mf.reason, sizeof(mf.reason), outcome->reason);
	close_fd(&mf.fd);
	for (uint32_t i = 0; i < outcome->count; i++) {
		mf.grants[i] = outcome->grants[i]->id;
		if (mf.close_at_once)
			module_tell(0, CCBUF_HEAP_RELEASED, outcome->grants[i]->watch,
				outcome->grants[i]->size);
	}
	if (outcome->count && !mf.close_at_once) {
		mf.fd = fcntl(outcome->fds[0], F_DUPFD_CLOEXEC, 0);
		ck_assert_int_eq(fstat(mf.fd, &st), 0);
		mf.inode = st.st_ino;
	}
	mf.op = op;
	if (!mf.later)
		grant_delivered(op, 0);
}

enum ccbuf_verdict module_ask(const char *use, uint64_t size, uint32_t count)
{
	struct request request = { .size = size, .count = count, .accept_shared = true };
	unsigned int before = mf.replies;

	copy_string(request.use, sizeof(request.use), use);
	ck_assert_int_eq(grant_request(&mf.broker, mf.self, &request, on_reply, NULL), 0);
	fixture_run_until(mf.replies > before);
	return mf.verdict;
}

const struct grant *module_grant(const char *use, uint64_t size)
{
	ck_assert_msg(module_ask(use, size, 1) == CCBUF_GRANTED, "%s", mf.reason);
	return ledger_find(mf.broker.ledger, mf.grants[0]);
}

size_t module_events_of(const char *event)
{
	char part[64];

	snprintf(part, sizeof(part), "\"event\":\"%s\"", event);
	return fixture_trail_count(part);
}

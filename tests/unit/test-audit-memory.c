/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the audit trail without memory or threads: each allocation and each thread of a life of
 * a trail fails in turn. Linked with --wrap, so that only the trail's own calls fail.
 */
#include "test-audit.h"

#include <pthread.h>

/* Calls until one fails; negative for never. Only those of the main thread inside the trail count,
 * not Check's own. */
static int until_failure = -1;
static bool inside, failed;
static pthread_t main_thread;

static bool fails(void)
{
	if (!pthread_equal(pthread_self(), main_thread) || !inside || until_failure < 0 ||
		until_failure-- > 0)
		return false;
	failed = true;
	return true;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
int __real_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *userdata);
int __wrap_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *userdata);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

int __wrap_pthread_create(
	pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *userdata)
{
	return fails() ? EAGAIN : __real_pthread_create(thread, attr, run, userdata);
}

#define INSIDE(call)                                                                               \
	({                                                                                         \
		__typeof__(call) value_;                                                           \
		inside = true;                                                                     \
		value_ = call;                                                                     \
		inside = false;                                                                    \
		value_;                                                                            \
	})

static size_t n_done, n_told;
static bool disturbed; /* somebody deletes the file in between */

static void on_done(void *userdata, int result)
{
	(void)userdata;
	n_done += result == 0;
	n_told++;
}

/* Whatever fails: what was accepted is done with, what was not says so. */
static void life(bool synced)
{
	struct audit_settings settings = { .path = path,
		.rotate_bytes = 4000,
		.keep = 2,
		.journal = true,
		.fold_after = 1,
		.fold_usec = 1000000 };
	struct audit_event grant = sample_grant(), denial = sample_denial();
	struct audit *audit = NULL;
	size_t accepted = 0;
	sd_event *loop = NULL;
	int r;

	n_done = n_told = 0;
	ck_assert_int_ge(sd_event_new(&loop), 0);
	r = INSIDE(audit_new(loop, &settings, &audit));
	if (r < 0) {
		ck_assert(r == -ENOMEM || r == -EAGAIN);
		ck_assert_ptr_null(audit);
		sd_event_unref(loop);
		return;
	}
	audit_set_durability(audit, synced ? POLICY_SYNCED : POLICY_WRITTEN);
	for (int i = 0; i < 12; i++) {
		r = INSIDE(audit_append(audit, i % 4 ? &grant : &denial, on_done, NULL));
		ck_assert(r == 0 || r == -ENOMEM);
		accepted += r == 0;
		if (disturbed && i % 4 == 1)
			unlink(path);
		if (i % 3 == 0)
			ck_assert_int_ge(INSIDE(sd_event_run(loop, 0)), 0);
	}
	audit = INSIDE(audit_free(audit));
	ck_assert_uint_eq(n_told, accepted);
	/* Where nobody else is at it, what was accepted is written. */
	if (!disturbed)
		ck_assert_uint_eq(n_done, accepted);
	sd_event_unref(loop);
}

static void sweep(bool synced)
{
	size_t fds;
	int n = 0;

	main_thread = pthread_self();
	life(synced);
	fds = fd_count();
	do {
		failed = false;
		until_failure = n++;
		life(synced);
		until_failure = -1;
		ck_assert_uint_eq(fd_count(), fds);
	} while (failed);
	ck_assert_int_gt(n, 20);
	life(synced);
	ck_assert_uint_eq(folder_count("audit.jsonl.damaged"), 0);
}

START_TEST(written)
{
	sweep(false);
}
END_TEST

START_TEST(synced)
{
	sweep(true);
}
END_TEST

START_TEST(written_disturbed)
{
	disturbed = true;
	sweep(false);
}
END_TEST

START_TEST(synced_disturbed)
{
	disturbed = true;
	sweep(true);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { folder_new, folder_free };
	const struct test tests[] = {
		{ written },
		{ synced },
		{ written_disturbed },
		{ synced_disturbed },
		{ NULL },
	};

	return run_tests(argc, argv, "audit-memory", &hooks, tests);
}

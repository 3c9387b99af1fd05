/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests that the engine survives when memory runs out at any one point: it says so, gives nothing
 * back and leaks nothing (which the sanitizer builds see). The linker sends its allocations here.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "policy-load.h"
#include "test-policy.h"

static size_t countdown; /* allocations that still succeed; 0: all do */
static size_t failures;

/* Ends the trial: Check allocates, too. */
static int trial(int r)
{
	countdown = 0;
	return r;
}

static bool fails(void)
{
	if (!countdown || --countdown)
		return false;
	failures++;
	return true;
}

#define WRAP(type, name, parameters, arguments)                                                    \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		return fails() ? (errno = ENOMEM, NULL) : __real_##name arguments;                 \
	}

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, (void *p, size_t size), (p, size))
WRAP(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size))
WRAP(char *, strdup, (const char *text), (text))
WRAP(FILE *, open_memstream, (char **text, size_t *size), (text, size))
WRAP(struct json_tokener *, json_tokener_new_ex, (int depth), (depth))
WRAP(struct json_object *, json_object_new_string, (const char *text), (text))
WRAP(struct json_object *, json_object_new_object, (void), ())
WRAP(struct json_object *, json_object_new_array, (void), ())
WRAP(struct json_object *, json_object_new_int64, (int64_t number), (number))
WRAP(struct json_object *, json_object_new_uint64, (uint64_t number), (number))

static const char good[] =
	"{\"version\":1,\"uses\":{\"u\":{\"heap\":\"odd\"},\"v\":{\"heap\":\"system\"}},"
	"\"heaps\":{\"odd\":{\"exposure\":\"private\"}},\"limits\":{\"total\":\"25%\"},"
	"\"rules\":[{\"name\":\"a\",\"match\":{\"user\":[\"root\",3],\"group\":\"root\","
	"\"unit\":[\"a*\",\"b.service\"],\"not\":{\"exe\":\"/x\"}},\"allow\":{\"use\":[\"u\","
	"\"v\"],\"buffer\":\"1M\",\"rate\":\"5/s\"}},{\"name\":\"b\",\"match\":{},"
	"\"deny\":\"no\",\"use\":\"u\"}]}";

static const char bad[] =
	"{\"version\":1,\"version\":1,\"zzzzzzzz\":1,\"uses\":{\"u\":{\"heap\":\"system\"}},"
	"\"rules\":[{\"name\":\"a\",\"match\":{\"user\":\"nobody-\",\"identity\":\"no\"},"
	"\"allow\":{\"use\":[\"w\"]}}]}";

/* Runs with every allocation failing in turn, until none is left to fail. */
static void each_failure(int (*run)(void), int expected)
{
	size_t nth = 1;

	for (;; nth++) {
		size_t before = failures;
		int r;

		countdown = nth;
		r = run();
		countdown = 0;
		if (failures == before) {
			ck_assert_int_eq(r, expected);
			break;
		}
		ck_assert_msg(r == -ENOMEM, "allocation %zu: %d", nth, r);
	}
	ck_assert_uint_gt(nth, 10);
}

static int run_text(const char *text)
{
	struct policy_source source = { "a.json", text, strlen(text) };
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;
	int r = trial(policy_new(&source, 1, &test_env, &errors, &policy));

	ck_assert((r == 0) == (policy != NULL));
	ck_assert((r == -EINVAL) == (errors.count > 0));
	policy_unref(policy);
	policy_errors_done(&errors);
	return r;
}

static int run_good(void)
{
	return run_text(good);
}

static int run_bad(void)
{
	return run_text(bad);
}

static struct policy *shown;

static int run_show(void)
{
	char *text = policy_show(shown);
	int r = text ? 0 : -ENOMEM;

	free(text);
	return r;
}

static char base[] = "/tmp/test-policy-XXXXXX";

static int run_load(void)
{
	const char *const dirs[] = { base, NULL };
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;
	int r = trial(policy_load(dirs, getuid(), &errors, &policy));

	policy_unref(policy);
	policy_errors_done(&errors);
	return r;
}

START_TEST(compile)
{
	each_failure(run_good, 0);
}
END_TEST

START_TEST(mistakes)
{
	each_failure(run_bad, -EINVAL);
}
END_TEST

START_TEST(show)
{
	shown = test_policy(good);
	each_failure(run_show, 0);
	shown = policy_unref(shown);
}
END_TEST

START_TEST(load)
{
	char path[64], mask[64];
	int fd;

	strcpy(base + sizeof(base) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	snprintf(path, sizeof(path), "%s/a.json", base);
	snprintf(mask, sizeof(mask), "%s/b.json", base);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq((int)write(fd, good, strlen(good)), (int)strlen(good));
	close(fd);
	ck_assert_int_eq(symlink("/dev/null", mask), 0);
	each_failure(run_load, 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(unlink(mask), 0);
	ck_assert_int_eq(rmdir(base), 0);
}
END_TEST

int main(int argc, char *argv[])
{
	const struct test tests[] = {
		{ compile },
		{ mistakes },
		{ show },
		{ load },
		{ NULL },
	};

	return run_tests(argc, argv, "policy-memory", NULL, tests);
}

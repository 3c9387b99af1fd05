/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the helper and of loads, with children that do what the test says: end, hang, lie.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "fixture.h"
#include "helper/helper.h"
#include "helper/load-child.h"
#include "helper/load-stream.h"
#include "load.h"

static void (*act)(int fd); /* in the child; NULL: what it does otherwise */
static struct helper *helper;
static bool lost;
static char dir[96];
static const char *dirs[] = { dir, NULL };
static struct helper_settings settings = { .policy_dirs = dirs, .admin_group = "root" };

void __real_load_child(int fd, const struct helper_settings *given);
void __wrap_load_child(int fd, const struct helper_settings *given);

void __wrap_load_child(int fd, const struct helper_settings *given)
{
	if (act)
		act(fd);
	else
		__real_load_child(fd, given);
}

static void on_lost(void *userdata)
{
	*(bool *)userdata = true;
}

/* The children know what stands in act now. */
static void start(void (*what)(int fd))
{
	act = what;
	lost = false;
	settings.policy_trusted_uid = geteuid();
	snprintf(dir, sizeof(dir), "%s/policy.d", fixture.folder);
	mkdir(dir, 0700);
	ck_assert_int_eq(helper_new(&settings, &helper), 0);
	ck_assert_int_eq(helper_attach(helper, fixture.loop, on_lost, &lost), 0);
}

static void tear_down(void)
{
	helper = helper_free(helper);
	fixture_tear_down();
}

/* --- the helper --- */

struct seen {
	int fd, error, status;
	bool started, ended;
};

static void on_started(void *userdata, int error, int *fd)
{
	struct seen *seen = userdata;

	seen->started = true;
	seen->error = error;
	seen->fd = error < 0 ? -1 : *fd;
	*fd = -1;
}

static void on_ended(void *userdata, int status)
{
	struct seen *seen = userdata;

	seen->ended = true;
	seen->status = status;
}

static const struct helper_events events = { on_started, on_ended };

static char hear(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	char word = 0;

	ck_assert_int_eq(poll(&poll_fd, 1, 10000), 1);
	return recv(fd, &word, 1, 0) == 1 ? word : 0;
}

static void say(int fd, char word)
{
	(void)!send(fd, &word, 1, MSG_NOSIGNAL);
}

static void wait_for_end(int fd)
{
	char word;

	while (recv(fd, &word, 1, 0) > 0)
		;
}

static void echo(int fd)
{
	char word;

	while (recv(fd, &word, 1, 0) == 1)
		say(fd, word);
}

static void hang(int fd)
{
	say(fd, 'h');
	for (;;)
		pause();
}

static void be_killed(int fd)
{
	wait_for_end(fd);
	raise(SIGABRT);
}

/* 'y' when it has nothing of ours. */
static void inspect_around(int fd)
{
	DIR *folder = opendir("/proc/self/fd");
	struct dirent *entry;
	char name[16] = "";
	bool good = folder != NULL;

	while (good && (entry = readdir(folder))) {
		int n = atoi(entry->d_name);

		good = n <= 3 || n == dirfd(folder);
	}
	good = good && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
	good = good && prctl(PR_GET_NAME, name) == 0 && streq(name, "ccbufd-load");
	good = good && !getenv("NOTIFY_SOCKET") && !getenv("LISTEN_FDS");
	good = good && fcntl(fd, F_GETFD) == FD_CLOEXEC && getsid(0) == getpid();
	say(fd, good ? 'y' : 'n');
	wait_for_end(fd);
}

static struct helper_child *spawn(struct seen *seen)
{
	struct helper_child *child;

	*seen = (struct seen){ .fd = -1 };
	ck_assert_int_eq(helper_spawn(helper, HELPER_LOAD, &events, seen, &child), 0);
	fixture_run_until(seen->started);
	ck_assert_int_eq(seen->error, 0);
	return child;
}

START_TEST(children)
{
	struct seen one, two;

	start(echo);
	spawn(&one);
	spawn(&two);
	say(one.fd, 'a');
	say(two.fd, 'b');
	ck_assert_int_eq(hear(one.fd), 'a');
	ck_assert_int_eq(hear(two.fd), 'b');
	close(one.fd);
	fixture_run_until(one.ended);
	ck_assert(WIFEXITED(one.status) && WEXITSTATUS(one.status) == 0);
	ck_assert(!two.ended);
	say(two.fd, 'c');
	ck_assert_int_eq(hear(two.fd), 'c');
	close(two.fd);
	fixture_run_until(two.ended);
	ck_assert_uint_eq(helper_stuck(helper, HELPER_LOAD), 0);
}
END_TEST

START_TEST(child_has_nothing_of_ours)
{
	struct seen seen;

	setenv("NOTIFY_SOCKET", "/x", 1);
	setenv("LISTEN_FDS", "1", 1);
	start(inspect_around);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("LISTEN_FDS");
	spawn(&seen);
	ck_assert_int_eq(hear(seen.fd), 'y');
	close(seen.fd);
	fixture_run_until(seen.ended);
}
END_TEST

START_TEST(child_is_killed)
{
	struct helper_child *child;
	struct seen seen;

	start(hang);
	child = spawn(&seen);
	ck_assert_int_eq(hear(seen.fd), 'h');
	helper_kill(child);
	helper_kill(child);
	ck_assert_uint_eq(helper_stuck(helper, HELPER_LOAD), 1);
	fixture_run_until(seen.ended);
	ck_assert(WIFSIGNALED(seen.status) && WTERMSIG(seen.status) == SIGKILL);
	ck_assert_uint_eq(helper_stuck(helper, HELPER_LOAD), 0);
	close(seen.fd);
}
END_TEST

START_TEST(child_is_disowned)
{
	struct helper_child *child;
	struct seen seen = { .fd = -1 };

	start(hang);
	/* before it is there */
	ck_assert_int_eq(helper_spawn(helper, HELPER_LOAD, &events, &seen, &child), 0);
	ck_assert_ptr_null(helper_disown(child));
	while (helper_stuck(helper, HELPER_LOAD))
		ck_assert_int_gt(sd_event_run(fixture.loop, 10000000), 0);
	ck_assert(!seen.started && !seen.ended);
	/* and afterwards */
	child = spawn(&seen);
	helper_disown(child);
	while (helper_stuck(helper, HELPER_LOAD))
		ck_assert_int_gt(sd_event_run(fixture.loop, 10000000), 0);
	ck_assert(!seen.ended);
	close(seen.fd);
	ck_assert_ptr_null(helper_disown(NULL));
}
END_TEST

START_TEST(child_falls)
{
	struct seen seen;

	start(be_killed);
	spawn(&seen);
	close(seen.fd);
	fixture_run_until(seen.ended);
	ck_assert(WIFSIGNALED(seen.status) && WTERMSIG(seen.status) == SIGABRT);
}
END_TEST

START_TEST(all_end_with_the_helper)
{
	struct seen seen;

	start(hang);
	spawn(&seen);
	ck_assert_int_eq(hear(seen.fd), 'h');
	helper = helper_free(helper);
	ck_assert_int_eq(hear(seen.fd), 0);
	ck_assert(!seen.ended && !lost);
	close(seen.fd);
	ck_assert_ptr_null(helper_free(NULL));
}
END_TEST

START_TEST(very_many)
{
	struct seen seen[40];

	start(echo);
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
		spawn(&seen[i]);
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
		say(seen[i].fd, 'x');
		ck_assert_int_eq(hear(seen[i].fd), 'x');
		close(seen[i].fd);
	}
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
		fixture_run_until(seen[i].ended);
}
END_TEST

/* --- loads --- */

static int result; /* 1: none yet */

static void on_loaded(void *userdata, int r)
{
	(void)userdata;
	ck_assert_int_eq(result, 1);
	result = r;
}

static struct load *run_load(void)
{
	struct load *load;

	result = 1;
	ck_assert_int_eq(load_new(helper, fixture.loop, on_loaded, NULL, &load), 0);
	fixture_run_until(result != 1);
	return load;
}

static void put(const char *name, const char *text)
{
	char path[160];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fchmod(fileno(file), 0600), 0);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(loads)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;
	struct load *load;
	gid_t gid = 1;

	start(NULL);
	put("b.json",
		"{ \"version\": 1, \"uses\": { \"u\": { \"heap\": \"emulated\" } }, \"rules\": [ "
		"{ \"name\": \"x\", \"match\": { \"user\": [ \"root\" ], \"group\": \"root\" }, "
		"\"allow\": { \"use\": \"u\" } } ] }");
	put("a.json", "{ \"version\": 1 }");
	load = run_load();
	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(load_compile(load, 0, &errors, &policy), 0);
	ck_assert_int_eq(load_group(load, "root", &gid), 0);
	ck_assert_uint_eq(gid, 0);
	ck_assert_int_eq(load_group(load, "other", &gid), -EBADMSG);
	load_free(load);
	ck_assert_ptr_nonnull(policy);
	policy_unref(policy);
}
END_TEST

START_TEST(loads_with_mistakes)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;
	struct load *load;
	gid_t gid = 1;

	start(NULL);
	put("a.json", "{ \"version\": 2 }");
	put("b.json", "{ \"version\": 1, \"rules\": [ { \"name\": \"x\", \"deny\": \"no\", "
		      "\"match\": { \"user\": \"ccbuf-no-such-user\" } } ] }");
	load = run_load();
	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(load_compile(load, 0, &errors, &policy), -EINVAL);
	ck_assert_uint_eq(errors.count, 2);
	ck_assert_ptr_nonnull(strstr(errors.lines[1], "there is no user \"ccbuf-no-such-user\""));
	policy_errors_done(&errors);
	ck_assert_int_eq(load_group(load, "root", &gid), 0);
	load_free(load);
}
END_TEST

START_TEST(named_folder_is_not_there)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;
	struct load *load;

	settings.policy_named = true;
	start(NULL);
	settings.policy_named = false;
	ck_assert_int_eq(rmdir(dir), 0);
	load = run_load();
	ck_assert_int_eq(load_compile(load, 0, &errors, &policy), -EINVAL);
	ck_assert_uint_eq(errors.count, 1);
	ck_assert_ptr_nonnull(strstr(errors.lines[0], "No such file"));
	policy_errors_done(&errors);
	load_free(load);
}
END_TEST

static void tell(int fd, enum load_kind kind, int value, uint32_t id, const char *text)
{
	size_t size = strlen(text);
	struct load_record *record = malloc(sizeof(*record) + size);

	*record = (struct load_record){ kind, value, id };
	memcpy(record->text, text, size);
	if (send(fd, record, sizeof(*record) + size, MSG_NOSIGNAL) < 0)
		_exit(1);
	free(record);
}

/* Lies, each told from a place where it could be believed. */
static void tell_short(int fd)
{
	(void)!send(fd, "x", 1, 0);
	wait_for_end(fd);
}

static void tell_long(int fd)
{
	static char packet[LOAD_TEXT_MAX + 100];

	(void)!send(fd, packet, sizeof(packet), 0);
	wait_for_end(fd);
}

static void tell_text_of_no_file(int fd)
{
	tell(fd, LOAD_TEXT, 0, 0, "{}");
	tell(fd, LOAD_END, 0, 0, "");
}

static void tell_answer_to_nothing(int fd)
{
	tell(fd, LOAD_ANSWER, 0, 0, "");
	tell(fd, LOAD_END, 0, 0, "");
}

static void tell_odd_answer(int fd)
{
	tell(fd, LOAD_USER, 0, 0, "root");
	tell(fd, LOAD_ANSWER, 7, 0, "");
	tell(fd, LOAD_END, 0, 0, "");
}

static void tell_nonsense(int fd)
{
	tell(fd, 77, 0, 0, "x");
	tell(fd, LOAD_END, 0, 0, "");
}

static void tell_of_no_mistake(int fd)
{
	tell(fd, LOAD_SOURCE, 0, 0, "a.json");
	tell(fd, LOAD_TEXT, 0, 0, "{ \"version\": 1 }");
	tell(fd, LOAD_END, -EINVAL, 0, "");
}

static void tell_memory(int fd)
{
	tell(fd, LOAD_END, -ENOMEM, 0, "");
}

static void end_early(int fd)
{
	tell(fd, LOAD_SOURCE, 0, 0, "a.json");
	tell(fd, LOAD_GROUP, 0, 0, "the\nwheel");
	_exit(7);
}

static void tell_for_ever(int fd)
{
	static char text[LOAD_TEXT_MAX + 1];

	memset(text, 'x', LOAD_TEXT_MAX);
	tell(fd, LOAD_SOURCE, 0, 0, "a.json");
	for (;;)
		tell(fd, LOAD_TEXT, 0, 0, text);
}

static void tell_of_another_policy(int fd)
{
	tell(fd, LOAD_SOURCE, 0, 0, "a.json");
	tell(fd, LOAD_TEXT, 0, 0, "{ \"version\": 1, \"rules\": [ { \"name\": \"x\", \"match\": ");
	tell(fd, LOAD_TEXT, 0, 0, "{ \"user\": \"who\" }, \"deny\": \"no\" } ] }");
	tell(fd, LOAD_END, 0, 0, "");
}

static const struct lie {
	void (*tell)(int fd);
	int loaded, compiled;
	const char *words; /* of the load, or of the mistake */
} lies[] = {
	{ tell_short, -EBADMSG, 0, "sent an invalid record" },
	{ tell_long, -EBADMSG, 0, "sent an invalid record" },
	{ tell_text_of_no_file, 0, -EBADMSG, NULL },
	{ tell_answer_to_nothing, 0, -EBADMSG, NULL },
	{ tell_odd_answer, 0, -EBADMSG, NULL },
	{ tell_nonsense, 0, -EBADMSG, NULL },
	{ tell_of_no_mistake, 0, -EBADMSG, NULL },
	{ tell_memory, -ENOMEM, 0, "not enough memory" },
	{ end_early, -ECHILD, 0, "ended with 7 while it looked up group \"the\\x0awheel\"" },
	{ tell_for_ever, -EMSGSIZE, 0, "more than 256 MiB" },
	/* a name that nobody asked for is not made up */
	{ tell_of_another_policy, 0, -EINVAL, "cannot look up the user \"who\"" },
};

START_TEST(child_lies)
{
	const struct lie *lie = &lies[_i];
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;
	const char *words;
	struct load *load;

	if (UNDER_SANITIZER && lie->loaded == -EMSGSIZE)
		fixture_skip("it takes too long");
	start(lie->tell);
	load = run_load();
	ck_assert_int_eq(result, lie->loaded);
	if (result == 0)
		ck_assert_int_eq(load_compile(load, 0, &errors, &policy), lie->compiled);
	ck_assert_ptr_null(policy);
	words = errors.count ? errors.lines[0] : load_failure(load);
	if (lie->words)
		ck_assert_msg(words && strstr(words, lie->words), "%s", words ? words : "nothing");
	policy_errors_done(&errors);
	load_free(load);
}
END_TEST

START_TEST(given_up)
{
	struct load *load;

	start(hang);
	result = 1;
	ck_assert_int_eq(load_new(helper, fixture.loop, on_loaded, NULL, &load), 0);
	load_free(load);
	while (helper_stuck(helper, HELPER_LOAD))
		ck_assert_int_gt(sd_event_run(fixture.loop, 10000000), 0);
	ck_assert_int_eq(result, 1);
	ck_assert_ptr_null(load_free(NULL));
}
END_TEST

/* Those that do not end are not added to for ever. */
START_TEST(too_many_given_up)
{
	struct load *load;
	int r, n = 0;

	start(hang);
	while ((r = load_new(helper, fixture.loop, on_loaded, NULL, &load)) == 0 && n++ < 100)
		load_free(load);
	ck_assert_int_eq(r, -EBUSY);
	ck_assert_int_ge(n, 2);
	while (helper_stuck(helper, HELPER_LOAD))
		ck_assert_int_gt(sd_event_run(fixture.loop, 10000000), 0);
	ck_assert_int_eq(load_new(helper, fixture.loop, on_loaded, NULL, &load), 0);
	load_free(load);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { fixture_set_up, tear_down };
	const struct test tests[] = {
		{ children },
		{ child_has_nothing_of_ours },
		{ child_is_killed },
		{ child_is_disowned },
		{ child_falls },
		{ all_end_with_the_helper },
		{ very_many },
		{ loads },
		{ loads_with_mistakes },
		{ named_folder_is_not_there },
		{ child_lies, .times = ARRAY_SIZE(lies) },
		{ given_up },
		{ too_many_given_up },
		{ NULL },
	};

	return run_tests(argc, argv, "helper", &hooks, tests);
}

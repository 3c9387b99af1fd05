/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of ccbuf-client as a command: options and exit codes, requests to a socket that this test
 * answers, the trail as it grows, completion.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "chain.h"
#include "runner.h"
#include "util.h"
#include "verdict.h"
#include "wire.h"

static char folder[64], socket_path[128];
static int listener = -1;

static void setup(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(folder, "/tmp/test-client-command-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(socket_path, sizeof(socket_path), "%s/sock", folder);
	copy_string(address.sun_path, sizeof(address.sun_path), socket_path);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listener, 4), 0);
	setenv("CCBUF_SOCKET", socket_path, 1);
	setenv("TMPDIR", folder, 1);
	setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1);
}

static void teardown(void)
{
	char command[128];

	close_fd(&listener);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

struct child {
	pid_t pid;
	int output; /* of stdout and stderr */
	char text[65536];
	size_t length;
};

/* Starts a shell command line; "ccbuf-client" in it is the one that was built. */
static void start(struct child *child, const char *command)
{
	int ends[2];

	*child = (struct child){ 0 };
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	child->pid = fork();
	ck_assert_int_ge(child->pid, 0);
	if (child->pid == 0) {
		dup2(ends[1], 1);
		dup2(ends[1], 2);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	close(ends[1]);
	child->output = ends[0];
}

/* Reads until the output holds a text (or, with NULL, to its end). */
static void read_until(struct child *child, const char *text)
{
	while (!text || !strstr(child->text, text)) {
		struct pollfd fd = { child->output, POLLIN, 0 };
		ssize_t n;

		ck_assert_msg(poll(&fd, 1, 20000) == 1, "no '%s' in: %s", text ? text : "end",
			child->text);
		n = read(child->output, child->text + child->length,
			sizeof(child->text) - 1 - child->length);
		ck_assert_int_ge((int)n, 0);
		if (n == 0 && !text)
			return;
		ck_assert_msg(n > 0, "no '%s' in: %s", text ? text : "end", child->text);
		child->length += (size_t)n;
	}
}

/* The exit code, after the end of the output. */
static int finish(struct child *child)
{
	int status;

	read_until(child, NULL);
	close_fd(&child->output);
	ck_assert_int_eq(waitpid(child->pid, &status, 0), child->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(struct child *child, const char *arguments)
{
	char command[1024];

	snprintf(command, sizeof(command), "exec %s %s", CCBUF_CLIENT, arguments);
	start(child, command);
	return finish(child);
}

static const struct {
	const char *arguments;
	int code;
	const char *says;
} usages[] = {
	{ "", 2, "a verb is missing" },
	{ "--help", 0, "audit verify" },
	{ "--version", 0, "ccbuf-client " },
	{ "nonsense", 2, "no verb 'nonsense'" },
	{ "policy", 2, "policy check" },
	{ "help request", 0, "--accept-shared" },
	{ "help policy check", 0, "PATH" },
	{ "help nonsense", 2, "no verb" },
	{ "request --help", 0, "LISTEN_FDNAMES" },
	{ "list --help", 0, "orphaned" },
	{ "status --help", 0, "--json" },
	{ "why --help", 0, "--container" },
	{ "reload --help", 0, "mistake" },
	{ "revoke --help", 0, "SIGBUS" },
	{ "policy check --help", 0, "as the user that" },
	{ "policy show --help", 0, "digest" },
	{ "audit show --help", 0, "--follow" },
	{ "audit verify --help", 0, "--expect-last" },
	{ "doctor --help", 0, "--heaps" },
	{ "request", 2, "--use and --size" },
	{ "request --use a", 2, "--use and --size" },
	{ "request --use a --size 0x10", 2, "not a size" },
	{ "request --use a --size 16E", 2, "64 bits" },
	{ "request --use a --size -1", 2, "not a size" },
	{ "request --use a/b --size 1", 2, "letters" },
	{ "request --use a --size 1 --count 0", 2, "from 1 to 64" },
	{ "request --use a --size 1 --count 65", 2, "from 1 to 64" },
	{ "request --use a --size 1 --count 4K", 2, "from 1 to 64" },
	{ "request --use a --size 1 --transport tcp", 2, "'socket' and 'dbus'" },
	{ "request --use a --size 1 --label 01234567890123456789012345678901", 2, "printable" },
	{ "request --nonsense", 2, "unrecognized option" },
	{ "request --use", 2, "requires an argument" },
	{ "list extra", 2, "no argument" },
	{ "reload --json", 2, "--json" },
	{ "revoke", 2, "is missing" },
	{ "revoke 1 2", 2, "one grant at a time" },
	{ "revoke x", 2, "not a number" },
	{ "revoke 0", 2, "not a number" },
	{ "revoke --all 1", 2, "unrecognized option" },
	{ "revoke 1", 1, "cannot reach the bus" },
	{ "why --use a", 2, "--use and --size" },
	{ "why --use a --size 1 --container maybe", 2, "'yes' and 'no'" },
	{ "why --use a --size 1 --user no-such-user-here", 2, "no such user" },
	{ "why --use a --size 1 --group no-such-group-here", 2, "no such group" },
	{ "policy check --json", 2, "policy show" },
	{ "audit show --grant x", 2, "not a number" },
	{ "audit show a b", 2, "one FILE" },
	{ "audit verify --expect-last x", 2, "NUMBER:HASH" },
	{ "doctor extra", 2, "no argument" },
	{ "list", 1, "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent/bus" },
	{ "status", 1, "cannot reach the bus" },
	{ "reload", 1, "cannot reach the bus" },
	{ "why --use a --size 1", 1, "cannot reach the bus" },
	{ "request --use a --size 1 --transport dbus", 1, "cannot reach the bus" },
	{ "audit show /nonexistent", 1, "no audit trail" },
	{ "audit verify /nonexistent", 1, "no audit trail" },
	{ "policy check /nonexistent", 1, "/nonexistent" },
	{ "doctor --heaps /nonexistent", 1, "problem  bus" },
	{ "doctor --json", 1, "\"problems\": " },
	{ "--version > /dev/full", 1, "cannot write" },
};

START_TEST(usage)
{
	struct child child;

	ck_assert_msg(run(&child, usages[_i].arguments) == usages[_i].code, "%s: %s",
		usages[_i].arguments, child.text);
	ck_assert_msg(
		strstr(child.text, usages[_i].says), "%s: %s", usages[_i].arguments, child.text);
}
END_TEST

/* Takes a connection and a request over it, and answers with memfds or a refusal. */
static int serve(const char *refusal, struct wire_request *ret_request)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * REQUEST_COUNT_MAX)];
		struct cmsghdr header;
	} control = { 0 };
	struct wire_granted granted = { 0 };
	struct wire_refused refused = { 0 };
	struct iovec data = { &granted, sizeof(granted) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };
	struct pollfd waiting = { listener, POLLIN, 0 };
	int fds[REQUEST_COUNT_MAX], fd;

	ck_assert_int_eq(poll(&waiting, 1, 20000), 1);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_eq(
		(int)recv(fd, ret_request, sizeof(*ret_request), 0), (int)sizeof(*ret_request));
	if (refusal) {
		refused.header = (struct wire_header){ WIRE_VERSION, WIRE_REFUSED, sizeof(refused),
			ret_request->header.id };
		refused.verdict = CCBUF_DENIED;
		copy_string(refused.rule, sizeof(refused.rule), "guests");
		copy_string(refused.reason, sizeof(refused.reason), refusal);
		ck_assert_int_eq((int)send(fd, &refused, sizeof(refused), 0), (int)sizeof(refused));
		return fd;
	}
	granted.header = (struct wire_header){ WIRE_VERSION, WIRE_GRANTED, sizeof(granted),
		ret_request->header.id };
	granted.size = 4096;
	granted.count = ret_request->count;
	granted.exposure = EXPOSURE_EMULATED;
	for (uint32_t i = 0; i < granted.count; i++) {
		granted.grants[i] = 17 + i;
		fds[i] = memfd_create("buffer", MFD_CLOEXEC);
		ck_assert_int_eq(ftruncate(fds[i], 4096), 0);
		ck_assert_int_eq((int)pwrite(fds[i], &"ABCDEFGH"[i], 1, 0), 1);
	}
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(granted.count * sizeof(int));
	memcpy(CMSG_DATA(&control.header), fds, granted.count * sizeof(int));
	message.msg_control = &control;
	message.msg_controllen = CMSG_SPACE(granted.count * sizeof(int));
	ck_assert_int_eq((int)sendmsg(fd, &message, 0), (int)sizeof(granted));
	for (uint32_t i = 0; i < granted.count; i++)
		close(fds[i]);
	return fd;
}

static void serve_release(int fd, uint32_t still_held)
{
	struct wire_release asked;
	struct wire_released released = { 0 };

	ck_assert_int_eq((int)recv(fd, &asked, sizeof(asked), 0), (int)sizeof(asked));
	ck_assert_uint_eq(asked.header.type, WIRE_RELEASE);
	released.header = (struct wire_header){ WIRE_VERSION, WIRE_RELEASED, sizeof(released),
		asked.header.id };
	released.grant = asked.grant;
	released.still_held = still_held;
	ck_assert_int_eq((int)send(fd, &released, sizeof(released), 0), (int)sizeof(released));
}

START_TEST(held_until_interrupted)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct wire_request request;
	struct child child;
	int fd;

	start(&child, "exec " CCBUF_CLIENT
		      " request --use scratch --size 100 --count 2 --read-only --label ring");
	fd = serve(NULL, &request);
	ck_assert_str_eq(request.use, "scratch");
	ck_assert_str_eq(request.label, "ring");
	ck_assert_uint_eq(request.size, 100);
	ck_assert_uint_eq(request.flags, WIRE_READ_ONLY);
	read_until(&child, "grant 18: 4K for scratch, emulated, fd ");
	kill(child.pid, signals[_i]);
	serve_release(fd, 0);
	serve_release(fd, 1);
	ck_assert_int_eq(finish(&child), 0);
	ck_assert_ptr_nonnull(strstr(child.text, "grant 17: given back"));
	ck_assert_ptr_nonnull(strstr(child.text, "grant 18: closed, but something still holds"));
	close(fd);
}
END_TEST

START_TEST(held_as_json)
{
	struct wire_request request;
	struct child child;
	int fd;

	start(&child, "exec " CCBUF_CLIENT " request --use scratch --size 100 --json");
	fd = serve(NULL, &request);
	read_until(&child, "\n");
	ck_assert_ptr_nonnull(strstr(child.text, "{\"grant\":17,\"use\":\"scratch\","
						 "\"size\":4096,\"exposure\":\"emulated\","));
	close(fd);
	kill(child.pid, SIGTERM);
	ck_assert_int_eq(finish(&child), 1);
	ck_assert_ptr_nonnull(strstr(child.text, "ended the connection"));
}
END_TEST

START_TEST(inherited)
{
	struct wire_request request;
	struct child child;
	int fd;

	start(&child,
		"exec " CCBUF_CLIENT " request --use scratch --size 100 --count 3 --label a:b -- "
		"sh -c 'echo fds $LISTEN_FDS names $LISTEN_FDNAMES; "
		"[ $LISTEN_PID = $$ ] && echo same; head -c1 <&3; head -c1 <&4; "
		"head -c1 <&5; for n in 6 7 8 9; do [ -e /proc/$$/fd/$n ] && "
		"echo left $n; done; exit 9' 6<&- 7<&- 8<&- 9<&-");
	fd = serve(NULL, &request);
	ck_assert_str_eq(request.label, "a:b");
	ck_assert_int_eq(finish(&child), 9);
	ck_assert_ptr_nonnull(strstr(child.text, "fds 3 names a_b:a_b:a_b\nsame\nABC"));
	/* Nothing of ours besides. */
	ck_assert_ptr_null(strstr(child.text, "left"));
	close(fd);
}
END_TEST

/* As shells tell a command that is not there from one that cannot be run. */
START_TEST(command_not_found)
{
	static const struct {
		const char *command, *words;
		int code;
	} cases[] = {
		{ "/nonexistent/program", "cannot run /nonexistent/program: No such file", 127 },
		{ "no-such-program", "cannot run no-such-program: No such file", 127 },
		{ "/etc/passwd", "cannot run /etc/passwd: Permission denied", 126 },
		{ "/etc/passwd/x", "cannot run /etc/passwd/x: Not a directory", 126 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct wire_request request;
		struct child child;
		char command[256];
		int fd;

		snprintf(command, sizeof(command),
			"exec " CCBUF_CLIENT " request --use s --size 1 -- %s", cases[i].command);
		start(&child, command);
		fd = serve(NULL, &request);
		ck_assert_int_eq(finish(&child), cases[i].code);
		ck_assert_msg(strstr(child.text, cases[i].words) != NULL, "%s", child.text);
		close(fd);
	}
}
END_TEST

START_TEST(refused)
{
	struct wire_request request;
	struct child child;
	int fd;

	start(&child, "exec " CCBUF_CLIENT " request --use s --size 1 --json --accept-shared");
	fd = serve("no\033[2J\nway", &request);
	ck_assert_uint_eq(request.flags, WIRE_ACCEPT_SHARED);
	ck_assert_int_eq(finish(&child), 3);
	ck_assert_ptr_nonnull(strstr(child.text, "{\"verdict\":\"denied\",\"code\":3,\"rule\":"
						 "\"guests\",\"reason\":\"no\\u001b[2J\\nway\""));
	ck_assert_ptr_nonnull(
		strstr(child.text, "refused (denied): no\\x1b[2J\\x0away (rule guests)"));
	ck_assert_ptr_nonnull(strstr(child.text, "A rule of the policy denies this."));
	close(fd);
}
END_TEST

START_TEST(no_socket)
{
	struct child child;

	close_fd(&listener);
	ck_assert_int_eq(run(&child, "request --use s --size 1"), 1);
	ck_assert_ptr_nonnull(strstr(child.text, "nobody listens at"));
	unlink(socket_path);
	ck_assert_int_eq(run(&child, "request --use s --size 1"), 1);
	ck_assert_ptr_nonnull(strstr(child.text, "there is no socket"));
	ck_assert_ptr_nonnull(strstr(child.text, "CCBUF_SOCKET"));
}
END_TEST

static struct chain written;

/* Adds a record to a file, with its newline unless half. */
static void put_record(const char *path, const char *rest)
{
	char prev[CHAIN_HASH_TEXT], line[1024];
	FILE *file = fopen(path, "ae");
	int length;

	ck_assert_ptr_nonnull(file);
	chain_hash_text(&written, prev);
	length = snprintf(line, sizeof(line), "{\"seq\":%ju,\"prev\":\"%s\",%s}",
		(uintmax_t)written.sequence + 1, prev, rest);
	chain_advance(&written, line, (size_t)length);
	fputs(line, file);
	fputc('\n', file);
	fclose(file);
}

START_TEST(trail_shown)
{
	char path[128], arguments[256];
	struct child child;
	FILE *file;

	written = (struct chain){ 0 };
	snprintf(path, sizeof(path), "%s/trail", folder);
	put_record(path, "\"event\":\"start\",\"reason\":\"evil\xc2\x9b\\u001b[2J\"");
	put_record(path, "\"event\":\"grant\",\"peer\":{\"uid\":4242},\"buffers\":[{\"grant\":5}]");
	put_record(path, "\"event\":\"deny\",\"peer\":{\"uid\":0}");
	snprintf(arguments, sizeof(arguments), "audit show %s", path);
	ck_assert_int_eq(run(&child, arguments), 0);
	ck_assert_ptr_nonnull(strstr(child.text, "evil\\u009b\\x1b[2J\n"));
	ck_assert_ptr_nonnull(strstr(child.text, " 3 deny"));
	snprintf(arguments, sizeof(arguments), "audit show --json --user 4242 %s", path);
	ck_assert_int_eq(run(&child, arguments), 0);
	ck_assert_ptr_eq(strstr(child.text, "{\"seq\":2,"), child.text);
	ck_assert_ptr_null(strstr(child.text, "deny"));
	snprintf(arguments, sizeof(arguments), "audit show --grant 5 %s", path);
	ck_assert_int_eq(run(&child, arguments), 0);
	ck_assert_ptr_nonnull(strstr(child.text, "grant 5"));
	ck_assert_ptr_null(strstr(child.text, "deny"));
	file = fopen(path, "ae");
	fputs("\033[2Jgarbage\n", file);
	fclose(file);
	snprintf(arguments, sizeof(arguments), "audit show --json %s", path);
	ck_assert_int_eq(run(&child, arguments), 0);
	ck_assert_ptr_nonnull(strstr(child.text, "after record 3 is no record"));
	ck_assert_ptr_null(strchr(child.text, '\033'));
}
END_TEST

START_TEST(trail_followed)
{
	char path[128], rotated[160], command[256];
	struct child child;

	written = (struct chain){ 0 };
	snprintf(path, sizeof(path), "%s/trail", folder);
	snprintf(rotated, sizeof(rotated), "%s.%020d", path, 1);
	put_record(path, "\"event\":\"start\"");
	snprintf(command, sizeof(command), "exec %s audit show --follow %s", CCBUF_CLIENT, path);
	start(&child, command);
	read_until(&child, " 1 start");
	put_record(path, "\"event\":\"one\"");
	read_until(&child, " 2 one");
	/* Written and rotated twice before anybody looks. */
	put_record(path, "\"event\":\"two\"");
	ck_assert_int_eq(rename(path, rotated), 0);
	put_record(path, "\"event\":\"three\"");
	snprintf(rotated, sizeof(rotated), "%s.%020d", path, 4);
	ck_assert_int_eq(rename(path, rotated), 0);
	put_record(path, "\"event\":\"four\"");
	read_until(&child, " 5 four");
	put_record(path, "\"event\":\"five\"");
	read_until(&child, " 6 five");
	kill(child.pid, SIGTERM);
	ck_assert_int_eq(finish(&child), 128 + SIGTERM);
	ck_assert_ptr_nonnull(strstr(child.text, " 3 two"));
	ck_assert_ptr_nonnull(strstr(child.text, " 4 three"));
	ck_assert_ptr_null(strstr(strstr(child.text, " 2 one") + 1, " 2 one"));
}
END_TEST

START_TEST(trail_verified)
{
	char path[128], arguments[512], hash[CHAIN_HASH_TEXT];
	struct child child;
	FILE *file;

	written = (struct chain){ 0 };
	snprintf(path, sizeof(path), "%s/trail", folder);
	put_record(path, "\"event\":\"start\"");
	put_record(path, "\"event\":\"grant\"");
	put_record(path, "\"event\":\"stop\"");
	chain_hash_text(&written, hash);
	snprintf(arguments, sizeof(arguments), "audit verify --expect-last 3:%s %s", hash, path);
	ck_assert_int_eq(run(&child, arguments), 0);
	ck_assert_ptr_nonnull(strstr(child.text, "whole from record 1 to 3"));
	ck_assert_ptr_nonnull(strstr(child.text, "record 3 is the one that was noted"));
	ck_assert_ptr_nonnull(strstr(child.text, hash));
	snprintf(arguments, sizeof(arguments), "audit verify --expect-last 4:%s %s", hash, path);
	ck_assert_int_eq(run(&child, arguments), 1);
	ck_assert_ptr_nonnull(strstr(child.text, "cut: record 4 was noted"));
	file = fopen(path, "r+e");
	fseek(file, 86, SEEK_SET);
	fputc('X', file);
	fclose(file);
	snprintf(arguments, sizeof(arguments), "audit verify %s", path);
	ck_assert_int_eq(run(&child, arguments), 1);
	ck_assert_ptr_nonnull(strstr(child.text, "/trail:1: altered: record 1"));
	snprintf(arguments, sizeof(arguments), "audit verify --json %s", path);
	ck_assert_int_eq(run(&child, arguments), 1);
	ck_assert_ptr_nonnull(strstr(child.text, "\"whole\": false"));
	ck_assert_ptr_nonnull(strstr(child.text, "\"kind\": \"altered\""));
}
END_TEST

START_TEST(completion)
{
	static const struct {
		const char *words, *expected;
	} cases[] = {
		{ "ccbuf-client re", "request reload revoke" },
		{ "ccbuf-client audit ''", "show verify" },
		{ "ccbuf-client audit verify --e", "--expect-last" },
		{ "ccbuf-client request --transport ''", "socket dbus" },
		{ "ccbuf-client request --use s --re", "--read-only" },
		{ "ccbuf-client help policy ''", "check show" },
		{ "ccbuf-client why --use ''", "" },
		/* bash splits at the "=", unless it was told otherwise */
		{ "ccbuf-client request --transport = so", "socket" },
		{ "ccbuf-client request --transport =", "socket dbus" },
		{ "ccbuf-client request --transport=", "--transport=socket --transport=dbus" },
		{ "ccbuf-client why --container=y", "--container=yes" },
		{ "ccbuf-client why --identity = w", "weak" },
		{ "ccbuf-client why --use = ''", "" },
		{ "ccbuf-client request --label=x --tr", "--transport" },
	};
	char command[1024], expected[128];
	struct child child;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(command, sizeof(command),
			"bash -c 'set -eu; . %s/client/ccbuf-client.bash; COMP_WORDS=(%s); "
			"COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _ccbuf_client; "
			"echo \"=${COMPREPLY[*]}=\"'",
			CCBUF_SOURCE, cases[i].words);
		for (char *p = strstr(command, "''"); p; p = strstr(p, "''"))
			memcpy(p, "\"\"", 2);
		start(&child, command);
		snprintf(expected, sizeof(expected), "=%s=\n", cases[i].expected);
		ck_assert_msg(finish(&child) == 0, "%s", child.text);
		ck_assert_str_eq(child.text, expected);
	}
}
END_TEST

/* The program in libccbuf(3), and the header by itself, with strict compilers. */
START_TEST(documentation)
{
	struct child child;

	start(&child, "set -eu; cd " CCBUF_SOURCE "; "
		      "sed -n '/example begins/,/example ends/p' man/libccbuf.3 | grep -v '^\\.' | "
		      "sed 's/\\\\-/-/g; s/\\\\e/\\\\/g' >$TMPDIR/example.c; "
		      "grep -q ccbuf_request $TMPDIR/example.c; "
		      "cc -std=c99 -Wall -Wextra -pedantic -Werror -Iclient/lib -fsyntax-only "
		      "$TMPDIR/example.c; "
		      "echo '#include \"ccbuf.h\"' >$TMPDIR/header.cc; "
		      "c++ -std=c++11 -Wall -Wextra -pedantic -Werror -Iclient/lib -fsyntax-only "
		      "$TMPDIR/header.cc");
	ck_assert_msg(finish(&child) == 0, "%s", child.text);
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { setup, teardown };
	const struct test tests[] = {
		{ usage, .times = ARRAY_SIZE(usages) },
		{ held_until_interrupted, .times = 3 },
		{ held_as_json },
		{ inherited },
		{ command_not_found },
		{ refused },
		{ no_socket },
		{ trail_shown },
		{ trail_followed },
		{ trail_verified },
		{ completion },
		{ documentation },
		{ NULL },
	};

	return run_tests(argc, argv, "client-command", &hooks, tests);
}

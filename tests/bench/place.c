/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Folders and processes. It must never touch anything outside of its folder, nor the system's bus.
 */
#include "place.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "bench.h"
#include "util.h"

#define READY_MSEC 10000
#define STOP_MSEC  30000

/* Printed to with the durability, and with the folder. */
#define POLICY                                                                                     \
	"{ \"version\": 1,\n"                                                                      \
	"\"uses\": { \"bench\": { \"heap\": \"emulated\" } },\n"                                   \
	"\"limits\": { \"total\": \"90%%\", \"emulated-per-user\": \"90%%\",\n"                    \
	"\t\"connections-per-user\": 256 },\n"                                                     \
	"\"audit\": { \"durability\": \"%s\" },\n"                                                 \
	"\"rules\": [ { \"name\": \"bench\", \"match\": { },\n"                                    \
	"\t\"allow\": { \"use\": [ \"bench\" ] } } ] }\n"
#define BUS_CONFIG                                                                                 \
	"<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"     \
	" \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"                      \
	"<busconfig><type>custom</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>\n"   \
	"<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>\n"                      \
	"<allow send_destination=\"*\"/><allow receive_sender=\"*\"/></policy></busconfig>\n"

/* --- processes --- */

/* In a new child: no end without the parent, no output where figures go. */
static void settle(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	dup2(STDERR_FILENO, STDOUT_FILENO);
}

pid_t child_start(void (*function)(void *userdata), void *userdata)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return -errno;
	if (pid > 0)
		return pid;
	settle(parent);
	function(userdata);
	_exit(EXIT_SUCCESS);
}

void child_stop(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

struct program {
	const struct place *place;
	const char *const *argv;
};

static void execute(void *userdata)
{
	const struct program *program = userdata;
	char notify[96];

	snprintf(notify, sizeof(notify), "%s/notify", program->place->folder);
	setenv("NOTIFY_SOCKET", notify, 1);
	setenv("DBUS_SYSTEM_BUS_ADDRESS", program->place->bus, 1);
	execvp(program->argv[0], (char *const *)(uintptr_t)program->argv);
	_exit(127);
}

/* Whether one of the lines that came is READY=1. */
static bool says_ready(const char *text)
{
	const char *at = strstr(text, "READY=1");

	return at && (at == text || at[-1] == '\n');
}

static int wait_ready(const struct place *place, pid_t pid)
{
	struct pollfd poll_fd = { .fd = place->notify, .events = POLLIN };
	char text[512];

	for (int left = READY_MSEC; left > 0; left -= 100) {
		ssize_t n;

		if (poll(&poll_fd, 1, 100) > 0) {
			n = recv(place->notify, text, sizeof(text) - 1, 0);
			text[n > 0 ? n : 0] = 0;
			if (says_ready(text))
				return 0;
		} else if (waitpid(pid, NULL, WNOHANG) == pid) {
			return -ECHILD;
		}
	}
	return -ETIMEDOUT;
}

int service_start(const struct place *place, const char *const argv[], struct service *ret_service)
{
	struct program program = { place, argv };
	uint64_t begun = bench_now(), ended;
	pid_t pid = child_start(execute, &program);
	int r;

	if (pid < 0)
		return pid;
	r = wait_ready(place, pid);
	ended = bench_now();
	if (r < 0) {
		fprintf(stderr, "ccbuf-bench: %s does not get ready: %s\n", argv[0],
			r == -ECHILD ? "it ended" : strerror(-r));
		if (r != -ECHILD)
			child_stop(pid);
		return r;
	}
	*ret_service = (struct service){ pid, ended - begun };
	return 0;
}

int service_start_ccbufd(const struct place *place, const char *path, struct service *ret_service)
{
	char policy_folder[80], audit[80];
	const char *argv[10] = { path, "--policy", policy_folder, "--audit", audit, "--socket",
		place->socket };
	size_t n = 7;

	if (!place->bus[0])
		argv[n++] = "--no-bus";
	if (BENCH_SANITIZED)
		argv[n++] = "--no-seccomp";
	snprintf(policy_folder, sizeof(policy_folder), "%s/policy", place->folder);
	snprintf(audit, sizeof(audit), "%s/audit.jsonl", place->folder);
	return service_start(place, argv, ret_service);
}

void service_stop(struct service *service)
{
	if (service->pid <= 0)
		return;
	kill(service->pid, SIGTERM);
	for (int left = STOP_MSEC; waitpid(service->pid, NULL, WNOHANG) == 0; left--) {
		if (left == 0) {
			child_stop(service->pid);
			break;
		}
		usleep(1000);
	}
	service->pid = 0;
}

/* --- the place --- */

static int create(const struct place *place, const char *name, FILE **ret_to)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/%s", place->folder, name);
	*ret_to = fopen(path, "we");
	return *ret_to ? 0 : -errno;
}

static void run_bus(void *userdata)
{
	const struct place *place = userdata;
	char config[96];
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	/* It complains of limits that only root may raise. */
	if (null >= 0)
		dup2(null, STDERR_FILENO);
	snprintf(config, sizeof(config), "--config-file=%s/bus.conf", place->folder);
	execlp("dbus-daemon", "dbus-daemon", "--nofork", config, (char *)NULL);
	_exit(127);
}

/* Starts it and waits until it listens. A machine without one is no failure. */
static int start_bus(struct place *place)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	FILE *to;
	int r = create(place, "bus.conf", &to);

	if (r < 0)
		return r;
	fprintf(to, BUS_CONFIG, place->folder);
	if (fclose(to))
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/bus", place->folder);
	place->bus_daemon = child_start(run_bus, place);
	if (place->bus_daemon < 0)
		return place->bus_daemon;
	for (int left = READY_MSEC; left > 0; left--) {
		cleanup(cleanup_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) >= 0) {
			snprintf(place->bus, sizeof(place->bus), "unix:path=%s/bus", place->folder);
			return 0;
		}
		if (waitpid(place->bus_daemon, NULL, WNOHANG) == place->bus_daemon) {
			place->bus_daemon = 0;
			return 0;
		}
		usleep(1000);
	}
	return -ETIMEDOUT;
}

static int open_notify(struct place *place)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", place->folder);
	place->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (place->notify < 0 ||
		bind(place->notify, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return 0;
}

int place_new(const char *parent, const char *durability, struct place *ret_place)
{
	struct place place = { .notify = -1 };
	char path[96];
	FILE *to;
	int r;

	if (snprintf(place.folder, sizeof(place.folder), "%s/ccbuf-bench-XXXXXX", parent) >=
		(int)sizeof(place.folder))
		return -ENAMETOOLONG;
	/* Other users' clients have to get at the socket. */
	if (!mkdtemp(place.folder) || chmod(place.folder, 0711) < 0)
		return -errno;
	snprintf(place.socket, sizeof(place.socket), "%s/socket", place.folder);
	snprintf(path, sizeof(path), "%s/policy", place.folder);
	r = mkdir(path, 0755) < 0 ? -errno : 0;
	if (r >= 0)
		r = create(&place, "policy/10-bench.json", &to);
	if (r >= 0) {
		fprintf(to, POLICY, durability);
		r = fclose(to) ? -errno : 0;
	}
	if (r >= 0)
		r = open_notify(&place);
	if (r >= 0)
		r = start_bus(&place);
	if (r < 0) {
		place_done(&place);
		return r;
	}
	*ret_place = place;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void place_done(struct place *place)
{
	child_stop(place->bus_daemon);
	close_fd(&place->notify);
	if (place->folder[0])
		nftw(place->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	*place = (struct place){ .notify = -1 };
}

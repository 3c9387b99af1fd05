/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Grants of a quiet user while another user is at every limit at once, against the same grants
 * alone; and beside as many processes that compute and leave the daemon alone, as a processor that
 * others want, too, is nothing that a daemon can mend. All in turn. A refusal of the quiet user is
 * counted, never passed over.
 */
#include "groups.h"

#include <grp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>

#include "holder.h"
#include "util.h"
#include "wire.h"

#define HOSTILE_USER                                                                               \
	1 /* an ordinary user that every system has: a bus wants to know it; the quiet one is root \
	   */
#define ROUNDS		 8
#define PHASE_NSEC	 UINT64_C(500000000)
#define PHASE_NSEC_QUICK UINT64_C(10000000)
#define SETTLE_USEC	 200000
#define GOAL		 3
#define FDS_MAX		 128
#define HELD_MAX	 2048 /* more, and its fds were all buffers, and no connection its */
#define BUSES_MAX	 8
#define CALLS		 32 /* of a connection to the bus, under way */

enum phase { ALONE, COMPUTING, SOCKET, BOTH_DOORS, PHASES };

/* What the hostile user does, a process each. Connections: 256 are its limit, all together. */
enum kind { READS, HOLDS, UNREAD, HANGS_UP, RUBBISH, LISTS, ASKS_WHY, KINDS };
static const unsigned int n_fds[KINDS] = { 24, 24, 120, 64, 32, BUSES_MAX, BUSES_MAX };

struct load {
	_Atomic unsigned int n_failed;
	_Atomic uint64_t n_sent[PHASES];
	const struct place *place;
	const struct cpus *cpus;
};

struct hostile {
	struct load *load;
	enum phase phase;
	enum kind kind;
	unsigned int n_held;
	int fds[FDS_MAX];
	struct {
		sd_bus *bus;
		unsigned int n_calls;
	} buses[BUSES_MAX];
};

/* --- the hostile user, on the socket --- */

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && copy_string(address.sun_path, sizeof(address.sun_path), path) &&
		connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		close_fd(&fd);
	return fd;
}

static bool send_request(int fd)
{
	struct wire_request packet = {
		.header = { WIRE_VERSION, WIRE_REQUEST, sizeof(packet), 1 },
		.size = BENCH_SIZE,
		.count = 1,
		.use = "bench",
	};

	return send(fd, &packet, sizeof(packet), MSG_NOSIGNAL) >= 0;
}

static bool send_rubbish(int fd)
{
	struct wire_request packet = { { WIRE_VERSION, WIRE_REQUEST, sizeof(packet), 1 } };
	size_t from = random() % 2 ? sizeof(packet.header) : 0;

	for (size_t i = from; i < sizeof(packet); i++)
		((unsigned char *)&packet)[i] = (unsigned char)random();
	return send(fd, &packet, from ? sizeof(packet) : (size_t)random() % sizeof(packet),
		       MSG_NOSIGNAL) >= 0;
}

/* Takes one reply, and gives back what it brings, or leaves that charged. False when there is none.
 */
static bool take_reply(struct hostile *hostile, int fd)
{
	struct wire_granted reply = { 0 };
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { &reply, sizeof(reply) };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;

	if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC) <= 0)
		return false;
	cmsg = CMSG_FIRSTHDR(&message);
	if (cmsg && cmsg->cmsg_type == SCM_RIGHTS)
		close(*(int *)CMSG_DATA(cmsg));
	if (reply.header.type != WIRE_GRANTED)
		return true;
	if (hostile->kind == READS || hostile->n_held == HELD_MAX) {
		struct wire_release packet = {
			.header = { WIRE_VERSION, WIRE_RELEASE, sizeof(packet), 2 },
			.grant = reply.grants[0],
		};

		send(fd, &packet, sizeof(packet), MSG_NOSIGNAL);
	} else {
		hostile->n_held++;
	}
	return true;
}

static void turn(struct hostile *hostile, int *fd)
{
	bool rubbish = hostile->kind == RUBBISH, sent = true;

	/* As it was left a turn ago: with requests under way, or behind a packet of rubbish. */
	if (hostile->kind == HANGS_UP || rubbish)
		close_fd(fd);
	if (*fd < 0)
		*fd = connect_to(hostile->load->place->socket);
	if (*fd < 0)
		return;
	for (int i = 0; sent && i < WIRE_IN_FLIGHT_MAX; i++) {
		sent = rubbish ? send_rubbish(*fd) : send_request(*fd);
		hostile->load->n_sent[hostile->phase] += sent;
	}
	if (!sent && errno != EAGAIN)
		close_fd(fd);
	if (hostile->kind != READS && hostile->kind != HOLDS)
		return;
	for (int i = 0; *fd >= 0 && i < WIRE_IN_FLIGHT_MAX; i++)
		if (!take_reply(hostile, *fd))
			break;
}

/* --- and on the bus --- */

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	unsigned int *n_calls = userdata;

	(void)reply, (void)error;
	--*n_calls;
	return 0;
}

static void turn_bus(struct hostile *hostile, sd_bus **bus, unsigned int *n_calls)
{
	static const char broker[] = "org.ccbuf.Broker1", path[] = "/org/ccbuf/Broker1";
	int r = 0;

	if (!*bus && sd_bus_open_system(bus) < 0)
		return;
	while (r >= 0 && *n_calls < CALLS) {
		r = hostile->kind == LISTS
			    ? sd_bus_call_method_async(*bus, NULL, broker, path, broker,
				      "ListGrants", on_reply, n_calls, NULL)
			    : sd_bus_call_method_async(*bus, NULL, broker, path, broker, "Why",
				      on_reply, n_calls, "sta{sv}", "bench", BENCH_SIZE, 0);
		*n_calls += r >= 0;
		hostile->load->n_sent[hostile->phase] += r >= 0;
	}
	for (int i = 0; i < CALLS && r >= 0; i++) {
		r = sd_bus_process(*bus, NULL);
		if (r == 0)
			break;
	}
	if (r < 0) {
		*bus = sd_bus_close_unref(*bus);
		*n_calls = 0;
	}
}

static void turns(struct hostile *hostile)
{
	for (unsigned int i = 0; i < n_fds[hostile->kind]; i++) {
		if (hostile->kind >= LISTS)
			turn_bus(hostile, &hostile->buses[i].bus, &hostile->buses[i].n_calls);
		else
			turn(hostile, &hostile->fds[i]);
	}
}

static void run_hostile(void *userdata)
{
	struct hostile *hostile = userdata;
	struct load *load = hostile->load;
	pid_t parent = getppid();

	cpus_use_all(load->cpus);
	/* Who shares a processor with others waits for it, whatever the daemon does. This one takes
	 * what is left of both, so that what the quiet user waits for is the daemon. */
	sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){ 0 });
	srandom(1);
	setenv("DBUS_SYSTEM_BUS_ADDRESS", load->place->bus, 1);
	if (setgroups(0, NULL) < 0 || setresgid(HOSTILE_USER, HOSTILE_USER, HOSTILE_USER) < 0 ||
		setresuid(HOSTILE_USER, HOSTILE_USER, HOSTILE_USER) < 0) {
		load->n_failed++;
		return;
	}
	/* The kernel forgets it when a process becomes another user's. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		return;
	for (;;) {
		if (hostile->phase == COMPUTING)
			continue;
		/* What it was sent is its process's: that ends, too, or is at its limit for good.
		 */
		if (hostile->kind != HANGS_UP)
			turns(hostile);
		else if (fork() == 0) {
			turns(hostile);
			_exit(EXIT_SUCCESS);
		} else
			wait(NULL);
	}
}

/* --- the quiet user --- */

struct quiet {
	struct holder holder;
	struct samples samples[PHASES];
	unsigned int n_refused;
};

static int ask(struct quiet *quiet, enum phase phase)
{
	struct holder *holder = &quiet->holder;
	struct ccbuf_buffer buffer;
	uint64_t begun = bench_now();
	int r = ccbuf_request(holder->connection, &holder->request, &buffer);

	if (r < 0)
		return r;
	if (r > 0) {
		if (!quiet->n_refused++)
			fprintf(stderr, "ccbuf-bench: the quiet user is refused: %s\n",
				ccbuf_reason(holder->connection));
		return 0;
	}
	if (!samples_add(&quiet->samples[phase], bench_now() - begun))
		return -ENOMEM;
	close(buffer.fd);
	holder->grants[holder->n_grants++] = buffer.grant;
	return 0;
}

static int ask_for(struct quiet *quiet, enum phase phase, uint64_t nanoseconds)
{
	uint64_t end = bench_now() + nanoseconds;
	int r = 0;

	while (r >= 0 && bench_now() < end) {
		for (unsigned int i = 0; r >= 0 && i < BENCH_BLOCK; i++)
			r = ask(quiet, phase);
		if (r >= 0)
			r = holder_release(&quiet->holder);
	}
	return r;
}

static void stop(pid_t pids[KINDS])
{
	for (int i = 0; i < KINDS; i++) {
		child_stop(pids[i]);
		pids[i] = 0;
	}
}

static int start(struct load *load, enum phase phase, pid_t pids[KINDS])
{
	unsigned int n = phase == ALONE ? 0 : phase == SOCKET ? LISTS : KINDS;
	struct hostile hostile = { .load = load, .phase = phase };

	for (unsigned int i = 0; i < FDS_MAX; i++)
		hostile.fds[i] = -1;
	for (hostile.kind = 0; hostile.kind < n; hostile.kind++) {
		pids[hostile.kind] = child_start(run_hostile, &hostile);
		if (pids[hostile.kind] < 0)
			return pids[hostile.kind];
	}
	usleep(SETTLE_USEC);
	return load->n_failed ? -EPERM : 0;
}

static int measure(const struct setting *setting, struct load *load, struct quiet *quiet)
{
	bool quick = setting->report->quick;
	pid_t pids[KINDS] = { 0 };
	int r = 0;

	for (unsigned int i = 0; r >= 0 && i < (quick ? 1 : ROUNDS); i++) {
		for (enum phase phase = 0; r >= 0 && phase < PHASES; phase++) {
			if (phase == BOTH_DOORS && !load->place->bus[0])
				continue;
			r = start(load, phase, pids);
			if (r >= 0)
				r = ask_for(quiet, phase, quick ? PHASE_NSEC_QUICK : PHASE_NSEC);
			stop(pids);
			usleep(SETTLE_USEC);
		}
	}
	return r;
}

static void report(struct report *report, struct load *load, struct quiet *quiet)
{
	static const char *const names[PHASES][4] = {
		{ "quiet user alone: median", "quiet user alone: p99" },
		{ "beside 7 processes that compute: median",
			"beside 7 processes that compute: p99" },
		{ "beside a hostile user of the socket: median",
			"beside a hostile user of the socket: p99", "what that one sent meanwhile",
			"the same against processes that compute: p99" },
		{ "beside a hostile user of both doors: median",
			"beside a hostile user of both doors: p99",
			"what that one sent on both meanwhile",
			"both doors against processes that compute: p99" },
	};
	double median = samples_median(&quiet->samples[ALONE]);
	double p99 = samples_p99(&quiet->samples[ALONE]);
	double busy = quiet->samples[COMPUTING].count ? samples_p99(&quiet->samples[COMPUTING]) : 0;

	for (enum phase phase = 0; phase < PHASES; phase++) {
		struct samples *samples = &quiet->samples[phase];
		struct figure figures[] = {
			{ .name = names[phase][0], .value = samples_median(samples), .unit = "us" },
			{ .name = names[phase][1], .value = samples_p99(samples), .unit = "us" },
		};

		if (!samples->count)
			continue;
		if (phase != ALONE) {
			figures[0].ratio = figures[0].value / median;
			figures[1].ratio = figures[1].value / p99;
		}
		if (phase >= SOCKET) {
			figures[1].goal = GOAL_RATIO_AT_MOST;
			figures[1].limit = GOAL;
		}
		report_add(report, &figures[0]);
		report_add(report, &figures[1]);
		if (phase < SOCKET)
			continue;
		/* What processors that are busy cost anybody is not the daemon's. */
		if (busy > 0)
			report_add(report, &(struct figure){ .name = names[phase][3],
						   .value = figures[1].value,
						   .unit = "us",
						   .ratio = figures[1].value / busy,
						   .goal = GOAL_RATIO_AT_MOST,
						   .limit = GOAL });
		report_add(report, &(struct figure){ .name = names[phase][2],
					   .value = (double)load->n_sent[phase],
					   .unit = "packets" });
	}
	report_add(report, &(struct figure){ .name = "refusals of the quiet user",
				   .value = quiet->n_refused,
				   .unit = "refusals",
				   .goal = GOAL_VALUE_AT_MOST,
				   .limit = 0 });
}

static int run(const struct setting *setting, const struct place *place, const struct cpus *cpus)
{
	struct quiet *quiet = calloc(1, sizeof(*quiet));
	struct load *load = mmap(
		NULL, sizeof(*load), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int r;

	if (!quiet || load == MAP_FAILED) {
		free(quiet);
		return -ENOMEM;
	}
	load->place = place;
	load->cpus = cpus;
	cpus_use(cpus->client);
	r = holder_init(&quiet->holder, place->socket, BENCH_SIZE, 1);
	if (r >= 0) {
		r = measure(setting, load, quiet);
		holder_done(&quiet->holder);
	}
	cpus_use_all(cpus);
	if (r >= 0)
		report(setting->report, load, quiet);
	for (int i = 0; i < PHASES; i++)
		samples_done(&quiet->samples[i]);
	munmap(load, sizeof(*load));
	free(quiet);
	return r;
}

int bench_hostile(const struct setting *setting)
{
	struct service service = { 0 };
	struct place place;
	struct cpus cpus;
	int r;

	if (getuid() != 0) {
		fputs("ccbuf-bench: hostile: other users take root: not measured\n", stderr);
		return 0;
	}
	r = place_new(setting->folder, "written", &place);
	if (r < 0)
		return r;
	cpus_init(&cpus);
	cpus_use(cpus.service);
	r = service_start_ccbufd(&place, setting->ccbufd, &service);
	cpus_use_all(&cpus);
	if (r >= 0)
		r = run(setting, &place, &cpus);
	service_stop(&service);
	place_done(&place);
	return r;
}

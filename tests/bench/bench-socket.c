/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One grant over the socket against a bare request and reply, and batches against singles.
 */
#include "groups.h"

#include <sys/socket.h>

#include "bare.h"
#include "holder.h"
#include "util.h"

#define ROUNDS	     100
#define ROUNDS_QUICK 2
#define GRANT_GOAL   1.5

#define BATCH	     64
#define BATCH_ROUNDS 20
#define BATCH_GOAL   6

/* Client and service on one CPU each: what happens by itself while CPUs are idle. */
static const char *const bare_two[] = { "bare request, reply, memfd 64 KiB, two CPUs: median",
	"bare request, reply, memfd 64 KiB, two CPUs: p99" };
static const char *const grant_two[] = { "grant over the socket, 64 KiB, two CPUs: median",
	"grant over the socket, 64 KiB, two CPUs: p99" };
/* Both on one CPU: what happens by itself while CPUs are busy. */
static const char *const bare_one[] = { "bare request, reply, memfd 64 KiB, one CPU: median",
	"bare request, reply, memfd 64 KiB, one CPU: p99" };
static const char *const grant_one[] = { "grant over the socket, 64 KiB, one CPU: median",
	"grant over the socket, 64 KiB, one CPU: p99" };

static int compare(const struct setting *setting, int *bare, struct holder *holder,
	const char *const names_bare[2], const char *const names_grant[2])
{
	struct side a = { .run = bare_socket_ask, .userdata = bare };
	struct side b = { .run = holder_ask, .rest = holder_release, .userdata = holder };
	int r = bench_pair(&a, &b, setting->report->quick ? ROUNDS_QUICK : ROUNDS);

	if (r >= 0)
		report_pair(setting->report, &a, names_bare, &b, names_grant, GRANT_GOAL);
	samples_done(&a.samples);
	samples_done(&b.samples);
	return r;
}

static int run_socket(
	const struct setting *setting, const struct place *place, const struct cpus *cpus)
{
	struct holder holder;
	int ends[2], r = 0;
	pid_t server;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	cpus_use(cpus->service);
	server = child_start(bare_socket_serve, &ends[1]);
	close(ends[1]);
	r = server < 0 ? server : holder_init(&holder, place->socket, BENCH_SIZE, 1);
	if (r >= 0) {
		r = compare(setting, &ends[0], &holder, bare_one, grant_one);
		cpus_use(cpus->client);
		if (r >= 0 && cpus->client != cpus->service)
			r = compare(setting, &ends[0], &holder, bare_two, grant_two);
		holder_done(&holder);
	}
	cpus_use_all(cpus);
	child_stop(server);
	close(ends[0]);
	return r;
}

int bench_socket(const struct setting *setting)
{
	struct service service = { 0 };
	struct place place;
	struct cpus cpus;
	int r = place_new(setting->folder, "written", &place);

	if (r < 0)
		return r;
	cpus_init(&cpus);
	cpus_use(cpus.service);
	r = service_start_ccbufd(&place, setting->ccbufd, &service);
	cpus_use_all(&cpus);
	if (r >= 0)
		r = run_socket(setting, &place, &cpus);
	service_stop(&service);
	place_done(&place);
	return r;
}

/* --- batches --- */

static double per_second(double microseconds, double buffers)
{
	return microseconds > 0 ? buffers * 1e6 / microseconds : 0;
}

/* What 64 buffers cost when nobody asks: no batch can be faster. */
static int make_and_close(void *userdata)
{
	uint64_t size = *(uint64_t *)userdata;
	int fds[BATCH];

	for (int i = 0; i < BATCH; i++)
		fds[i] = bare_memfd(size);
	for (int i = 0; i < BATCH; i++)
		close_fd(&fds[i]);
	return 0;
}

struct batch_names {
	const char *single, *batch, *memory;
};

static void report_batch(const struct setting *setting, const struct batch_names *names,
	struct side *single, struct side *batch, struct side *memory)
{
	double singles = per_second(samples_median(&single->samples), 1);
	double batches = per_second(samples_median(&batch->samples), BATCH);
	double memories = per_second(samples_median(&memory->samples), BATCH);

	report_add(setting->report,
		&(struct figure){ .name = names->single, .value = singles, .unit = "buffers/s" });
	report_add(setting->report, &(struct figure){ .name = names->memory,
					    .value = memories,
					    .unit = "buffers/s",
					    .ratio = memories / singles });
	report_add(setting->report, &(struct figure){ .name = names->batch,
					    .value = batches,
					    .unit = "buffers/s",
					    .ratio = batches / singles,
					    .goal = GOAL_RATIO_AT_LEAST,
					    .limit = BATCH_GOAL });
}

static int run_batch(const struct setting *setting, const struct place *place, uint64_t size,
	const struct batch_names *names)
{
	unsigned int rounds = setting->report->quick ? 1 : BATCH_ROUNDS;
	struct holder single, batch;
	struct side a = { .run = holder_ask, .rest = holder_release, .userdata = &single };
	struct side b = { .run = holder_ask, .rest = holder_release, .userdata = &batch };
	struct side c = { .run = make_and_close, .userdata = &size };
	int r = holder_init(&single, place->socket, size, 1);

	if (r < 0)
		return r;
	r = holder_init(&batch, place->socket, size, BATCH);
	if (r >= 0) {
		r = bench_pair(&a, &b, rounds);
		if (r >= 0)
			r = bench_pair(&c, &c, rounds);
		holder_done(&batch);
	}
	holder_done(&single);
	if (r >= 0)
		report_batch(setting, names, &a, &b, &c);
	samples_done(&a.samples);
	samples_done(&b.samples);
	samples_done(&c.samples);
	return r;
}

int bench_batch(const struct setting *setting)
{
	static const struct batch_names small = { "single requests of 4 KiB, two CPUs",
		"batches of 64 of 4 KiB, two CPUs", "memfds of 4 KiB, made and closed, no more" };
	static const struct batch_names middle = { "single requests of 64 KiB, two CPUs",
		"batches of 64 of 64 KiB, two CPUs", "memfds of 64 KiB, made and closed, no more" };
	struct service service = { 0 };
	struct place place;
	struct cpus cpus;
	int r = place_new(setting->folder, "written", &place);

	if (r < 0)
		return r;
	cpus_init(&cpus);
	cpus_use(cpus.service);
	r = service_start_ccbufd(&place, setting->ccbufd, &service);
	cpus_use(cpus.client);
	if (r >= 0)
		r = run_batch(setting, &place, 4096, &small);
	if (r >= 0)
		r = run_batch(setting, &place, BENCH_SIZE, &middle);
	cpus_use_all(&cpus);
	service_stop(&service);
	place_done(&place);
	return r;
}

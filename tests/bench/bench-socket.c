/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One grant over the socket against a bare request and reply, and batches against singles.
 */
#include "groups.h"

#include <sys/socket.h>

#include "bare.h"
#include "holder.h"
#include "util.h"

#define ROUNDS	     120
#define ROUNDS_QUICK 2
#define BATCH	     64
#define BATCH_ROUNDS 15
#define BATCH_GOAL   6
#define GRANT_GOAL   1.5

static int run_socket(const struct setting *setting, const struct place *place)
{
	static const char *const bare[] = { "bare request and reply with a memfd, 64 KiB: median",
		"bare request and reply with a memfd, 64 KiB: p99" };
	static const char *const grant[] = { "grant over the socket, 64 KiB, written: median",
		"grant over the socket, 64 KiB, written: p99" };
	int ends[2], r;
	struct holder holder;
	struct side a = { .run = bare_socket_ask, .userdata = &ends[0] };
	struct side b = { .run = holder_ask, .rest = holder_release, .userdata = &holder };
	pid_t server;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	server = child_start(bare_socket_serve, &ends[1]);
	close(ends[1]);
	r = server < 0 ? server : holder_init(&holder, place->socket, BENCH_SIZE, 1);
	if (r >= 0) {
		r = bench_pair(&a, &b, setting->report->quick ? ROUNDS_QUICK : ROUNDS);
		holder_done(&holder);
	}
	child_stop(server);
	close(ends[0]);
	if (r >= 0)
		report_pair(setting->report, &a, bare, &b, grant, GRANT_GOAL);
	samples_done(&a.samples);
	samples_done(&b.samples);
	return r;
}

static int with_ccbufd(const struct setting *setting,
	int (*run)(const struct setting *setting, const struct place *place))
{
	struct service service = { 0 };
	struct place place;
	int r = place_new(setting->folder, "written", &place);

	if (r < 0)
		return r;
	r = service_start_ccbufd(&place, setting->ccbufd, &service);
	if (r >= 0)
		r = run(setting, &place);
	service_stop(&service);
	place_done(&place);
	return r;
}

int bench_socket(const struct setting *setting)
{
	return with_ccbufd(setting, run_socket);
}

static double per_second(double microseconds, double buffers)
{
	return microseconds > 0 ? buffers * 1e6 / microseconds : 0;
}

static int run_batch_of(const struct setting *setting, const struct place *place, uint64_t size,
	const char *name_single, const char *name_batch)
{
	struct holder single, batch;
	struct side a = { .run = holder_ask, .rest = holder_release, .userdata = &single };
	struct side b = { .run = holder_ask, .rest = holder_release, .userdata = &batch };
	double singles, batches;
	int r = holder_init(&single, place->socket, size, 1);

	if (r < 0)
		return r;
	r = holder_init(&batch, place->socket, size, BATCH);
	if (r >= 0) {
		r = bench_pair(&a, &b, setting->report->quick ? 1 : BATCH_ROUNDS);
		holder_done(&batch);
	}
	holder_done(&single);
	if (r >= 0) {
		singles = per_second(samples_median(&a.samples), 1);
		batches = per_second(samples_median(&b.samples), BATCH);
		report_add(setting->report,
			&(struct figure){
				.name = name_single, .value = singles, .unit = "buffers/s" });
		report_add(setting->report, &(struct figure){ .name = name_batch,
						    .value = batches,
						    .unit = "buffers/s",
						    .ratio = singles > 0 ? batches / singles : 0,
						    .goal = GOAL_RATIO_AT_LEAST,
						    .limit = BATCH_GOAL });
	}
	samples_done(&a.samples);
	samples_done(&b.samples);
	return r;
}

static int run_batch(const struct setting *setting, const struct place *place)
{
	int r = run_batch_of(setting, place, 4096, "single requests of 4 KiB, written",
		"batches of 64 of 4 KiB, written");

	return r < 0 ? r
		     : run_batch_of(setting, place, BENCH_SIZE,
			       "single requests of 64 KiB, written",
			       "batches of 64 of 64 KiB, written");
}

int bench_batch(const struct setting *setting)
{
	return with_ccbufd(setting, run_batch);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Small grants while another user keeps asking for buffers of 1 GiB, each given back at once,
 * against the same small grants alone.
 */
#include "groups.h"

#include <stdatomic.h>
#include <sys/mman.h>

#include "holder.h"
#include "util.h"

#define LARGE		 (UINT64_C(1) << 30)
#define LARGE_QUICK	 (UINT64_C(1) << 24)
#define NOBODY		 65534
#define ROUNDS		 8
#define PHASE_NSEC	 UINT64_C(600000000)
#define PHASE_NSEC_QUICK UINT64_C(10000000)
#define GOAL		 3

struct load {
	_Atomic bool wanted, busy;
	_Atomic unsigned int n_grants;
	_Atomic int error;
	const char *socket;
	uint64_t size;
};

/* The other user. Where we may not change users it is another process only. */
static void load_run(void *userdata)
{
	struct load *load = userdata;
	struct holder *holder = calloc(1, sizeof(*holder));
	int r = holder ? 0 : -ENOMEM;

	if (getuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0)
		r = -errno;
	if (r >= 0)
		r = holder_init(holder, load->socket, load->size, 1);
	while (r >= 0) {
		if (!load->wanted) {
			load->busy = false;
			usleep(1000);
			continue;
		}
		load->busy = true;
		r = holder_ask(holder);
		if (r >= 0)
			r = holder_release(holder);
		load->n_grants++;
	}
	load->error = r;
}

static int wait_for(struct load *load, bool busy)
{
	while (load->error == 0 && load->busy != busy)
		usleep(1000);
	return load->error;
}

static int small(struct holder *holder, struct samples *samples, uint64_t nanoseconds)
{
	uint64_t end = bench_now() + nanoseconds;
	int r = 0;

	while (r >= 0 && bench_now() < end) {
		for (unsigned int j = 0; r >= 0 && j < BENCH_BLOCK; j++) {
			uint64_t begun = bench_now();

			r = holder_ask(holder);
			if (r >= 0 && !samples_add(samples, bench_now() - begun))
				r = -ENOMEM;
		}
		if (r >= 0)
			r = holder_release(holder);
	}
	return r;
}

/* Small grants alone, and small grants beside large ones, in turn. */
static int measure(struct load *load, struct holder *holder, bool quick, struct samples *alone,
	struct samples *beside)
{
	uint64_t phase = quick ? PHASE_NSEC_QUICK : PHASE_NSEC;
	int r = 0;

	for (unsigned int i = 0; r >= 0 && i < (quick ? 1 : ROUNDS); i++) {
		r = small(holder, alone, phase);
		load->wanted = true;
		if (r >= 0)
			r = wait_for(load, true);
		if (r >= 0)
			r = small(holder, beside, phase);
		load->wanted = false;
		if (r >= 0)
			r = wait_for(load, false);
	}
	return r;
}

static void report(
	struct report *report, struct samples *alone, struct samples *beside, unsigned int n_large)
{
	double p99 = samples_p99(alone), p99_beside = samples_p99(beside);

	report_add(report, &(struct figure){ .name = "grant of 64 KiB alone: median",
				   .value = samples_median(alone),
				   .unit = "us" });
	report_add(
		report, &(struct figure){
				.name = "grant of 64 KiB alone: p99", .value = p99, .unit = "us" });
	report_add(
		report, &(struct figure){ .name = "grant of 64 KiB while 1 GiB grants run: median",
				.value = samples_median(beside),
				.unit = "us",
				.ratio = samples_median(beside) / samples_median(alone) });
	report_add(report, &(struct figure){ .name = "grant of 64 KiB while 1 GiB grants run: p99",
				   .value = p99_beside,
				   .unit = "us",
				   .ratio = p99_beside / p99,
				   .goal = GOAL_RATIO_AT_MOST,
				   .limit = GOAL });
	report_add(report, &(struct figure){ .name = "1 GiB grants made meanwhile",
				   .value = n_large,
				   .unit = "grants" });
}

static int run(const struct setting *setting, const struct place *place)
{
	struct samples alone = { 0 }, beside = { 0 };
	struct holder holder;
	struct load *load = mmap(
		NULL, sizeof(*load), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	int r;

	if (load == MAP_FAILED)
		return -errno;
	load->socket = place->socket;
	load->size = setting->report->quick ? LARGE_QUICK : LARGE;
	pid = child_start(load_run, load);
	r = pid < 0 ? pid : holder_init(&holder, place->socket, BENCH_SIZE, 1);
	if (r >= 0) {
		r = measure(load, &holder, setting->report->quick, &alone, &beside);
		holder_done(&holder);
	}
	if (r >= 0)
		report(setting->report, &alone, &beside, load->n_grants);
	child_stop(pid);
	munmap(load, sizeof(*load));
	samples_done(&alone);
	samples_done(&beside);
	return r;
}

int bench_large(const struct setting *setting)
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

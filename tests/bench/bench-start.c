/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From fork and exec to READY=1, against an empty program that connects to the bus and says the
 * same. The policy and the audit trail are short, as they are at a first start.
 */
#include "groups.h"

#include "util.h"

#define ROUNDS	     40
#define ROUNDS_QUICK 2
#define GOAL_MSEC    20

static int measure(const struct setting *setting, const struct place *place, struct samples *ccbufd,
	struct samples *empty)
{
	const char *const argv[] = { BENCH_EMPTY, NULL };
	unsigned int rounds = setting->report->quick ? ROUNDS_QUICK : ROUNDS;

	for (unsigned int i = 0; i < rounds; i++) {
		struct service service;
		int r = service_start(place, argv, &service);

		if (r < 0)
			return r;
		service_stop(&service);
		if (!samples_add(empty, service.ready_ns))
			return -ENOMEM;
		r = service_start_ccbufd(place, setting->ccbufd, &service);
		if (r < 0)
			return r;
		service_stop(&service);
		if (!samples_add(ccbufd, service.ready_ns))
			return -ENOMEM;
	}
	return 0;
}

static void report(struct report *report, struct samples *ccbufd, struct samples *empty)
{
	double median = samples_median(ccbufd) / 1000, median_empty = samples_median(empty) / 1000;
	double p99 = samples_p99(ccbufd) / 1000, p99_empty = samples_p99(empty) / 1000;

	report_add(report, &(struct figure){ .name = "start to ready, empty program: median",
				   .value = median_empty,
				   .unit = "ms" });
	report_add(report, &(struct figure){ .name = "start to ready, empty program: p99",
				   .value = p99_empty,
				   .unit = "ms" });
	report_add(report, &(struct figure){ .name = "start to ready, ccbufd: median",
				   .value = median,
				   .unit = "ms",
				   .ratio = median / median_empty,
				   .goal = GOAL_VALUE_AT_MOST,
				   .limit = GOAL_MSEC });
	report_add(report, &(struct figure){ .name = "start to ready, ccbufd: p99",
				   .value = p99,
				   .unit = "ms",
				   .ratio = p99 / p99_empty });
}

int bench_start(const struct setting *setting)
{
	struct samples ccbufd = { 0 }, empty = { 0 };
	struct place place;
	int r = place_new(setting->folder, "written", &place);

	if (r < 0)
		return r;
	r = measure(setting, &place, &ccbufd, &empty);
	if (r >= 0)
		report(setting->report, &ccbufd, &empty);
	place_done(&place);
	samples_done(&ccbufd);
	samples_done(&empty);
	return r;
}

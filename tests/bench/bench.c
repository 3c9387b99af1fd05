/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The clock, CPUs, samples and the report. It must never drop a sample: an outlier is what p99 is
 * for.
 */
#include "bench.h"

#include <stdio.h>
#include <time.h>

#include "util.h"

uint64_t bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

/* --- CPUs --- */

void cpus_init(struct cpus *cpus)
{
	*cpus = (struct cpus){ .client = -1, .service = -1 };
	sched_getaffinity(0, sizeof(cpus->all), &cpus->all);
	for (int cpu = 0; cpu < CPU_SETSIZE && cpus->service < 0; cpu++) {
		if (!CPU_ISSET(cpu, &cpus->all))
			continue;
		if (cpus->client < 0)
			cpus->client = cpu;
		else
			cpus->service = cpu;
	}
	if (cpus->service < 0)
		cpus->service = cpus->client;
}

void cpus_use(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

void cpus_use_all(const struct cpus *cpus)
{
	sched_setaffinity(0, sizeof(cpus->all), &cpus->all);
}

/* --- samples --- */

bool samples_add(struct samples *samples, uint64_t nanoseconds)
{
	if (samples->count == samples->room) {
		size_t room = samples->room ? 2 * samples->room : 4096;
		uint64_t *values = reallocarray(samples->values, room, sizeof(*values));

		if (!values)
			return false;
		samples->values = values;
		samples->room = room;
	}
	samples->values[samples->count++] = nanoseconds;
	samples->sorted = false;
	return true;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double quantile(struct samples *samples, unsigned int percent)
{
	if (!samples->count)
		return 0;
	if (!samples->sorted)
		qsort(samples->values, samples->count, sizeof(*samples->values), compare);
	samples->sorted = true;
	return (double)samples->values[(samples->count - 1) * percent / 100] / 1000;
}

double samples_median(struct samples *samples)
{
	return quantile(samples, 50);
}

double samples_p99(struct samples *samples)
{
	return quantile(samples, 99);
}

void samples_done(struct samples *samples)
{
	free(samples->values);
	*samples = (struct samples){ 0 };
}

/* --- the report --- */

void report_begin(struct report *report)
{
	if (report->json)
		printf("[");
	else
		printf("%-54s %12s %-10s %8s  %-12s %s\n", "figure", "value", "", "ratio", "goal",
			"met");
}

static bool met(const struct figure *figure)
{
	switch (figure->goal) {
	case GOAL_RATIO_AT_MOST:
		return figure->ratio <= figure->limit;
	case GOAL_RATIO_AT_LEAST:
		return figure->ratio >= figure->limit;
	case GOAL_VALUE_AT_MOST:
		return figure->value <= figure->limit;
	case GOAL_NONE:
		break;
	}
	return true;
}

static const char *goal_text(const struct figure *figure, char *text, size_t size)
{
	switch (figure->goal) {
	case GOAL_RATIO_AT_MOST:
		snprintf(text, size, "<= %gx", figure->limit);
		break;
	case GOAL_RATIO_AT_LEAST:
		snprintf(text, size, ">= %gx", figure->limit);
		break;
	case GOAL_VALUE_AT_MOST:
		snprintf(text, size, "<= %g %s", figure->limit, figure->unit);
		break;
	case GOAL_NONE:
		*text = 0;
		break;
	}
	return text;
}

static void print_json(const struct report *report, const struct figure *figure)
{
	char goal[32];

	printf("%s\n{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"%s\",\"ratio\":",
		report->n_figures ? "," : "", figure->name, figure->value, figure->unit);
	printf(figure->ratio > 0 ? "%.3f" : "null", figure->ratio);
	if (figure->goal == GOAL_NONE)
		printf(",\"goal\":null,\"met\":null}");
	else
		printf(",\"goal\":\"%s\",\"met\":%s}", goal_text(figure, goal, sizeof(goal)),
			met(figure) ? "true" : "false");
}

static void print_row(const struct figure *figure)
{
	char goal[32], ratio[32] = "";

	if (figure->ratio > 0)
		snprintf(ratio, sizeof(ratio), "%.2fx", figure->ratio);
	printf("%-54s %12.*f %-10s %8s  %-12s %s\n", figure->name, figure->value < 1000 ? 2 : 0,
		figure->value, figure->unit, ratio, goal_text(figure, goal, sizeof(goal)),
		figure->goal == GOAL_NONE ? ""
		: met(figure)		  ? "yes"
					  : "NO");
}

void report_add(struct report *report, const struct figure *figure)
{
	if (report->json)
		print_json(report, figure);
	else
		print_row(figure);
	fflush(stdout);
	report->n_figures++;
	report->n_missed += !met(figure);
}

void report_end(struct report *report)
{
	if (report->json)
		printf("\n]\n");
	else
		printf("%zu of the goals missed\n", report->n_missed);
}

/* --- pairs --- */

static int block(struct side *side, bool counts)
{
	for (unsigned int i = 0; i < BENCH_BLOCK; i++) {
		uint64_t begun = bench_now();
		int r = side->run(side->userdata);

		if (r < 0)
			return r;
		if (counts && !samples_add(&side->samples, bench_now() - begun))
			return -ENOMEM;
	}
	return side->rest ? side->rest(side->userdata) : 0;
}

int bench_pair(struct side *a, struct side *b, unsigned int rounds)
{
	int r = 0;

	for (unsigned int i = 0; r >= 0 && i < rounds + 1; i++) {
		r = block(a, i > 0);
		if (r >= 0)
			r = block(b, i > 0);
	}
	return r;
}

void report_pair(struct report *report, struct side *a, const char *const names_a[2],
	struct side *b, const char *const names_b[2], double at_most)
{
	double median_a = samples_median(&a->samples), median_b = samples_median(&b->samples);
	double p99_a = samples_p99(&a->samples), p99_b = samples_p99(&b->samples);

	report_add(report, &(struct figure){ .name = names_a[0], .value = median_a, .unit = "us" });
	report_add(report, &(struct figure){ .name = names_a[1], .value = p99_a, .unit = "us" });
	report_add(report, &(struct figure){ .name = names_b[0],
				   .value = median_b,
				   .unit = "us",
				   .ratio = median_b / median_a,
				   .goal = GOAL_RATIO_AT_MOST,
				   .limit = at_most });
	report_add(report,
		&(struct figure){
			.name = names_b[1], .value = p99_b, .unit = "us", .ratio = p99_b / p99_a });
}

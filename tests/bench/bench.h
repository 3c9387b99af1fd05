/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What all measurements share: the clock, CPUs, samples with their quantiles, and the report that
 * figures go to.
 */
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_SIZE  UINT64_C(65536) /* bytes of a buffer where nothing else is said */
#define BENCH_BLOCK 32		    /* operations of one side before the other has its turn */

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t bench_now(void);

/*
 * Where processes run. A request and its answer cost more when they cross from one CPU to another,
 * and where a scheduler puts two processes depends on what else runs: so both sides of a comparison
 * are put where the other is.
 */
struct cpus {
	cpu_set_t all;
	int client, service; /* the same where there is one CPU only */
};
void cpus_init(struct cpus *cpus);
/* This process, and what it starts from now on. */
void cpus_use(int cpu);
void cpus_use_all(const struct cpus *cpus);

/* Durations in nanoseconds. */
struct samples {
	uint64_t *values;
	size_t count, room;
	bool sorted;
};

/* False when out of memory. */
bool samples_add(struct samples *samples, uint64_t nanoseconds);
/* The median in microseconds, and the value that 99 in 100 do not exceed; 0 without samples. */
double samples_median(struct samples *samples);
double samples_p99(struct samples *samples);
void samples_done(struct samples *samples);

/* Whether the build has sanitizers: its figures mean nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BENCH_SANITIZED true
#elif defined(__has_feature)
#define BENCH_SANITIZED                                                                            \
	(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                    \
		__has_feature(memory_sanitizer))
#else
#define BENCH_SANITIZED false
#endif

enum goal { GOAL_NONE, GOAL_RATIO_AT_MOST, GOAL_RATIO_AT_LEAST, GOAL_VALUE_AT_MOST };

struct figure {
	const char *name; /* plain ASCII without quotes: it goes into JSON as it is */
	double value;
	const char *unit;
	double ratio; /* to what the name says; 0 for none */
	enum goal goal;
	double limit; /* of the goal */
};

struct report {
	bool json, quick;
	size_t n_figures, n_missed;
};

/* Prints as it goes: rows of a table, or elements of a JSON list. */
void report_begin(struct report *report);
void report_add(struct report *report, const struct figure *figure);
void report_end(struct report *report);

/* One operation. 0 or a negative errno. */
struct side {
	int (*run)(void *userdata);
	/* After each block, not timed: cleans up what the operations left. May be NULL. */
	int (*rest)(void *userdata);
	void *userdata;
	struct samples samples;
};

/* Times two operations, a block of one and a block of the other in turn, so that what else the
 * machine does falls on both. The first block of each is not counted. */
int bench_pair(struct side *a, struct side *b, unsigned int rounds);

/* Adds the medians and p99s of a pair: what b costs, and its ratio to a. The goal is for the
 * medians. */
void report_pair(struct report *report, struct side *a, const char *const names_a[2],
	struct side *b, const char *const names_b[2], double at_most);

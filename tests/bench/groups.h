/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The groups of figures. Each starts what it needs, measures, reports and cleans up: 0 or a
 * negative errno.
 */
#pragma once

#include "bench.h"
#include "place.h"

struct setting {
	struct report *report;
	const char *ccbufd; /* path of the daemon */
	const char *folder; /* where places are made: on a real disk */
};

int bench_socket(const struct setting *setting);
int bench_batch(const struct setting *setting);
int bench_bus(const struct setting *setting);
int bench_clients(const struct setting *setting);
int bench_large(const struct setting *setting);
int bench_hostile(const struct setting *setting);
int bench_memory(const struct setting *setting);
int bench_start(const struct setting *setting);
/* and bench-policy.h */

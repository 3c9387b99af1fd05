/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many clients at a time: what waiting for the disk costs when records share a sync. Two daemons
 * with an audit file each on the same file system, one written, one synced; the same clients, each
 * a process, load the one and the other in turn.
 */
#include "groups.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

#include "holder.h"
#include "util.h"

#define CLIENTS	     64
#define ROUNDS	     5
#define PHASE_USEC   1000000
#define SETTLE_USEC  200000
#define QUICK_FACTOR 20
#define GOAL	     0.5

enum phase { PAUSE, WRITTEN, SYNCED };

struct load {
	_Atomic unsigned int phase;
	_Atomic unsigned int n_ready;
	struct {
		_Atomic uint64_t grants; /* on its own cache line */
		char rest[56];
	} clients[CLIENTS];
	const char *sockets[3];
};

/* A client: as fast as it can, one grant after the other, each released before the next. */
static void client(void *userdata)
{
	struct load *load = userdata;
	unsigned int number;
	struct holder *holders = calloc(3, sizeof(*holders));

	if (!holders || holder_init(&holders[WRITTEN], load->sockets[WRITTEN], BENCH_SIZE, 1) < 0 ||
		holder_init(&holders[SYNCED], load->sockets[SYNCED], BENCH_SIZE, 1) < 0)
		_exit(EXIT_FAILURE);
	number = load->n_ready++;
	for (;;) {
		unsigned int phase = load->phase;

		if (phase == PAUSE) {
			usleep(2000);
			continue;
		}
		if (holder_ask(&holders[phase]) < 0 || holder_release(&holders[phase]) < 0)
			_exit(EXIT_FAILURE);
		load->clients[number].grants++;
	}
}

static uint64_t total(struct load *load)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < CLIENTS; i++)
		sum += load->clients[i].grants;
	return sum;
}

/* Grants a second in a phase. */
static double rate(struct load *load, enum phase phase, unsigned int divide)
{
	uint64_t begun, ended, before, after;

	load->phase = phase;
	usleep(SETTLE_USEC / divide);
	before = total(load);
	begun = bench_now();
	usleep(PHASE_USEC / divide);
	after = total(load);
	ended = bench_now();
	load->phase = PAUSE;
	usleep(SETTLE_USEC / divide);
	return (double)(after - before) * 1e9 / (double)(ended - begun);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void measure(const struct setting *setting, struct load *load)
{
	unsigned int rounds = setting->report->quick ? 1 : ROUNDS;
	unsigned int divide = setting->report->quick ? QUICK_FACTOR : 1;
	double written[ROUNDS], synced[ROUNDS];

	rate(load, WRITTEN, 4 * divide);
	for (unsigned int i = 0; i < rounds; i++) {
		written[i] = rate(load, WRITTEN, divide);
		synced[i] = rate(load, SYNCED, divide);
	}
	qsort(written, rounds, sizeof(*written), compare);
	qsort(synced, rounds, sizeof(*synced), compare);
	report_add(setting->report, &(struct figure){ .name = "64 clients, 64 KiB, written",
					    .value = written[rounds / 2],
					    .unit = "grants/s" });
	report_add(setting->report,
		&(struct figure){ .name = "64 clients, 64 KiB, synced",
			.value = synced[rounds / 2],
			.unit = "grants/s",
			.ratio = written[rounds / 2] > 0 ? synced[rounds / 2] / written[rounds / 2]
							 : 0,
			.goal = GOAL_RATIO_AT_LEAST,
			.limit = GOAL });
}

static int start_clients(struct load *load, pid_t pids[CLIENTS])
{
	for (unsigned int i = 0; i < CLIENTS; i++) {
		pids[i] = child_start(client, load);
		if (pids[i] < 0)
			return pids[i];
	}
	for (int left = 10000; left > 0; left--) {
		if (load->n_ready == CLIENTS)
			return 0;
		usleep(1000);
	}
	return -ETIMEDOUT;
}

static int run(
	const struct setting *setting, const struct place *written, const struct place *synced)
{
	struct load *load = mmap(
		NULL, sizeof(*load), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[CLIENTS] = { 0 };
	int r;

	if (load == MAP_FAILED)
		return -errno;
	load->sockets[WRITTEN] = written->socket;
	load->sockets[SYNCED] = synced->socket;
	r = start_clients(load, pids);
	if (r >= 0)
		measure(setting, load);
	for (unsigned int i = 0; i < CLIENTS; i++)
		child_stop(pids[i]);
	munmap(load, sizeof(*load));
	return r;
}

int bench_clients(const struct setting *setting)
{
	struct place places[2] = { { .notify = -1 }, { .notify = -1 } };
	struct service services[2] = { 0 };
	int r;

	r = place_new(setting->folder, "written", &places[0]);
	if (r >= 0)
		r = place_new(setting->folder, "synced", &places[1]);
	for (int i = 0; r >= 0 && i < 2; i++)
		r = service_start_ccbufd(&places[i], setting->ccbufd, &services[i]);
	if (r >= 0)
		r = run(setting, &places[0], &places[1]);
	for (int i = 0; i < 2; i++) {
		service_stop(&services[i]);
		place_done(&places[i]);
	}
	return r;
}

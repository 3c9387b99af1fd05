/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Resident memory: of the idle daemon over that of an empty program, and of each grant. Resident
 * is VmRSS of /proc/PID/status, so pages of libraries count in full though others share them; Pss,
 * where they count by share, is reported beside it.
 */
#include "groups.h"

#include <stdio.h>

#include "holder.h"
#include "util.h"

#define GRANTS	     20480
#define GRANTS_QUICK 640
#define BATCH	     64
#define SETTLE_USEC  100000
#define KIB	     1024.0

/* A value in KiB of a file of /proc/PID. */
static int read_kib(pid_t pid, const char *file, const char *key, double *ret_kib)
{
	char path[48], line[256];
	FILE *from;
	int r = -ENODATA;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	from = fopen(path, "re");
	if (!from)
		return -errno;
	while (r < 0 && fgets(line, sizeof(line), from)) {
		if (strncmp(line, key, strlen(key)) || line[strlen(key)] != ':')
			continue;
		*ret_kib = strtod(line + strlen(key) + 1, NULL);
		r = 0;
	}
	fclose(from);
	return r;
}

/* Once it has stopped to change: what was queued is worked off. */
static int settled_rss(pid_t pid, double *ret_kib)
{
	double before = -1, now = 0;
	int r = 0;

	for (int left = 50; r >= 0 && left > 0 && now != before; left--) {
		before = now;
		usleep(SETTLE_USEC);
		r = read_kib(pid, "status", "VmRSS", &now);
	}
	*ret_kib = now;
	return r;
}

static int measure_idle(
	const struct setting *setting, const struct service *ccbufd, const struct service *empty)
{
	double rss, rss_empty, pss = 0, pss_empty = 0;
	int r = settled_rss(ccbufd->pid, &rss);

	if (r >= 0)
		r = settled_rss(empty->pid, &rss_empty);
	if (r < 0)
		return r;
	report_add(setting->report, &(struct figure){ .name = "resident, empty libsystemd program",
					    .value = rss_empty / KIB,
					    .unit = "MiB" });
	report_add(setting->report, &(struct figure){ .name = "resident, idle ccbufd",
					    .value = rss / KIB,
					    .unit = "MiB",
					    .ratio = rss / rss_empty });
	report_add(setting->report,
		&(struct figure){ .name = "resident, idle ccbufd over the empty program",
			.value = (rss - rss_empty) / KIB,
			.unit = "MiB",
			.goal = GOAL_VALUE_AT_MOST,
			.limit = 4 });
	if (read_kib(ccbufd->pid, "smaps_rollup", "Pss", &pss) >= 0 &&
		read_kib(empty->pid, "smaps_rollup", "Pss", &pss_empty) >= 0)
		report_add(setting->report,
			&(struct figure){ .name = "Pss, idle ccbufd over the empty program",
				.value = (pss - pss_empty) / KIB,
				.unit = "MiB" });
	return 0;
}

static int ask_many(struct holder *holder, unsigned int buffers)
{
	int r = 0;

	for (unsigned int i = 0; r >= 0 && i < buffers / BATCH; i++)
		r = holder_ask(holder);
	return r;
}

/* The first grants fill caches and queues that the others then use. */
static int measure_grants(
	const struct setting *setting, const struct place *place, const struct service *ccbufd)
{
	unsigned int grants = setting->report->quick ? GRANTS_QUICK : GRANTS;
	double before, after;
	struct holder holder;
	int r = holder_init(&holder, place->socket, 4096, BATCH);

	if (r < 0)
		return r;
	r = ask_many(&holder, GRANTS_QUICK);
	if (r >= 0)
		r = settled_rss(ccbufd->pid, &before);
	if (r >= 0)
		r = ask_many(&holder, grants);
	if (r >= 0)
		r = settled_rss(ccbufd->pid, &after);
	holder_done(&holder);
	if (r < 0)
		return r;
	report_add(setting->report, &(struct figure){ .name = "resident for each live grant",
					    .value = (after - before) * KIB / grants,
					    .unit = "B",
					    .goal = GOAL_VALUE_AT_MOST,
					    .limit = KIB });
	return 0;
}

int bench_memory(const struct setting *setting)
{
	const char *const argv[] = { BENCH_EMPTY, NULL };
	struct service ccbufd = { 0 }, empty = { 0 };
	struct place place;
	int r = place_new(setting->folder, "written", &place);

	if (r < 0)
		return r;
	r = service_start_ccbufd(&place, setting->ccbufd, &ccbufd);
	if (r >= 0)
		r = service_start(&place, argv, &empty);
	if (r >= 0)
		r = measure_idle(setting, &ccbufd, &empty);
	if (r >= 0)
		r = measure_grants(setting, &place, &ccbufd);
	service_stop(&empty);
	service_stop(&ccbufd);
	place_done(&place);
	return r;
}

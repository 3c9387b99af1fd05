/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ccbuf-bench: what ccbufd costs, next to the bare operations in the same run. Ratios count; the
 * absolute figures are those of the machine.
 */
#include <getopt.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "bench-policy.h"
#include "groups.h"
#include "util.h"

#define EXIT_USAGE 2

static const char help[] =
	"Usage: ccbuf-bench [OPTION]... [GROUP]...\n"
	"Measures ccbufd with the emulated heap on a bus of its own in a temporary folder.\n"
	"\n"
	"  --json           print a list of {name, value, unit, ratio, goal, met}\n"
	"  --quick          see that everything runs: the figures mean nothing\n"
	"  --ccbufd PATH    the daemon (" BENCH_CCBUFD ")\n"
	"  --folder DIR     where to make the temporary folder: on a disk (/var/tmp)\n"
	"  --help\n"
	"\n"
	"Groups: socket bus batch clients large hostile policy memory start; all without any.\n"
	"\"written\" and \"synced\" are audit durabilities, see ccbuf-policy(5).\n";

static int group_policy(const struct setting *setting)
{
	struct bench_policy policy;
	int r = bench_policy(&policy);

	if (r < 0)
		return r;
	report_add(setting->report, &(struct figure){ .name = "decision with 10 rules: median",
					    .value = (double)policy.ns_10 / 1000,
					    .unit = "us",
					    .goal = GOAL_VALUE_AT_MOST,
					    .limit = 1 });
	report_add(setting->report, &(struct figure){ .name = "decision with 100 rules: median",
					    .value = (double)policy.ns_100 / 1000,
					    .unit = "us",
					    .goal = GOAL_VALUE_AT_MOST,
					    .limit = 1 });
	report_add(setting->report, &(struct figure){ .name = "decision by all match keys: median",
					    .value = (double)policy.ns_full / 1000,
					    .unit = "us",
					    .goal = GOAL_VALUE_AT_MOST,
					    .limit = 2 });
	return 0;
}

static const struct group {
	const char *name;
	int (*run)(const struct setting *setting);
} groups[] = {
	{ "socket", bench_socket },
	{ "bus", bench_bus },
	{ "batch", bench_batch },
	{ "clients", bench_clients },
	{ "large", bench_large },
	{ "hostile", bench_hostile },
	{ "policy", group_policy },
	{ "memory", bench_memory },
	{ "start", bench_start },
};

static bool chosen(const char *name, char *const *names)
{
	if (!names[0])
		return true;
	for (; *names; names++)
		if (streq(name, *names))
			return true;
	return false;
}

static bool known(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		if (streq(groups[i].name, name))
			return true;
	return false;
}

/* What the figures depend on. Where a sync costs nothing, synced says nothing. */
static void describe(const char *folder)
{
	static const struct {
		unsigned int magic;
		const char *name;
	} types[] = {
		{ EXT4_SUPER_MAGIC, "ext4" },
		{ XFS_SUPER_MAGIC, "xfs" },
		{ BTRFS_SUPER_MAGIC, "btrfs" },
		{ OVERLAYFS_SUPER_MAGIC, "overlay" },
		{ TMPFS_MAGIC, "tmpfs: name a folder on a disk by --folder" },
	};
	const char *name = "another file system";
	struct utsname uname_;
	struct statfs st;

	if (statfs(folder, &st) >= 0)
		for (size_t i = 0; i < ARRAY_SIZE(types); i++)
			if ((unsigned int)st.f_type == types[i].magic)
				name = types[i].name;
	uname(&uname_);
	fprintf(stderr, "ccbuf-bench: Linux %s, %ld CPUs, audit trail in %s on %s\n",
		uname_.release, sysconf(_SC_NPROCESSORS_ONLN), folder, name);
}

static int run(const struct setting *setting, char *const *names)
{
	int status = EXIT_SUCCESS;

	report_begin(setting->report);
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		int r = chosen(groups[i].name, names) ? groups[i].run(setting) : 0;

		if (r >= 0)
			continue;
		fprintf(stderr, "ccbuf-bench: %s: %s\n", groups[i].name, strerror(-r));
		status = EXIT_FAILURE;
	}
	report_end(setting->report);
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "quick", no_argument, NULL, 'q' },
		{ "ccbufd", required_argument, NULL, 'c' },
		{ "folder", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct report report = { 0 };
	struct setting setting = { &report, BENCH_CCBUFD, "/var/tmp" };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'j':
			report.json = true;
			break;
		case 'q':
			report.quick = true;
			break;
		case 'c':
			setting.ccbufd = optarg;
			break;
		case 'f':
			setting.folder = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return EXIT_SUCCESS;
		default:
			fputs("Try ccbuf-bench --help.\n", stderr);
			return EXIT_USAGE;
		}
	}
	for (char **name = argv + optind; *name; name++) {
		if (known(*name))
			continue;
		fprintf(stderr, "ccbuf-bench: no group \"%s\"; try ccbuf-bench --help\n", *name);
		return EXIT_USAGE;
	}
	if (BENCH_SANITIZED && !report.quick) {
		fputs("ccbuf-bench: built with sanitizers, nothing to measure; --quick runs it "
		      "nevertheless\n",
			stderr);
		return EXIT_FAILURE;
	}
	describe(setting.folder);
	return run(&setting, argv + optind);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Examines the module ccbuf_heap for doctor: whether it is loaded, whose heap is served instead,
 * and what leaked. It uses sysfs only and opens no node.
 */
#include <stdio.h>
#include <sys/utsname.h>

#include "findings.h"
#include "output.h"
#include "platform.h"
#include "size.h"

#define MODULE	 "ccbuf_heap"
#define HEAP	 "system_cc_shared"
#define UNSHARED "ccbuf_unshared" /* the name of the module's heap when nothing is shared */
#define MIB	 (UINT64_C(1) << 20)

static bool path_of(char path[static 256], const struct places *places, const char *rest)
{
	int length = snprintf(path, 256, "%s/%s", places->sys, rest);

	return length > 0 && length < 256;
}

static bool there(const struct places *places, const char *rest)
{
	char path[256];

	return path_of(path, places, rest) && access(path, F_OK) == 0;
}

/* The first line of a file in sysfs; empty when it cannot be read. */
static const char *line_of(const struct places *places, const char *rest, char line[static 64])
{
	char path[256];
	FILE *file = path_of(path, places, rest) ? fopen(path, "re") : NULL;

	line[0] = 0;
	if (file) {
		if (!fgets(line, 64, file))
			line[0] = 0;
		line[strcspn(line, "\n")] = 0;
		fclose(file);
	}
	return line;
}

static uint64_t number_of(const struct places *places, const char *rest)
{
	char line[64];

	return strtoull(line_of(places, rest, line), NULL, 10);
}

/* Whether it was built for the running kernel, loaded or not. */
static bool is_installed(const struct places *places)
{
	struct utsname name;
	char *line = NULL, path[512];
	size_t size = 0;
	bool found_it = false;
	FILE *file;

	if (uname(&name) < 0)
		return false;
	snprintf(path, sizeof(path), "%s/%s/modules.dep", places->modules, name.release);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found_it && getline(&line, &size, file) > 0) {
		char *end = strchr(line, ':');

		if (end)
			*end = 0;
		found_it = end && strstr(line, "/" MODULE ".ko");
	}
	free(line);
	fclose(file);
	return found_it;
}

static void examine_leaks(struct findings *findings, const struct places *places)
{
	uint64_t leaked = number_of(places, "class/misc/" HEAP "/leaked_bytes");
	uint64_t limit = number_of(places, "module/" MODULE "/parameters/leak_limit");
	char text[SIZE_TEXT_MAX];

	size_format(leaked, text);
	if (leaked > limit * MIB)
		found(findings, STATUS_PROBLEM, "module",
			"restart the machine; see 'journalctl -k' and tell whoever runs the host",
			"%s of heap " HEAP " could not be made private again, which is more than "
			"leak_limit (%juM): it gives out no memory any more",
			text, (uintmax_t)limit);
	else if (leaked)
		found(findings, STATUS_WARNING, "module",
			"see 'journalctl -k' and tell whoever runs the host; the memory is back "
			"after a restart of the machine",
			"%s of heap " HEAP " could not be made private again and are lost", text);
}

static void examine_loaded(struct findings *findings, const struct places *places)
{
	char version[64], live[SIZE_TEXT_MAX], pool[SIZE_TEXT_MAX];

	line_of(places, "module/" MODULE "/version", version);
	if (there(places, "class/misc/" UNSHARED))
		found(findings, STATUS_PROBLEM, "module",
			"never do this but for development: unload it (modprobe -r " MODULE ") and "
			"remove unshared=1",
			MODULE " %s is loaded with unshared=1: buffers of heap " UNSHARED
			       " are ordinary memory, NOTHING of it is shared with the host",
			version);
	if (!there(places, "class/misc/" HEAP))
		return;
	size_format(number_of(places, "class/misc/" HEAP "/live_bytes"), live);
	size_format(number_of(places, "class/misc/" HEAP "/pool_bytes"), pool);
	found(findings, STATUS_OK, "module", NULL,
		MODULE " %s serves heap " HEAP ": %s in buffers, %s in its pool", version, live,
		pool);
	examine_leaks(findings, places);
}

void examine_module(struct findings *findings, const struct places *places)
{
	bool confidential = !streq(platform_name(), "none");

	if (there(places, "module/" MODULE))
		examine_loaded(findings, places);
	else if (there(places, "class/dma_heap/" HEAP))
		found(findings, STATUS_OK, "module", NULL,
			"heap " HEAP " is the kernel's own: its buffers are counted and not "
			"watched, and cannot be taken back");
	else if (!confidential)
		found(findings, STATUS_OK, "module", NULL,
			"module " MODULE " is not loaded, and not needed: this is not a "
			"confidential guest");
	else if (is_installed(places))
		found(findings, STATUS_PROBLEM, "module",
			"load it: 'modprobe " MODULE "', then 'systemctl restart ccbufd'; "
			"'journalctl -k' says why if it refuses",
			"a confidential guest without a shared heap, although module " MODULE
			" is installed: devices cannot be given memory");
	else
		found(findings, STATUS_PROBLEM, "module",
			"install the DKMS package ccbuf-heap with the headers of this kernel, then "
			"'modprobe " MODULE "' and 'systemctl restart ccbufd'",
			"a confidential guest without a shared heap: neither the kernel nor "
			"module " MODULE " has one, devices cannot be given memory");
}

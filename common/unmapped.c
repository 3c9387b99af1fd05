/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ids that stand for nobody, as /proc says. It must never take such a number for a real user's.
 */
#include "unmapped.h"

#include <inttypes.h>
#include <stdio.h>

#include "util.h"

#define IDS		 UINT32_MAX /* the number of ids: the highest number is not an id */
#define OVERFLOW_DEFAULT 65534	    /* the kernel's default */

bool unmapped_map_is_whole(const char *text)
{
	uint64_t mapped = 0;

	/* the kernel allows no id in two lines */
	while (text && *text) {
		uint32_t inside, outside, count;

		if (sscanf(text, "%" SCNu32 " %" SCNu32 " %" SCNu32, &inside, &outside, &count) !=
			3)
			return false;
		mapped += count;
		text = strchr(text, '\n');
		text += text ? 1 : 0;
	}
	return mapped >= IDS;
}

static bool is_whole(const char *path)
{
	char text[16384]; /* at most 340 lines */
	FILE *file = fopen(path, "re");
	size_t length;

	/* a kernel without user namespaces has no such file */
	if (!file)
		return true;
	length = fread(text, 1, sizeof(text) - 1, file);
	text[length] = 0;
	fclose(file);
	return unmapped_map_is_whole(text);
}

static uint32_t number_in(const char *path)
{
	FILE *file = fopen(path, "re");
	uint32_t number = OVERFLOW_DEFAULT;

	if (file) {
		if (fscanf(file, "%" SCNu32, &number) != 1)
			number = OVERFLOW_DEFAULT;
		fclose(file);
	}
	return number;
}

void unmapped_detect(struct unmapped *ret_unmapped)
{
	*ret_unmapped = (struct unmapped){
		.uids = !is_whole("/proc/self/uid_map"),
		.gids = !is_whole("/proc/self/gid_map"),
		.uid = number_in("/proc/sys/kernel/overflowuid"),
		.gid = number_in("/proc/sys/kernel/overflowgid"),
	};
}

bool unmapped_uid(const struct unmapped *unmapped, uint32_t uid)
{
	return uid == UINT32_MAX || (unmapped->uids && uid == unmapped->uid);
}

bool unmapped_gid(const struct unmapped *unmapped, uint32_t gid)
{
	return gid == UINT32_MAX || (unmapped->gids && gid == unmapped->gid);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a child that loads the policy tells the daemon, a packet a record, in the order in which it
 * happens: what it is about to wait for, what came of it, and in the end what is wrong, if
 * anything. Nothing here refers to anything but by its place.
 */
#pragma once

#include <stdint.h>

enum load_kind {
	LOAD_FILE = 1, /* text: the path of what it is about to open */
	LOAD_USER,     /* text: a name that it is about to look up */
	LOAD_GROUP,    /* likewise */
	LOAD_ANSWER,   /* result, id: of the last name */
	LOAD_FOLDER,   /* text: the path of a policy folder; result: 1 when there is one, 0 */
	LOAD_SOURCE,   /* text: the path of a policy file */
	LOAD_TEXT,     /* text: what stands in it, or the next part of that */
	LOAD_MISTAKE,  /* text: a line for people */
	LOAD_END,      /* result: 0 when there was no mistake, -EINVAL when there was, -ENOMEM */
};

#define LOAD_TEXT_MAX 32768

struct load_record {
	uint32_t kind;
	int32_t result;
	uint32_t id;
	char text[]; /* to the end of the packet, no NUL; of LOAD_TEXT_MAX bytes at most */
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The records that a loading child sends to the daemon, one in a packet, in the order of events:
 * what it is about to wait for, the result, and at the end the mistakes, if any. A record refers to
 * another one only by their order.
 */
#pragma once

#include <stdint.h>

enum load_kind {
	LOAD_FILE = 1, /* text: the path that it is about to open */
	LOAD_USER,     /* text: a name that it is about to look up */
	LOAD_GROUP,    /* likewise */
	LOAD_ANSWER,   /* result, id: for the last name */
	LOAD_FOLDER,   /* text: the path of a policy folder; result: 1 when it exists, else 0 */
	LOAD_SOURCE,   /* text: the path of a policy file */
	LOAD_TEXT,     /* text: the contents of that file, or their next part */
	LOAD_MISTAKE,  /* text: a line for people */
	LOAD_END,      /* result: 0 when there was no mistake, -EINVAL when there was, -ENOMEM */
};

#define LOAD_TEXT_MAX 32768

struct load_record {
	uint32_t kind;
	int32_t result;
	uint32_t id;
	char text[]; /* to the end of the packet, no NUL; at most LOAD_TEXT_MAX bytes */
};

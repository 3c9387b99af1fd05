/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client of ccbufd that asks, closes the buffers at once and gives the grants back later.
 */
#pragma once

#include <ccbuf.h>

#define HOLDER_GRANTS 4096

struct holder {
	struct ccbuf *connection;
	struct ccbuf_request request;
	unsigned int n_grants;
	uint64_t grants[HOLDER_GRANTS];
};

/* Connects, to ask for count buffers of size bytes at a time. 0 or a negative errno. */
int holder_init(struct holder *holder, const char *socket, uint64_t size, uint32_t count);
void holder_done(struct holder *holder);

/* Both for struct side: userdata is a holder. A refusal is -EACCES, and printed. */
int holder_ask(void *userdata);
int holder_release(void *userdata);

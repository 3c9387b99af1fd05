/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asking through libccbuf, as any client does.
 */
#include "holder.h"

#include <stdio.h>

#include "util.h"

int holder_init(struct holder *holder, const char *socket, uint64_t size, uint32_t count)
{
	*holder = (struct holder){
		.request = { .use = "bench", .size = size, .count = count },
	};
	return ccbuf_connect(socket, &holder->connection);
}

void holder_done(struct holder *holder)
{
	holder->connection = ccbuf_free(holder->connection);
}

static int refused(const struct holder *holder)
{
	fprintf(stderr, "ccbuf-bench: refused: %s\n", ccbuf_reason(holder->connection));
	return -EACCES;
}

int holder_ask(void *userdata)
{
	struct ccbuf_buffer buffers[CCBUF_COUNT_MAX];
	struct holder *holder = userdata;
	int r = ccbuf_request(holder->connection, &holder->request, buffers);

	if (r != 0)
		return r < 0 ? r : refused(holder);
	for (uint32_t i = 0; i < holder->request.count; i++) {
		close(buffers[i].fd);
		if (holder->n_grants < HOLDER_GRANTS)
			holder->grants[holder->n_grants++] = buffers[i].grant;
	}
	return 0;
}

int holder_release(void *userdata)
{
	struct holder *holder = userdata;
	int r = 0;

	while (r == 0 && holder->n_grants)
		r = ccbuf_release(holder->connection, holder->grants[--holder->n_grants], NULL);
	return r > 0 ? refused(holder) : r;
}

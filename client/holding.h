/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parts of `ccbuf-client request`: the request, its buffers, and their connection.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>

#include "ccbuf.h"
#include "request.h"

struct asking {
	struct ccbuf_request request;
	enum transport transport;
	bool json;
	char **command; /* NULL-terminated; NULL for none */
};

/* The buffers, and the connection that they came over. */
struct holding {
	struct ccbuf_buffer buffers[CCBUF_COUNT_MAX]; /* exposure 0 where it is not known */
	size_t n_buffers;
	struct ccbuf *socket;
	sd_bus *bus;
};

#define HOLDING_NONE                                                                               \
	{                                                                                          \
		.n_buffers = 0                                                                     \
	}

/* Closes the connection and the remaining fds. */
void holding_done(struct holding *holding);

/* Request the buffers. Return EXIT_DONE, or the exit code after reporting the failure. */
int obtain_by_socket(const struct asking *asking, struct holding *holding);
int obtain_by_bus(const struct asking *asking, struct holding *holding);

/* Closes the fd of a buffer and releases its grant. Returns as above. */
int give_back(struct holding *holding, size_t index, bool *ret_still_held);

/*
 * Becomes command, with fds (taken) as its fds from 3 on, by the convention of sd_listen_fds(3):
 * LISTEN_FDS, LISTEN_FDNAMES (name for each), LISTEN_PID. Returns only on failure, with a negative
 * errno; then some of the fds from 3 on may have been replaced.
 */
int listen_fds_exec(char *const command[], const int *fds, size_t n_fds, const char *name);

/* A name in the form for LISTEN_FDNAMES: without ':' and at most 255 bytes. The caller frees it. */
char *listen_fds_name(const char *name);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The helper process, and the messages between it and the daemon. For helper/helper.c only.
 */
#pragma once

#include <stdint.h>

#include "helper/helper.h"

enum helper_op {
	HELPER_SPAWN,	/* daemon: value is a role */
	HELPER_KILL,	/* daemon */
	HELPER_STARTED, /* helper: value 0 and an fd, or a negative errno */
	HELPER_ENDED,	/* helper: value is the status of waitpid() */
};

/* One packet. number is the daemon's number of a child. */
struct helper_message {
	uint32_t op, number;
	int32_t value;
};

/* Runs the helper until the daemon closes its end of fd. */
void helper_serve(int fd, const struct helper_settings *settings) __attribute__((noreturn));

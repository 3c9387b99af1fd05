/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The protocol of /run/ccbufd/ccbufd.sock (SOCK_SEQPACKET): one packet is one message, in the byte
 * order of the machine, every field of a fixed width, padding explicit and zero.
 *
 *   client                          daemon
 *   WIRE_REQUEST  ----------------> decides
 *                 <---------------- WIRE_GRANTED with count fds (SCM_RIGHTS), or WIRE_REFUSED
 *   WIRE_RELEASE  ----------------> checks that nobody but the daemon holds the buffer
 *                 <---------------- WIRE_RELEASED, or WIRE_REFUSED (unknown-grant)
 *
 * A client may have up to WIRE_IN_FLIGHT_MAX requests under way. A reply has the id of its
 * question; replies may come in another order. A packet is malformed if its size, version or type
 * is wrong, a bit is set that must be zero, a text is not terminated, or the packet or a control
 * message is truncated. The daemon answers a malformed packet with WIRE_REFUSED (malformed) and its
 * id, or 0 if it has none, and ends the connection. Fds that a client sends are closed. A refused
 * request does not change the connection.
 */
#pragma once

#include <assert.h>
#include <stdint.h>

#include "request.h"

#define WIRE_SOCKET_PATH   "/run/ccbufd/ccbufd.sock"
#define WIRE_VERSION	   1
#define WIRE_IN_FLIGHT_MAX 16
#define WIRE_RULE_MAX	   63
#define WIRE_REASON_MAX	   447

enum wire_type {
	WIRE_REQUEST = 1,
	WIRE_RELEASE = 2,
	WIRE_GRANTED = 128,
	WIRE_REFUSED = 129,
	WIRE_RELEASED = 130,
};

enum wire_flags {
	WIRE_ACCEPT_SHARED = 1u << 0,
	WIRE_READ_ONLY = 1u << 1,
	WIRE_FLAGS_ALL = WIRE_ACCEPT_SHARED | WIRE_READ_ONLY,
};

struct wire_header {
	uint16_t version; /* WIRE_VERSION */
	uint16_t type;	  /* enum wire_type */
	uint32_t length;  /* of the whole packet, including this header */
	uint64_t id;	  /* chosen by the client, returned in the reply */
};
static_assert(sizeof(struct wire_header) == 16, "wire_header");

struct wire_request {
	struct wire_header header;
	uint64_t size;	/* bytes of each buffer; rounded up to whole pages */
	uint32_t count; /* 1 to REQUEST_COUNT_MAX */
	uint32_t flags; /* enum wire_flags, the others zero */
	char use[USE_NAME_MAX + 1];
	char label[LABEL_MAX + 1];
	uint64_t reserved[2]; /* zero */
};
static_assert(sizeof(struct wire_request) == 144, "wire_request");

struct wire_release {
	struct wire_header header;
	uint64_t grant;
	uint64_t reserved; /* zero */
};
static_assert(sizeof(struct wire_release) == 32, "wire_release");

/* Sent with exactly count fds, the first for grants[0]; entries from count on are zero. */
struct wire_granted {
	struct wire_header header;
	uint64_t size; /* bytes of each buffer as allocated, a multiple of the page size */
	uint32_t count;
	uint32_t exposure; /* enum exposure */
	uint64_t grants[REQUEST_COUNT_MAX];
};
static_assert(sizeof(struct wire_granted) == 544, "wire_granted");

struct wire_refused {
	struct wire_header header;
	uint32_t verdict;		  /* enum ccbuf_verdict, never CCBUF_GRANTED */
	uint32_t reserved;		  /* zero */
	char rule[WIRE_RULE_MAX + 1];	  /* the rule that decided, empty when none did */
	char reason[WIRE_REASON_MAX + 1]; /* UTF-8 */
};
static_assert(sizeof(struct wire_refused) == 536, "wire_refused");

struct wire_released {
	struct wire_header header;
	uint64_t grant;
	uint32_t still_held; /* 1 while somebody but the daemon holds the buffer: still charged */
	uint32_t reserved;   /* zero */
};
static_assert(sizeof(struct wire_released) == 32, "wire_released");

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bare operations that ccbufd is held against: the least that any program would have to do to
 * hand a fresh buffer to another process, with packets and messages of the same size.
 */
#pragma once

#include <stdint.h>

/*
 * A fresh zeroed memfd as the emulated heap makes it: memfd_create (close-on-exec, sealable),
 * fallocate of all its pages, and the seals against shrinking, growing and further seals. An fd or
 * a negative errno.
 */
int bare_memfd(uint64_t size);

/* Serves one end of a SOCK_SEQPACKET pair, blocking: for each packet one with a fresh memfd of
 * BENCH_SIZE. Ends when the other end is closed. userdata is an int *. */
void bare_socket_serve(void *userdata);
/* The other side: asks, waits, closes the fd that came. 0 or a negative errno. */
int bare_socket_ask(void *userdata);

#define BARE_BUS_NAME "org.ccbuf.Bench"
#define BARE_BUS_PATH "/org/ccbuf/Bench"

/* Owns BARE_BUS_NAME on the system bus and serves a method Request with the arguments and results
 * of org.ccbuf.Broker1's, that returns a fresh memfd of the size asked for. Never returns. userdata
 * is the bus's address. */
void bare_bus_serve(void *userdata);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The socket front end: listens, limits how many connections a user has, and finds out who
 * connects. front/connection.h then reads their packets.
 */
#pragma once

#include "broker.h"

struct socket_server;

/* Serves a listening SOCK_SEQPACKET socket. Takes over *listen_fd, also on failure. Returns 0 or a
 * negative errno. */
int socket_server_new(struct broker *broker, int *listen_fd, struct socket_server **ret_server);
/* Ends every connection; replies not yet sent are reported undelivered. Takes NULL. No request may
 * be under way any more. */
struct socket_server *socket_server_free(struct socket_server *server);

/* Takes no new connections and reads no more packets; replies still go out. */
void socket_server_stop(struct socket_server *server);

/* Makes and binds a listening socket, mode 0666, and replaces a dead one. Returns 0; -ENOTSOCK when
 * another file is there, which stays; -EADDRINUSE; or another negative errno. */
int socket_listen(const char *path, int *ret_fd);

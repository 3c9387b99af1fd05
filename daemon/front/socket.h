/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The socket front end: listens, limits how many connections a user has, and finds out who
 * connects. What they then say is front/connection.h's.
 */
#pragma once

#include "broker.h"

struct socket_server;

/* Serves a listening SOCK_SEQPACKET socket; *listen_fd is taken over, also on failure.
 * 0 or a negative errno. */
int socket_server_new(struct broker *broker, int *listen_fd, struct socket_server **ret_server);
/* Ends every connection; replies not yet sent are reported undelivered. Takes NULL. No request may
 * be under way any more. */
struct socket_server *socket_server_free(struct socket_server *server);

/* Takes no new connections and reads no more packets; replies still go out. */
void socket_server_stop(struct socket_server *server);

/* Makes and binds a listening socket, mode 0666, replacing a dead one. 0; -ENOTSOCK when a file of
 * another kind is there, which stays; -EADDRINUSE; or another negative errno. */
int socket_listen(const char *path, int *ret_fd);

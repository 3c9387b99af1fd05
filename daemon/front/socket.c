/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listens, and decides who is let in. It reads no packets.
 */
#include "front/socket.h"

#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "front/channel.h"
#include "front/connection.h"
#include "user/turns.h"
#include "util.h"

#define ACCEPT_INTERVAL_USEC 100000
#define ACCEPT_BURST	     500

struct socket_server {
	int listen_fd;
	sd_event_source *source;
	struct user *newcomers; /* stands for all new connections */
	struct turn turn;
	struct connections connections;
	struct admission *admissions; /* under way */
};

/* An accepted connection, until it is known whose it is. It is not read. */
struct admission {
	struct admission *next;
	struct socket_server *server;
	int fd;
	struct ucred ucred;
	struct user *user; /* of the uid; charged */
	struct peer_op *inspection;
};

static void turn_away(struct socket_server *server, struct user *user, int *fd,
	const struct ucred *ucred, enum ccbuf_verdict verdict, const char *reason)
{
	struct peer bare = { .user = user };

	bare.identity = (struct identity){
		.pid = ucred->pid, .uid = ucred->uid, .gid = ucred->gid, .unseen = true
	};
	broker_record_refusal(server->connections.broker, &bare, NULL, verdict, reason);
	connection_turn_away(&server->connections, user, fd, verdict, reason);
}

static unsigned int limit(const struct socket_server *server)
{
	return policy_settings(server->connections.broker->policy)->connections_per_user;
}

static void admission_free(struct admission *admission)
{
	struct admission **at = &admission->server->admissions;

	while (*at != admission)
		at = &(*at)->next;
	*at = admission->next;
	peer_cancel(admission->inspection);
	user_disconnect(admission->user, CHANNEL_FDS);
	user_unref(admission->user);
	free(admission);
}

static void on_identified(void *userdata, int result, const char *why, struct peer *peer)
{
	struct admission *admission = userdata;
	struct socket_server *server = admission->server;
	struct user *user = user_ref(admission->user);
	struct ucred ucred = admission->ucred;
	int fd = steal_fd(&admission->fd);
	char reason[192];

	admission->inspection = NULL;
	admission_free(admission);
	if (result < 0) {
		snprintf(reason, sizeof(reason), "the process cannot be identified: %s", why);
		turn_away(server, user, &fd, &ucred, peer_verdict(result), reason);
	} else if (!user_may_connect(
			   peer->user, limit(server), CHANNEL_FDS, reason, sizeof(reason))) {
		/* The account may differ from that of the uid. */
		turn_away(server, peer->user, &fd, &ucred, CCBUF_BUSY, reason);
	} else if (connection_new(&server->connections, &fd, peer) < 0) {
		turn_away(server, peer->user, &fd, &ucred, CCBUF_INTERNAL, "out of memory");
	}
	peer_unref(peer);
	user_unref(user);
}

static int identify(struct admission *admission)
{
	struct broker *broker = admission->server->connections.broker;
	struct peer_claim claim;
	int r = peer_claim_socket(admission->fd, &claim);

	return r < 0 ? r
		     : peer_identify(broker->inspections, broker->users, admission->user, &claim,
			       on_identified, admission, &admission->inspection);
}

static void admit(struct socket_server *server, int *fd)
{
	struct broker *broker = server->connections.broker;
	struct admission *admission = NULL;
	struct user *user = NULL;
	char reason[192];
	struct ucred ucred;
	socklen_t size = sizeof(ucred);
	int r;

	/* The cheap check first: a flood of connections must not cost an inspection each. */
	if (getsockopt(*fd, SOL_SOCKET, SO_PEERCRED, &ucred, &size) < 0)
		return;
	r = users_get(broker->users, ucred.uid, 0, &user);
	if (r >= 0 && !user_may_connect(user, limit(server), CHANNEL_FDS, reason, sizeof(reason))) {
		turn_away(server, user, fd, &ucred, CCBUF_BUSY, reason);
		user_unref(user);
		return;
	}
	admission = r < 0 ? NULL : malloc(sizeof(*admission));
	if (!admission) {
		turn_away(server, user, fd, &ucred, CCBUF_INTERNAL, "out of memory");
		user_unref(user);
		return;
	}
	*admission = (struct admission){
		.next = server->admissions,
		.server = server,
		.fd = steal_fd(fd),
		.ucred = ucred,
		.user = user,
	};
	server->admissions = admission;
	user_connect(user, CHANNEL_FDS);
	r = identify(admission);
	if (r < 0) {
		snprintf(reason, sizeof(reason), "the process cannot be identified: %s",
			peer_words(r));
		turn_away(server, user, &admission->fd, &ucred, peer_verdict(r), reason);
		admission_free(admission);
	}
}

static bool accept_one(struct turn *turn)
{
	struct socket_server *server =
		(struct socket_server *)((char *)turn - offsetof(struct socket_server, turn));
	cleanup(cleanup_fd) int accepted =
		accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (accepted >= 0)
		admit(server, &accepted);
	sd_event_source_set_enabled(server->source, SD_EVENT_ON);
	return false;
}

/* New connections wait for their turn like the present ones. */
static int on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct socket_server *server = userdata;

	(void)fd, (void)events;
	sd_event_source_set_enabled(source, SD_EVENT_OFF);
	turns_add(server->connections.broker->turns, &server->turn);
	return 0;
}

int socket_server_new(struct broker *broker, int *listen_fd, struct socket_server **ret_server)
{
	struct socket_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server) {
		close_fd(listen_fd);
		return -ENOMEM;
	}
	server->connections.broker = broker;
	server->listen_fd = steal_fd(listen_fd);
	/* Accepted sockets inherit this. */
	(void)channel_deny_fds(server->listen_fd);
	r = users_get(broker->users, (uid_t)-1, 0, &server->newcomers);
	server->turn = (struct turn){ .user = server->newcomers, .run = accept_one };
	if (r >= 0)
		r = sd_event_add_io(broker->loop, &server->source, server->listen_fd, EPOLLIN,
			on_connection, server);
	/* A flood of connections, or one that cannot be accepted for lack of fds, must leave time
	 * for the present connections. */
	if (r >= 0)
		r = sd_event_source_set_ratelimit(
			server->source, ACCEPT_INTERVAL_USEC, ACCEPT_BURST);
	if (r < 0) {
		socket_server_free(server);
		return r;
	}
	*ret_server = server;
	return 0;
}

void socket_server_stop(struct socket_server *server)
{
	turns_remove(server->connections.broker->turns, &server->turn);
	sd_event_source_set_enabled(server->source, SD_EVENT_OFF);
	connections_stop(&server->connections);
}

struct socket_server *socket_server_free(struct socket_server *server)
{
	if (!server)
		return NULL;
	while (server->admissions) {
		struct admission *admission = server->admissions;

		connection_turn_away(&server->connections, admission->user, &admission->fd,
			CCBUF_INTERNAL, "the daemon stops");
		admission_free(admission);
	}
	connections_close(&server->connections);
	if (server->newcomers)
		turns_remove(server->connections.broker->turns, &server->turn);
	user_unref(server->newcomers);
	sd_event_source_disable_unref(server->source);
	/* Clients that are not accepted any more may have sent fds. */
	closer_close(server->connections.broker->closer, 0, &server->listen_fd, NULL, NULL);
	free(server);
	return NULL;
}

int socket_listen(const char *path, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup(cleanup_fd) int fd = -1;
	struct stat st;

	if (!copy_string(address.sun_path, sizeof(address.sun_path), path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) >= 0)
		return -EADDRINUSE;
	if (errno == ECONNREFUSED) {
		/* Anything but a socket is kept: a mistyped path must not destroy a file. */
		if (lstat(path, &st) < 0)
			return -errno;
		if (!S_ISSOCK(st.st_mode))
			return -ENOTSOCK;
		if (unlink(path) < 0)
			return -errno;
	}
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	if (chmod(path, 0666) < 0 || listen(fd, SOMAXCONN) < 0)
		return -errno;
	*ret_fd = steal_fd(&fd);
	return 0;
}

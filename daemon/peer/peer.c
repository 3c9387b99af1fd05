/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Peers and their processes. It keeps no fd of a process that is gone.
 */
#include "peer/peer.h"

#include <poll.h>

#include "util.h"

static bool process_alive(const struct process *process)
{
	struct pollfd poll_fd = { .fd = process->pidfd, .events = POLLIN };

	/* poll() ignores a negative fd. */
	return process->pidfd >= 0 && poll(&poll_fd, 1, 0) == 0;
}

static struct process *process_unref(struct process *process)
{
	if (!process || --process->refs > 0)
		return NULL;
	close_fd(&process->pidfd);
	free(process);
	return NULL;
}

bool peer_alive(const struct peer *peer)
{
	return process_alive(peer->process);
}

void peer_bury(struct peer *peer)
{
	close_fd(&peer->process->pidfd);
}

void peer_share(struct peer *peer, struct peer *other)
{
	if (peer->process == other->process)
		return;
	process_unref(peer->process);
	peer->process = other->process;
	peer->process->refs++;
}

struct peer *peer_ref(struct peer *peer)
{
	peer->refs++;
	return peer;
}

struct peer *peer_unref(struct peer *peer)
{
	if (!peer || --peer->refs > 0)
		return NULL;
	process_unref(peer->process);
	user_unref(peer->user);
	identity_done(&peer->identity);
	free(peer->inspection);
	free(peer);
	return NULL;
}

bool peer_in_group(const struct peer *peer, gid_t gid)
{
	if (peer->identity.uid == 0 || peer->identity.gid == gid)
		return true;
	for (size_t i = 0; i < peer->identity.n_groups; i++)
		if (peer->identity.groups[i] == gid)
			return true;
	return false;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A request and a reply with one fd over a socket pair. It must never do more than that.
 */
#include "bare.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "bench.h"
#include "util.h"
#include "wire.h"

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

int bare_memfd(uint64_t size)
{
	cleanup(cleanup_fd) int fd = memfd_create("bare", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || fallocate(fd, 0, 0, (off_t)size) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return steal_fd(&fd);
}

static int reply(int fd)
{
	cleanup(cleanup_fd) int memfd = bare_memfd(BENCH_SIZE);
	struct wire_granted packet = { .size = BENCH_SIZE };
	struct iovec iov = { &packet, sizeof(packet) };
	union control control = { .header = { .cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS,
					  .cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct msghdr message = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };

	if (memfd < 0)
		return memfd;
	memcpy(CMSG_DATA(&control.header), &memfd, sizeof(memfd));
	return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void bare_socket_serve(void *userdata)
{
	struct wire_request request;
	int fd = *(int *)userdata;

	while (recv(fd, &request, sizeof(request), 0) > 0 && reply(fd) >= 0)
		;
}

int bare_socket_ask(void *userdata)
{
	int fd = *(int *)userdata, memfd;
	struct wire_request request = { .size = BENCH_SIZE };
	struct wire_granted packet;
	struct iovec iov = { &packet, sizeof(packet) };
	union control control;
	struct msghdr message = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };

	if (send(fd, &request, sizeof(request), MSG_NOSIGNAL) < 0)
		return -errno;
	if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC) < 0)
		return -errno;
	if (message.msg_controllen < CMSG_LEN(sizeof(int)))
		return -EBADMSG;
	memcpy(&memfd, CMSG_DATA(&control.header), sizeof(memfd));
	close(memfd);
	return 0;
}

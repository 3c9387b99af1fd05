/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loaded into the daemon before the C library: a kernel that does not know SO_PASSRIGHTS (83), as
 * before Linux 6.16.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static int unknown(void)
{
	errno = ENOPROTOOPT;
	return -1;
}

EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	return name == 83 ? unknown() : (int)syscall(SYS_getsockopt, fd, level, name, value, size);
}

EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	return name == 83 ? unknown() : (int)syscall(SYS_setsockopt, fd, level, name, value, size);
}

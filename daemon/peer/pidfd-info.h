/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PIDFD_GET_INFO (Linux 6.13): the credentials of a process by its pidfd in one call, without
 * /proc.
 */
#pragma once

#include <sys/ioctl.h>

#include "helper/proc.h"

/* The layout of include/uapi/linux/pidfd.h in Linux 6.13, its first version (64 bytes). Later
 * kernels accept it, as the size is part of the ioctl's number. */
struct pidfd_info_v0 {
	uint64_t mask; /* in: what to fill; out: what was filled */
	uint64_t cgroupid;
	uint32_t pid, tgid, ppid;
	uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	uint32_t spare;
};
#define PIDFD_GET_INFO_V0     _IOWR(0xFF, 11, struct pidfd_info_v0)
#define PIDFD_INFO_CREDS_BIT  (UINT64_C(1) << 1)
#define PIDFD_INFO_CGROUP_BIT (UINT64_C(1) << 2)

/* The credentials and the number of the control group (0 when there is none). Returns 0;
 * -EOPNOTSUPP where the kernel lacks the call; -ESRCH when the process is gone. */
int pidfd_info_credentials(
	int pidfd, struct proc_credentials *ret_credentials, uint64_t *ret_cgroup);

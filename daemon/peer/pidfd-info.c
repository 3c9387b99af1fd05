/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PIDFD_GET_INFO. Callers need another way, too: kernels before 6.13 do not have it.
 */
#include "peer/pidfd-info.h"

#include "util.h"

_Static_assert(sizeof(struct pidfd_info_v0) == 64, "PIDFD_INFO_SIZE_VER0");

int pidfd_info_credentials(
	int pidfd, struct proc_credentials *ret_credentials, uint64_t *ret_cgroup)
{
	struct pidfd_info_v0 info = { .mask = PIDFD_INFO_CREDS_BIT | PIDFD_INFO_CGROUP_BIT };

	if (ioctl(pidfd, PIDFD_GET_INFO_V0, &info) < 0)
		return errno == ESRCH ? -ESRCH : -EOPNOTSUPP;
	if (!(info.mask & PIDFD_INFO_CREDS_BIT))
		return -EOPNOTSUPP;
	*ret_credentials = (struct proc_credentials){
		.uids = { info.ruid, info.euid, info.suid, info.fsuid },
		.gids = { info.rgid, info.egid, info.sgid, info.fsgid },
	};
	*ret_cgroup = info.mask & PIDFD_INFO_CGROUP_BIT ? info.cgroupid : 0;
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The allow-list of an inspector. It must never have a call that gives more than a name, a number
 * or a text of /proc.
 */
#include "helper/inspect-filter.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <seccomp.h>
#include <sys/ioctl.h>

#include "util.h"

int inspect_filter_enter(void)
{
	static const int calls[] = { SCMP_SYS(read), SCMP_SYS(close), SCMP_SYS(statx),
		SCMP_SYS(readlinkat), SCMP_SYS(recvfrom), SCMP_SYS(sendto),
		SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigreturn), SCMP_SYS(exit),
		SCMP_SYS(exit_group) };
	static const unsigned long ioctls[] = { NS_GET_PARENT, NS_GET_OWNER_UID };
	const unsigned long written = O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY);
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = filter ? 0 : -ENOMEM;

	if (r >= 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r >= 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(calls); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(ioctls); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, ioctls[i]));
	if (r >= 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, written, O_RDONLY));
	/* Not freed: that could need a call that is not allowed any more. */
	return r < 0 ? r : seccomp_load(filter);
}

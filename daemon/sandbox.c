/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The allow-list. It must never have a call that can trace, run or write another process.
 *
 * Other calls fail, because a library may try calls that it can do without. Calls that only an
 * attack needs kill the process.
 */
#include "sandbox.h"

#include <assert.h>
#include <linux/capability.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "ccbuf_heap.h"
#include "peer/pidfd-info.h"
#include "util.h"

static const int calls[] = {
	/* files: audit trail, fdinfo, heap nodes */
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(pread64),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pwrite64),
	SCMP_SYS(close),
	SCMP_SYS(openat),
	SCMP_SYS(open),
	SCMP_SYS(lseek),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(statx),
	SCMP_SYS(fstatfs),
	SCMP_SYS(statfs),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(getcwd),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(linkat),
	SCMP_SYS(fchmod),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(ftruncate),
	SCMP_SYS(flock),
	SCMP_SYS(fcntl),
	SCMP_SYS(dup),
	SCMP_SYS(dup3),
	SCMP_SYS(umask),
	SCMP_SYS(inotify_add_watch), /* when the trail's folder is replaced */
	/* emulated buffers */
	SCMP_SYS(memfd_create),
	SCMP_SYS(fallocate),
	/* the open sockets, and the journal's */
	SCMP_SYS(accept4),
	SCMP_SYS(bind), /* sd-bus names its end of a connection (systemd 254 and later) */
	SCMP_SYS(connect),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(shutdown),
	/* event loop */
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(eventfd2),
	SCMP_SYS(signalfd4),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	/* processes: our own and peers */
	SCMP_SYS(pidfd_open),
	SCMP_SYS(wait4),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getrandom),
	SCMP_SYS(uname),
	SCMP_SYS(sysinfo),
	SCMP_SYS(getrlimit),
	SCMP_SYS(setpriority),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield),
	/* memory, threads, signals, exit */
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(futex),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigpending),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rseq),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

static const int attacks[] = {
	/* another process's memory, files and threads */
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(process_madvise),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(kcmp),
	/* another program */
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	/* leaving the service's namespaces, or more privileges */
	SCMP_SYS(setns),
	SCMP_SYS(unshare),
	SCMP_SYS(chroot),
	SCMP_SYS(pivot_root),
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(open_tree),
	SCMP_SYS(move_mount),
	SCMP_SYS(mount_setattr),
	SCMP_SYS(fsopen),
	SCMP_SYS(fsmount),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(setuid),
	SCMP_SYS(setgid),
	SCMP_SYS(setreuid),
	SCMP_SYS(setregid),
	SCMP_SYS(setresuid),
	SCMP_SYS(setresgid),
	SCMP_SYS(setgroups),
	SCMP_SYS(capset),
	/* the kernel itself */
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(reboot),
};

/* Calls that the C library replaces by others on kernels without them. */
static const int unknown[] = {
	SCMP_SYS(clone3),
	SCMP_SYS(close_range),
};

static const unsigned long ioctls[] = {
	DMA_HEAP_IOCTL_ALLOC,
	DMA_BUF_IOCTL_SYNC,
	PIDFD_GET_INFO_V0,
	FIONREAD, /* sd-bus */
	SIOCOUTQ, /* the amount that a client has not read */
	TCGETS,	  /* stdio asks whether it writes to a terminal */
	/* heaps of module ccbuf_heap */
	CCBUF_HEAP_STATS,
	CCBUF_HEAP_WATCH,
	CCBUF_HEAP_REVOKE,
};
static_assert(CCBUF_HEAP_STATS == 0x8080cc40, "CCBUF_HEAP_STATS");
static_assert(CCBUF_HEAP_WATCH == 0xc010cc41, "CCBUF_HEAP_WATCH");
static_assert(CCBUF_HEAP_REVOKE == 0xc058cc42, "CCBUF_HEAP_REVOKE");

static int allow(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(calls); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(ioctls); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, ioctls[i]));
	if (r >= 0)
		r = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	/* libsystemd asks for the process's name: for its socket's name, and for a memfd to
	 * journald. */
	if (r >= 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
			SCMP_A0(SCMP_CMP_EQ, PR_GET_NAME));
	/* Limits and signals of our own process only (abort() sends a signal). */
	if (r >= 0)
		r = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_EQ, 0));
	if (r >= 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	if (r >= 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r >= 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return r;
}

static int refuse(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(attacks); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, attacks[i], 0);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(unknown); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), unknown[i], 0);
	return r;
}

int sandbox_drop_rights(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	data[0].permitted &= ~(1u << CAP_SYS_PTRACE);
	data[0].effective = data[0].permitted;
	data[0].inheritable = data[1].inheritable = 0; /* this clears the ambient ones, too */
	if (syscall(SYS_capset, &header, data) < 0)
		return -errno;
	/* If permitted. Without it nothing could restore the capability either. */
	prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE);
	return 0;
}

int sandbox_enter(void)
{
	scmp_filter_ctx filter;
	int r;

	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return -ENOMEM;
	r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	/* The kernel logs refused calls, to help find what a refusal broke. */
	if (r >= 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	/* Kills the process: the default would end the thread only. */
	if (r >= 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r >= 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r >= 0)
		r = allow(filter);
	if (r >= 0)
		r = refuse(filter);
	if (r >= 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of the system call filter: in a child each, what the daemon does goes on working, what an
 * attack does is the end, and anything else fails.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <limits.h>
#include <linux/dma-buf.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "fixture.h"
#include "heap/buffer.h"
#include "peer/pidfd-info.h"
#include "sandbox.h"

static char *page; /* ordinary memory */

/* Runs in a child, sandboxed; its status. */
static int sandboxed(void (*act)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (sandbox_enter() < 0)
			_exit(2);
		act();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void need(bool good)
{
	if (!good)
		_exit(3);
}

/* --- what goes on working --- */

static void allocate(void)
{
	struct heap emulated = { .name = (char *)HEAP_EMULATED, .fd = -1 };
	struct buffer_id id;
	int fd;

	need(heap_alloc(&emulated, EXPOSURE_EMULATED, 65536, true, &fd, &id) == 0);
	need(heap_holders(fd) == -ENODATA);
	need(close(fd) == 0);
}

static void write_files(void)
{
	int fd = open(fixture.trail, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);

	need(fd >= 0 && write(fd, "x", 1) == 1 && fdatasync(fd) == 0 && ftruncate(fd, 0) == 0);
	need(close(fd) == 0);
}

static void inspect_at_a_process(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	struct proc_credentials credentials;
	uint64_t cgroup;
	int r;

	need(fd >= 0);
	r = pidfd_info_credentials(fd, &credentials, &cgroup);
	need(r == 0 || r == -EOPNOTSUPP);
	need(close(fd) == 0);
}

static void use_sockets(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/no/such/socket" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), n;

	need(fd >= 0);
	need(connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno == ENOENT);
	need(ioctl(fd, FIONREAD, &n) == 0);
	need(close(fd) == 0);
}

static void run_a_loop(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event;

	need(fd >= 0 && epoll_wait(fd, &event, 1, 0) == 0);
	need(close(fd) == 0);
}

static void get_memory(void)
{
	void *memory = malloc(64 << 20);

	need(memory != NULL);
	memset(memory, 1, 64 << 20);
	free(memory);
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(memory != MAP_FAILED && mprotect(memory, 4096, PROT_READ) == 0);
}

static void print(void)
{
	printf("%s", "");
	fprintf(stderr, "%s", "");
	fflush(NULL);
}

/* An ioctl that a buffer may get fails on a file, and no more. */
static void sync_a_buffer(void)
{
	struct dma_buf_sync sync = { 0 };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	need(ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) < 0 && errno == ENOTTY);
}

/* So do those that a heap of the module may get. */
static void ask_the_module(void)
{
	struct ccbuf_heap_stats stats;
	struct ccbuf_heap_hold hold;
	uint64_t id;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	need(ccbuf_heap_stats(fd, &stats) == -ENOTTY);
	need(ccbuf_heap_watch(fd, fd, &id) == -ENOTTY);
	need(ccbuf_heap_revoke(fd, 1, &hold) == -ENOTTY);
}

static void raise_own_limit(void)
{
	struct rlimit limit;

	need(getrlimit(RLIMIT_NOFILE, &limit) == 0 && setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void (*const allowed[])(void) = { allocate, write_files, inspect_at_a_process, use_sockets,
	run_a_loop, get_memory, print, sync_a_buffer, ask_the_module, raise_own_limit };

START_TEST(goes_on_working)
{
	int status;

	if (UNDER_SANITIZER)
		fixture_skip("a sanitizer makes calls of its own");
	status = sandboxed(allowed[_i]);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", status);
}
END_TEST

START_TEST(own_abort_is_seen)
{
	int status;

	if (UNDER_SANITIZER)
		fixture_skip("a sanitizer makes calls of its own");
	status = sandboxed(abort);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), SIGABRT);
}
END_TEST

/* --- what is refused, and what is the end --- */

#define PAGE_ARGUMENT LONG_MIN /* stands for page */

static const struct forbidden {
	const char *name;
	long number, arguments[6];
	int error; /* 0 for EPERM */
} ends[] = {
	{ "ptrace", SYS_ptrace, { PTRACE_ATTACH, 1 } },
	{ "process_vm_readv", SYS_process_vm_readv, { 1 } },
	{ "process_vm_writev", SYS_process_vm_writev, { 1 } },
	{ "process_madvise", SYS_process_madvise, { -1 } },
	{ "execve", SYS_execve, { 0 } },
	{ "execveat", SYS_execveat, { AT_FDCWD } },
	{ "pidfd_getfd", SYS_pidfd_getfd, { -1 } },
	{ "setns", SYS_setns, { -1 } },
	{ "unshare", SYS_unshare, { CLONE_NEWUSER } },
	{ "mount", SYS_mount, { 0 } },
	{ "chroot", SYS_chroot, { 0 } },
	{ "setresuid", SYS_setresuid, { -1, -1, -1 } },
	{ "bpf", SYS_bpf, { 0 } },
	{ "userfaultfd", SYS_userfaultfd, { 0 } },
	{ "perf_event_open", SYS_perf_event_open, { 0 } },
};

/* What a library may try. */
static const struct forbidden errors[] = {
	{ "clone", SYS_clone, { SIGCHLD } },
	{ "openat2", SYS_openat2, { AT_FDCWD } },
	{ "clone3", SYS_clone3, { 0 }, ENOSYS },
	{ "socket inet", SYS_socket, { AF_INET, SOCK_STREAM } },
	{ "socket inet6", SYS_socket, { AF_INET6, SOCK_STREAM } },
	{ "socket netlink", SYS_socket, { AF_NETLINK, SOCK_RAW } },
	{ "socket vsock", SYS_socket, { AF_VSOCK, SOCK_STREAM } },
	{ "ioctl TIOCSTI", SYS_ioctl, { 0, TIOCSTI } },
	{ "ioctl DMA_BUF_SET_NAME", SYS_ioctl, { 0, (long)DMA_BUF_SET_NAME } },
	{ "ioctl beside those of the module", SYS_ioctl, { 0, (long)(CCBUF_HEAP_REVOKE + 1) } },
	{ "ioctl of the module, of another size", SYS_ioctl,
		{ 0, (long)_IOWR(CCBUF_HEAP_IOC_MAGIC, 0x42, int) } },
	{ "mmap exec", SYS_mmap,
		{ 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 } },
	{ "mmap write exec", SYS_mmap,
		{ 0, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 } },
	{ "mprotect exec", SYS_mprotect, { PAGE_ARGUMENT, 4096, PROT_READ | PROT_EXEC } },
	{ "pkey_mprotect", SYS_pkey_mprotect, { PAGE_ARGUMENT, 4096, PROT_EXEC, -1 } },
	{ "kill", SYS_kill, { 1, 0 } },
	{ "tgkill of another", SYS_tgkill, { 1, 1, 0 } },
	{ "pidfd_send_signal", SYS_pidfd_send_signal, { -1 } },
	{ "prlimit of another", SYS_prlimit64, { 1, RLIMIT_NOFILE } },
	{ "prctl", SYS_prctl, { PR_SET_DUMPABLE, 1 } },
	{ "io_uring_setup", SYS_io_uring_setup, { 1 } },
	{ "keyctl", SYS_keyctl, { 0 } },
	{ "fchmodat", SYS_fchmodat, { AT_FDCWD } },
	{ "fchownat", SYS_fchownat, { AT_FDCWD } },
	{ "symlinkat", SYS_symlinkat, { 0 } },
	{ "listen", SYS_listen, { 0, 1 } },
	{ "socketpair", SYS_socketpair, { AF_UNIX, SOCK_STREAM } },
	{ "no such call", 100000, { 0 } },
};
static const struct forbidden *end; /* that is tried */

static void do_forbidden(void)
{
	int wanted = end->error ? end->error : EPERM;
	long a[6];

	for (size_t i = 0; i < ARRAY_SIZE(a); i++)
		a[i] = end->arguments[i] == PAGE_ARGUMENT ? (long)page : end->arguments[i];
	errno = 0;
	need(syscall(end->number, a[0], a[1], a[2], a[3], a[4], a[5]) == -1 && errno == wanted);
}

#ifdef __x86_64__
/* The calls of 32 bits have other numbers: 20 is getpid there, writev here. */
static void do_other_architecture(void)
{
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory");
}
#endif

static int try(const struct forbidden *forbidden)
{
	int status;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	end = forbidden;
	status = sandboxed(do_forbidden);
	munmap(page, 4096);
	return status;
}

START_TEST(is_an_error)
{
	int status;

	if (UNDER_SANITIZER)
		fixture_skip("a sanitizer makes calls of its own");
	status = try(&errors[_i]);
	ck_assert_msg(
		WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: status %#x", end->name, status);
}
END_TEST

START_TEST(is_the_end)
{
	int status;

	if (UNDER_SANITIZER)
		fixture_skip("a sanitizer makes calls of its own");
	status = try(&ends[_i]);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s: status %#x",
		end->name, status);
}
END_TEST

/* What the helper has alone from now on cannot be had back. */
static void have_no_right(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	need(sandbox_drop_rights() == 0);
	need(syscall(SYS_capget, &header, data) == 0);
	need(!(data[0].permitted & (1u << CAP_SYS_PTRACE)));
	need(!(data[0].effective & (1u << CAP_SYS_PTRACE)));
	need(!(data[0].inheritable & (1u << CAP_SYS_PTRACE)));
	need(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_SYS_PTRACE, 0, 0) == 0);
	data[0].permitted |= 1u << CAP_SYS_PTRACE;
	need(syscall(SYS_capset, &header, data) < 0 && errno == EPERM);
}

START_TEST(rights_are_given_up)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		have_no_right();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", status);
}
END_TEST

static sem_t go;

static void *act_when_told(void *userdata)
{
	void (*act)(void) = *(void (**)(void))userdata;

	while (sem_wait(&go) < 0)
		;
	act();
	return NULL;
}

static void map_executable(void)
{
	need(mmap(NULL, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
		errno == EPERM);
}

static void trace(void)
{
	syscall(SYS_ptrace, PTRACE_ATTACH, 1, 0, 0);
}

/* Threads that were there before are in it too, and what one of them does ends the process. */
static int sandboxed_thread(void (*act)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		pthread_t thread;

		sem_init(&go, 0, 0);
		if (pthread_create(&thread, NULL, act_when_told, &act) || sandbox_enter() < 0)
			_exit(2);
		sem_post(&go);
		pthread_join(thread, NULL);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

START_TEST(threads_are_in_it)
{
	int status;

	if (UNDER_SANITIZER)
		fixture_skip("a sanitizer makes calls of its own");
	status = sandboxed_thread(map_executable);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %#x", status);
	status = sandboxed_thread(trace);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "status %#x", status);
}
END_TEST

START_TEST(other_architectures)
{
#ifdef __x86_64__
	int status;

	if (UNDER_SANITIZER)
		fixture_skip("a sanitizer makes calls of its own");
	status = sandboxed_thread(do_other_architecture);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV)
		fixture_skip("this kernel has no calls of 32 bits");
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "status %#x", status);
#endif
}
END_TEST

int main(int argc, char *argv[])
{
	static const struct test_hooks hooks = { fixture_set_up, fixture_tear_down };
	const struct test tests[] = {
		{ goes_on_working, .times = ARRAY_SIZE(allowed) },
		{ own_abort_is_seen },
		{ is_an_error, .times = ARRAY_SIZE(errors) },
		{ is_the_end, .times = ARRAY_SIZE(ends) },
		{ rights_are_given_up },
		{ threads_are_in_it },
		{ other_architectures },
		{ NULL },
	};

	return run_tests(argc, argv, "sandbox", &hooks, tests);
}

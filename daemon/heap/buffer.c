/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Buffers of heaps. It must never read the contents of a buffer, and map one only to zero it.
 */
#include "heap/buffer.h"

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "size.h"
#include "text.h"
#include "util.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u /* Linux 6.3, include/uapi/linux/memfd.h */
#endif

/* Makes a memfd that cannot be executed, where the kernel supports that. With vm.memfd_noexec 2 the
 * kernel makes no other. */
static int make_memfd(void)
{
	int fd = memfd_create("ccbuf", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("ccbuf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd;
}

/* Opens the memfd again: leases do not count the open file that memfd_create() makes. If root has a
 * lease on it, the open fails instead of waiting for its end. */
static int reopen(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

static int alloc_emulated(uint64_t size, bool read_only, int *ret_fd)
{
	cleanup(cleanup_fd) int fd = make_memfd();
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, own;

	if (fd < 0)
		return -errno;
	/* Allocates the pages now, as a heap does: otherwise a peer could get SIGBUS later. */
	if ((read_only ? ftruncate(fd, (off_t)size) : fallocate(fd, 0, 0, (off_t)size)) < 0)
		return errno == ENOSPC || errno == EFBIG || errno == EINVAL ? -ENOMEM : -errno;
	/* Any holder can reopen a memfd for writing; only a seal keeps it read-only. */
	if (read_only)
		seals |= F_SEAL_WRITE;
	if (fcntl(fd, F_ADD_SEALS, seals) < 0)
		return -errno;
	own = reopen(fd);
	if (own < 0)
		return -errno;
	*ret_fd = own;
	return 0;
}

/* The kernel gives a write lease when nobody else has the file open or mapped. fd, whose open file
 * the peer shares, is replaced by an open file of our own first. */
static int lease(int fd)
{
	cleanup(cleanup_fd) int own = reopen(fd);
	int r = 0;

	if (own < 0 || dup3(own, fd, O_CLOEXEC) < 0)
		return -errno;
	close_fd(&own);
	if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
		r = -errno;
	else
		(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return r;
}

bool heap_emulated_leases(void)
{
	cleanup(cleanup_fd) int held = -1;
	cleanup(cleanup_fd) int fd = -1;

	if (alloc_emulated((uint64_t)sysconf(_SC_PAGESIZE), true, &held) < 0)
		return false;
	fd = fcntl(held, F_DUPFD_CLOEXEC, 0);
	if (fd < 0 || lease(fd) != -EAGAIN)
		return false;
	close_fd(&held);
	return lease(fd) == 0;
}

bool heap_emulated_held(int fd)
{
	return lease(fd) < 0;
}

void heap_discard(int fd, uint64_t size)
{
	(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)size);
}

static int sync_access(int fd, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	while (ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) < 0)
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	return 0;
}

static int zero(int fd, uint64_t size)
{
	void *memory;
	int r, s;

	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	r = sync_access(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
	if (r >= 0) {
		explicit_bzero(memory, size);
		r = sync_access(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
	}
	s = munmap(memory, size) < 0 ? -errno : 0;
	return r < 0 ? r : s;
}

static int alloc_dma_buf(const struct heap *heap, enum exposure exposure, uint64_t size,
	bool read_only, int *ret_fd, uint64_t *ret_watch)
{
	struct dma_heap_allocation_data data = {
		.len = size,
		.fd_flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC,
	};
	cleanup(cleanup_fd) int fd = -1;
	uint64_t watch = 0;
	int r = 0;

	while (ioctl(heap->fd, DMA_HEAP_IOCTL_ALLOC, &data) < 0)
		if (errno != EINTR)
			return -errno;
	fd = (int)data.fd;
	if (heap->module)
		r = ccbuf_heap_watch(heap->fd, fd, &watch);
	else if (exposure == EXPOSURE_SHARED)
		r = zero(fd, size);
	if (r < 0)
		return r;
	*ret_fd = steal_fd(&fd);
	*ret_watch = watch;
	return 0;
}

int heap_alloc(const struct heap *heap, enum exposure exposure, uint64_t size, bool read_only,
	int *ret_fd, struct buffer_id *ret_id)
{
	cleanup(cleanup_fd) int fd = -1;
	uint64_t watch = 0;
	struct stat st;
	int r;

	r = heap->fd < 0 ? alloc_emulated(size, read_only, &fd)
			 : alloc_dma_buf(heap, exposure, size, read_only, &fd, &watch);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	*ret_id = (struct buffer_id){ .inode = st.st_ino, .watch = watch };
	*ret_fd = steal_fd(&fd);
	return 0;
}

bool heap_explain(const struct heap *heap, int error, char *text, size_t size)
{
	struct ccbuf_heap_stats stats = { 0 };
	char leaked[SIZE_TEXT_MAX];
	bool stopped = heap->module && error == -EIO && ccbuf_heap_stats(heap->fd, &stats) == 0 &&
		       stats.flags & CCBUF_HEAP_STAT_STOPPED;

	if (stopped)
		text_format(text, size,
			"heap %s gives out no memory any more: %s could not be made private again, "
			"more than the module's leak_limit; restart the machine",
			heap->name, size_format(stats.leaked_bytes, leaked));
	else
		text_format(text, size, "heap %s failed: %s", heap->name, strerror(-error));
	return stopped;
}

int64_t heap_holders(int fd)
{
	char path[48], text[512];
	cleanup(cleanup_fd) int info = -1;
	const char *count;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return -errno;
	n = read(info, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = 0;
	/* The kernel writes size, count, exp_name and then name. A holder chooses the name, which
	 * may contain newlines: only the first line with this key is the kernel's. */
	count = strstr(text, "\ncount:\t");
	if (!count)
		return -ENODATA;
	return strtoll(count + strlen("\ncount:\t"), NULL, 10) - 1;
}

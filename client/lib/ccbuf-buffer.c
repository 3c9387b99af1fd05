/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Buffers once they are had: mapping, and CPU access beside a device's. It must never look at the
 * bytes: the host may be writing them.
 */
#include "ccbuf-internal.h"

#include <linux/dma-buf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

static_assert(CCBUF_READ == DMA_BUF_SYNC_READ, "CCBUF_READ");
static_assert(CCBUF_WRITE == DMA_BUF_SYNC_WRITE, "CCBUF_WRITE");

static bool access_valid(unsigned int access)
{
	return access && !(access & ~(unsigned int)CCBUF_READ_WRITE);
}

int ccbuf_map(int fd, uint64_t size, unsigned int access, void **ret_address)
{
	int protection = 0;
	struct stat st;
	void *address;

	if (!access_valid(access) || size > SIZE_MAX)
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	/* A memfd may be mapped beyond its end, and then kills who touches that. */
	if (size > (uint64_t)st.st_size)
		return -EINVAL;
	if (access & CCBUF_READ)
		protection |= PROT_READ;
	if (access & CCBUF_WRITE)
		protection |= PROT_WRITE;
	address = mmap(NULL, (size_t)size, protection, MAP_SHARED, fd, 0);
	if (address == MAP_FAILED)
		return -errno;
	*ret_address = address;
	return 0;
}

int ccbuf_unmap(void *address, uint64_t size)
{
	if (size > SIZE_MAX || munmap(address, (size_t)size) < 0)
		return -EINVAL;
	return 0;
}

static int sync_cpu(int fd, unsigned int access, uint64_t edge)
{
	struct dma_buf_sync sync = { .flags = access | edge };
	struct stat st;
	int r;

	if (!access_valid(access))
		return -EINVAL;
	do
		r = ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
	while (r < 0 && (errno == EINTR || errno == EAGAIN));
	if (r == 0)
		return 0;
	r = -errno;
	/* An emulated buffer is a memfd: no device, so nothing to synchronise with. */
	if (r == -ENOTTY && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return 0;
	return r;
}

int ccbuf_begin(int fd, unsigned int access)
{
	return sync_cpu(fd, access, DMA_BUF_SYNC_START);
}

int ccbuf_end(int fd, unsigned int access)
{
	return sync_cpu(fd, access, DMA_BUF_SYNC_END);
}

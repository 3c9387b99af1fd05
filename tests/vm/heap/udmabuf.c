/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loaded into QEMU (LD_PRELOAD), stands in for the host's /dev/udmabuf: with it QEMU's virtio-gpu
 * makes one mapping of the pieces of guest memory that a resource consists of. Few machines have
 * that device, and here it takes no kernel: the pieces are mapped one after the other. It never
 * copies, so the device sees the guest's memory itself.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A list of pieces is kept in a memfd, which is then the "dma-buf". */
#define MAGIC "ccbuf list of pieces"

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int make_list(const struct udmabuf_create_list *list)
{
	int fd = memfd_create("udmabuf", MFD_CLOEXEC);
	size_t size = sizeof(*list) + list->count * sizeof(list->list[0]);

	if (fd < 0)
		return -1;
	if (write(fd, MAGIC, sizeof(MAGIC)) == (ssize_t)sizeof(MAGIC) &&
		write(fd, list, size) == (ssize_t)size)
		return fd;
	close(fd);
	errno = ENOSPC;
	return -1;
}

/* The list that fd is, to be freed, or NULL. */
static struct udmabuf_create_list *read_list(int fd)
{
	char magic[sizeof(MAGIC)];
	struct udmabuf_create_list *list;
	struct stat st;
	size_t size;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= (off_t)sizeof(magic) ||
		pread(fd, magic, sizeof(magic), 0) != sizeof(magic) ||
		memcmp(magic, MAGIC, sizeof(magic)) != 0)
		return NULL;
	size = (size_t)st.st_size - sizeof(magic);
	list = malloc(size);
	if (list && pread(fd, list, size, sizeof(magic)) == (ssize_t)size)
		return list;
	free(list);
	return NULL;
}

static void *map_list(const struct udmabuf_create_list *list, size_t size, int prot)
{
	char *base, *at;

	base = NEXT(mmap64)(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return base;
	at = base;
	for (unsigned int i = 0; i < list->count; i++) {
		const struct udmabuf_create_item *item = &list->list[i];

		if (item->size > size - (size_t)(at - base) ||
			NEXT(mmap64)(at, item->size, prot, MAP_SHARED | MAP_FIXED, (int)item->memfd,
				(off64_t)item->offset) == MAP_FAILED) {
			munmap(base, size);
			return MAP_FAILED;
		}
		at += item->size;
	}
	return base;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *argument;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	if (request == UDMABUF_CREATE_LIST)
		return make_list(argument);
	return NEXT(ioctl)(fd, request, argument);
}

void *mmap64(void *address, size_t size, int prot, int flags, int fd, off64_t offset)
{
	struct udmabuf_create_list *list = offset ? NULL : read_list(fd);
	void *mapping;

	if (!list)
		return NEXT(mmap64)(address, size, prot, flags, fd, offset);
	mapping = map_list(list, size, prot);
	free(list);
	return mapping;
}

int open64(const char *path, int flags, ...)
{
	va_list args;
	int mode;

	va_start(args, flags);
	mode = va_arg(args, int);
	va_end(args);
	if (strcmp(path, "/dev/udmabuf") == 0)
		path = "/dev/null";
	return NEXT(open64)(path, flags, mode);
}

/* QEMU asks by this whether the guest's memory is a memfd; here any file will do. */
int fcntl64(int fd, int command, ...)
{
	va_list args;
	void *argument;
	int r;

	va_start(args, command);
	argument = va_arg(args, void *);
	va_end(args);
	r = NEXT(fcntl64)(fd, command, argument);
	return r < 0 && command == F_GET_SEALS ? F_SEAL_SEAL : r;
}

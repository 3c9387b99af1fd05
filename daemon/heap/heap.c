/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The folder of heaps and its nodes. It must never open a file that is not a device, nor one on a
 * file system that may not answer.
 */
#include "heap/heap.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/served.h"
#include "heap/buffer.h"
#include "platform.h"
#include "text.h"
#include "util.h"

#define QUICK_MAX (1u << 20)

struct heaps {
	const char *folder;
	struct heap emulated;
	struct heap *nodes;
	int (*opened)(void *userdata, const struct heap *heap);
	void *userdata;
};

struct heaps *heaps_new(const char *folder)
{
	struct heaps *heaps = calloc(1, sizeof(*heaps));

	if (!heaps)
		return NULL;
	heaps->folder = folder;
	heaps->emulated = (struct heap){
		.name = (char *)HEAP_EMULATED, .fd = -1, .leases = heap_emulated_leases()
	};
	return heaps;
}

static void free_heap(struct heap *heap)
{
	close_fd(&heap->fd);
	free(heap->name);
	free(heap);
}

struct heaps *heaps_free(struct heaps *heaps)
{
	if (!heaps)
		return NULL;
	while (heaps->nodes) {
		struct heap *heap = heaps->nodes;

		heaps->nodes = heap->next;
		free_heap(heap);
	}
	free(heaps);
	return NULL;
}

void heaps_set_observer(
	struct heaps *heaps, int (*opened)(void *userdata, const struct heap *heap), void *userdata)
{
	heaps->opened = opened;
	heaps->userdata = userdata;
}

/* Finds out whether the node is the module's, and calls the observer if so. */
static int introduce(struct heaps *heaps, struct heap *heap)
{
	struct ccbuf_heap_stats stats;

	heap->module = ccbuf_heap_stats(heap->fd, &stats) == 0;
	return heap->module && heaps->opened ? heaps->opened(heaps->userdata, heap) : 0;
}

/* The event loop opens the folder and its files, so they must not lie on a file system that may not
 * answer. */
static int open_folder(const char *path, int *ret_fd)
{
	cleanup(cleanup_fd) int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (served(fd))
		return -EREMOTE;
	*ret_fd = steal_fd(&fd);
	return 0;
}

bool heaps_may_hang(const char *folder)
{
	cleanup(cleanup_fd) int fd = -1;

	return open_folder(folder, &fd) == -EREMOTE;
}

/* Opens a node and nothing else: checks the kind of the file before it opens it. */
static int open_device(int folder, const char *name, int *ret_fd)
{
	cleanup(cleanup_fd) int found = openat(folder, name, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	struct statx st;
	char path[32];
	int fd;

	if (found < 0)
		return -errno;
	if (statx(found, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0)
		return -errno;
	if (S_ISLNK(st.stx_mode))
		return -ELOOP;
	if (!S_ISCHR(st.stx_mode))
		return -ENODEV;
	if (served(found))
		return -EREMOTE;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", found);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int open_node(struct heaps *heaps, const char *name, const struct heap **ret_heap)
{
	cleanup(cleanup_fd) int folder = -1;
	cleanup(cleanup_fd) int fd = -1;
	struct heap *heap;
	struct stat st;
	int r;

	r = open_folder(heaps->folder, &folder);
	if (r >= 0)
		r = open_device(folder, name, &fd);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	heap = calloc(1, sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	heap->fd = steal_fd(&fd);
	heap->device = st.st_rdev;
	heap->name = strdup(name);
	r = heap->name ? introduce(heaps, heap) : -ENOMEM;
	if (r < 0) {
		free_heap(heap);
		return r;
	}
	heap->next = heaps->nodes;
	heaps->nodes = heap;
	*ret_heap = heap;
	return 0;
}

int heaps_get(struct heaps *heaps, const char *name, const struct heap **ret_heap)
{
	if (streq(name, HEAP_EMULATED)) {
		*ret_heap = &heaps->emulated;
		return 0;
	}
	if (!name[0] || name[0] == '.' || strchr(name, '/'))
		return -EINVAL;
	for (const struct heap *heap = heaps->nodes; heap; heap = heap->next) {
		if (streq(heap->name, name)) {
			*ret_heap = heap;
			return 0;
		}
	}
	return open_node(heaps, name, ret_heap);
}

void heaps_explain(const struct heaps *heaps, const char *name, enum exposure exposure, int error,
	char *text, size_t size)
{
	char shown[128];

	text_fit(name, TEXT_NAME | TEXT_VISIBLE, shown, sizeof(shown));

	if (error == -EPERM)
		text_format(text, size,
			"%s/%s is not among the devices of the service; restart ccbufd if the heap "
			"is newer than it",
			heaps->folder, shown);
	else if (error == -EREMOTE)
		text_format(text, size,
			"%s/%s lies on a file system that may not answer (FUSE, a network)",
			heaps->folder, shown);
	else if (error != -ENOENT)
		text_format(text, size, "%s/%s cannot be opened: %s", heaps->folder, shown,
			strerror(-error));
	else if (exposure == EXPOSURE_SHARED && streq(platform_name(), "none"))
		text_format(text, size,
			"there is no heap %s: this machine is not a confidential VM, so there is "
			"no "
			"memory to share with the host",
			shown);
	else if (exposure == EXPOSURE_SHARED)
		text_format(text, size,
			"there is no heap %s: the kernel is built without it "
			"(CONFIG_DMABUF_HEAPS_SYSTEM_CC_SHARED) and module ccbuf_heap is not "
			"loaded",
			shown);
	else if (access(heaps->folder, F_OK) < 0)
		text_format(text, size,
			"there is no heap %s: %s is missing, the kernel is built without "
			"CONFIG_DMABUF_HEAPS",
			shown, heaps->folder);
	else
		text_format(text, size, "there is no heap %s in %s", shown, heaps->folder);
}

int heaps_each(struct heaps *heaps, void (*visit)(void *userdata, const char *name), void *userdata)
{
	cleanup(cleanup_fd) int path = -1;
	struct dirent *entry;
	DIR *folder;
	int fd, r;

	visit(userdata, HEAP_EMULATED);
	r = open_folder(heaps->folder, &path);
	if (r < 0)
		return r == -ENOENT || r == -EREMOTE ? 0 : r;
	fd = openat(path, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	folder = fd < 0 ? NULL : fdopendir(fd);
	if (!folder) {
		r = -errno;
		close_fd(&fd);
		return r;
	}
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			visit(userdata, entry->d_name);
	closedir(folder);
	return 0;
}

enum heap_end heap_end(const struct heap *heap)
{
	if (heap->fd < 0)
		return HEAP_END_PEER;
	return heap->module ? HEAP_END_EVENT : HEAP_END_COUNT;
}

bool heap_is_emulated(const struct heap *heap)
{
	return heap->fd < 0;
}

bool heap_is_quick(const struct heap *heap, uint64_t size)
{
	return heap->fd < 0 && size <= QUICK_MAX;
}

bool heap_can_read_only(const struct heap *heap, enum exposure exposure)
{
	return heap->fd < 0 || heap->module || exposure != EXPOSURE_SHARED;
}

bool heap_can_revoke(const struct heap *heap)
{
	return heap->module;
}

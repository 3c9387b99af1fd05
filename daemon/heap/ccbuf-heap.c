/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The calls of module ccbuf_heap. It decides nothing.
 */
#include "heap/ccbuf-heap.h"

#include <sys/ioctl.h>

#include "util.h"

int ccbuf_heap_stats(int node, struct ccbuf_heap_stats *ret_stats)
{
	struct ccbuf_heap_stats stats = { 0 };

	if (ioctl(node, CCBUF_HEAP_STATS, &stats) < 0)
		return -errno;
	*ret_stats = stats;
	return 0;
}

int ccbuf_heap_watch(int node, int fd, uint64_t *ret_id)
{
	struct ccbuf_heap_watch watch = { .fd = fd };

	if (ioctl(node, CCBUF_HEAP_WATCH, &watch) < 0)
		return -errno;
	*ret_id = watch.id;
	return 0;
}

int ccbuf_heap_revoke(int node, uint64_t id, struct ccbuf_heap_hold *ret_hold)
{
	struct ccbuf_heap_revoke revoke = { .id = id };

	while (ioctl(node, CCBUF_HEAP_REVOKE, &revoke) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	ret_hold->mappings = revoke.mappings;
	ret_hold->vmaps = revoke.vmaps;
	ret_hold->busy = revoke.busy;
	copy_string(ret_hold->device, sizeof(ret_hold->device), revoke.device);
	return 0;
}

int ccbuf_heap_events(int node, struct ccbuf_heap_event *ret_events, size_t n)
{
	ssize_t size = read(node, ret_events, n * sizeof(*ret_events));

	/* the module's event stream never ends */
	if (size == 0)
		return -ENODATA;
	if (size < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return (int)((size_t)size / sizeof(*ret_events));
}

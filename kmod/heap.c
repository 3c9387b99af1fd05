// SPDX-License-Identifier: GPL-2.0-only
/*
 * The node /dev/dma_heap/system_cc_shared and its buffers. The node is a miscdevice and not a heap
 * of the kernel's dma-heap framework, because such a heap can never be removed, and no kernel
 * before 7.2 lets a module add one. Its ioctl is the same.
 *
 * A buffer lives as long as its dma-buf; its memory may be taken back before (revoke). From the
 * order in which that is done follows that nobody can reach memory that is private again:
 *
 *	live		mappings, faults, importers: all is given
 *	revoking	nothing new is given; mappings of processes are zapped, importers told, and
 *			waited for the end of what their devices did until then
 *	revoked		the memory goes as soon as no device and no kernel mapping is left
 *	going		nobody has it, and it is being given back
 *	gone		it was given back; the dma-buf may live on, empty
 *
 * Locks, outermost first: buffer->revoking (a whole revoke); mmap_lock or the dma_resv of the
 * buffer; buffer->lock (state, mappings); heap.lock (list of buffers, watches, events) or that of
 * the pool. Memory is allocated under buffer->lock, so nothing that reclaims memory may take it;
 * and what takes long, to give memory back, is not done under it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cc_platform.h>
#include <linux/debugfs.h>
#include <linux/dma-buf.h>
#include <linux/dma-fence.h>
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/iosys-map.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/poll.h>
#include <linux/scatterlist.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/xarray.h>
#include <uapi/linux/dma-heap.h>

#include "compat.h"
#include "heap.h"
#include "trace.h"
#include "uapi/ccbuf_heap.h"

enum state { LIVE, REVOKING, REVOKED, GOING, GONE };

/**
 * struct buffer - a buffer
 * @refs: the dma-buf, and who revokes it at the moment
 * @list: in heap.buffers, until the dma-buf is released
 * @watch: who is told of its end, or NULL; under heap.lock
 * @id: never used again
 * @bytes: its size
 * @inode: of the dma-buf, whose page cache tree knows all mappings of processes
 * @revoking: held for a whole revoke, and to release the dma-buf
 * @dmabuf: NULL when it has been released; under @revoking
 * @told: the importers have been told; under @revoking
 * @work: what devices were at when they were told, or NULL; under @revoking
 * @lock: guards all below
 * @state: see above
 * @runs: the memory
 * @mappings: struct mapping, by devices
 * @vmaps: how often the kernel has it mapped, at @vaddr
 * @vaddr: where, if it has
 */
struct buffer {
	struct kref refs;
	struct list_head list;
	struct watch *watch;
	u64 id;
	size_t bytes;
	struct inode *inode;
	struct mutex revoking; /* a whole revoke */
	struct dma_buf *dmabuf;
	bool told;
	struct dma_fence *work;
	struct mutex lock; /* all below */
	enum state state;
	struct runs runs;
	struct list_head mappings;
	unsigned int vmaps;
	void *vaddr;
};

/* A buffer as a device sees it. */
struct mapping {
	struct list_head list;
	struct device *dev;
	struct sg_table table;
};

/* An open file of the node. */
struct session {
	struct xarray watches;	 /* by id: buffers whose end it is not told of yet */
	struct list_head events; /* struct watch, in the order in which they came */
	struct mutex reading;	 /* one reader at a time */
	u64 leaked;		 /* bytes that it was told of */
};

/* A buffer whose end a session is told of; later, that event. */
struct watch {
	struct list_head list;
	struct session *session;
	struct buffer *buffer;
	u64 id;
	u64 bytes;
};

static struct {
	struct mutex lock; /* the list, and all sessions but their reading */
	struct list_head buffers;
	struct dentry *debugfs;
} heap = {
	.lock = __MUTEX_INITIALIZER(heap.lock),
	.buffers = LIST_HEAD_INIT(heap.buffers),
};

static bool unshared;
module_param(unshared, bool, 0444);
MODULE_PARM_DESC(unshared, "For development only: load outside of a confidential guest, where nothing is shared or protected (default N)");

static struct miscdevice heap_misc;

/* --- the end of a buffer --- */

static void buffer_free(struct kref *refs)
{
	struct buffer *buffer = container_of(refs, struct buffer, refs);

	dma_fence_put(buffer->work);
	kfree(buffer);
}

static void buffer_put(struct buffer *buffer)
{
	kref_put(&buffer->refs, buffer_free);
}

/* Tells whoever watches that the memory is given back. */
static void buffer_tell(struct buffer *buffer)
{
	struct watch *watch;

	mutex_lock(&heap.lock);
	watch = buffer->watch;
	if (watch) {
		buffer->watch = NULL;
		watch->buffer = NULL;
		xa_erase(&watch->session->watches, watch->id);
		list_add_tail(&watch->list, &watch->session->events);
	}
	mutex_unlock(&heap.lock);
	if (watch)
		wake_up_interruptible(&heap_events);
}

/* Takes the memory out of a buffer that nobody can reach any more. */
static struct runs buffer_take(struct buffer *buffer)
{
	struct runs runs = buffer->runs;

	lockdep_assert_held(&buffer->lock);
	buffer->state = GOING;
	buffer->runs = (struct runs){};
	return runs;
}

/* Gives it back; without buffer->lock, as that may take long. */
static void buffer_give(struct buffer *buffer, struct runs *runs, bool at_once)
{
	trace_free(buffer->id, buffer->bytes, runs->nr);
	pages_put(runs, at_once);
	mutex_lock(&buffer->lock);
	buffer->state = GONE;
	mutex_unlock(&buffer->lock);
	buffer_tell(buffer);
}

/* To be called, locked, whenever something has let go of the buffer; unlocks it. */
static void buffer_unlock(struct buffer *buffer)
{
	bool gone = buffer->state == REVOKED && list_empty(&buffer->mappings) && !buffer->vmaps;
	struct runs runs;

	if (gone)
		runs = buffer_take(buffer);
	mutex_unlock(&buffer->lock);
	if (gone)
		buffer_give(buffer, &runs, true);
}

static void buffer_release(struct dma_buf *dmabuf)
{
	struct buffer *buffer = dmabuf->priv;
	struct runs runs;
	enum state state;

	mutex_lock(&heap.lock);
	list_del(&buffer->list);
	mutex_unlock(&heap.lock);

	mutex_lock(&buffer->revoking);
	buffer->dmabuf = NULL;
	mutex_unlock(&buffer->revoking);

	mutex_lock(&buffer->lock);
	state = buffer->state;
	if (state != GONE)
		runs = buffer_take(buffer);
	mutex_unlock(&buffer->lock);
	if (state != GONE)
		buffer_give(buffer, &runs, state != LIVE);

	iput(buffer->inode);
	buffer_put(buffer);
}

/* --- importers --- */

static int refuse(struct device *dev, const char *why)
{
	dev_err_ratelimited(dev, "%s: can not use memory that is shared with the host: %s\n",
			    KBUILD_MODNAME, why);
	return -EOPNOTSUPP;
}

/*
 * The device must reach each segment where it is. Whatever stands between, an IOMMU that maps it as
 * private or a bounce buffer, would show the device other memory than the CPU's.
 */
static int check_device(struct device *dev, struct sg_table *table)
{
	struct scatterlist *sg;
	u64 limit;
	int i;

	if (!dev->dma_mask || !*dev->dma_mask)
		return refuse(dev, "it has no DMA mask");
	if (get_dma_ops(dev) || use_dma_iommu(dev))
		return refuse(dev, "its addresses are translated, by an IOMMU or a driver");

	limit = min_not_zero(*dev->dma_mask, dev->bus_dma_limit);
	for_each_sgtable_sg(table, sg, i) {
		dma_addr_t address = phys_to_dma_unencrypted(dev, sg_phys(sg));
		dma_addr_t end = address + sg->length - 1;

		if (address == DMA_MAPPING_ERROR || end < address || end > limit)
			return refuse(dev, "it does not reach an address that high");
	}
	return 0;
}

/* How much of @bytes from @address on the device takes as one segment; 0 is not even a page. */
static size_t segment_bytes(struct device *dev, dma_addr_t address, size_t bytes)
{
	u64 boundary = dma_get_seg_boundary(dev);
	u64 room = boundary - (address & boundary); /* less one: it may be all addresses */

	bytes = min_t(size_t, bytes, dma_get_max_seg_size(dev));
	if (room < bytes)
		bytes = room + 1;
	return bytes & PAGE_MASK;
}

/* Cuts memory into segments for a device: how many there are; with @sg they are put there. */
static int cut(struct device *dev, const struct runs *runs, struct scatterlist *sg)
{
	unsigned int i;
	int count = 0;

	for (i = 0; i < runs->nr; i++) {
		size_t left = (size_t)runs->run[i].count << PAGE_SHIFT;
		struct page *page = run_page(&runs->run[i]);

		while (left) {
			dma_addr_t address = phys_to_dma_unencrypted(dev, page_to_phys(page));
			size_t bytes = segment_bytes(dev, address, left);

			if (!bytes)
				return refuse(dev, "it does not take a page as a segment");
			if (sg) {
				sg_set_page(sg, page, bytes, 0);
				sg = sg_next(sg);
			}
			page += bytes >> PAGE_SHIFT;
			left -= bytes;
			count++;
		}
	}
	return count;
}

#ifdef DMA_ATTR_CC_SHARED
#define MAP_ATTRS (unshared ? 0 : DMA_ATTR_CC_SHARED)

static void unmap_table(struct device *dev, struct sg_table *table, enum dma_data_direction dir)
{
	dma_unmap_sgtable(dev, table, dir, MAP_ATTRS);
}

static int map_table(struct device *dev, struct sg_table *table, enum dma_data_direction dir)
{
	struct scatterlist *sg;
	int i, ret;

	ret = dma_map_sgtable(dev, table, dir, MAP_ATTRS);
	if (ret == -ENOMEM)
		return ret;
	if (ret)
		return refuse(dev, "the kernel does not map it");
	for_each_sgtable_sg(table, sg, i) {
		if (sg->dma_address != phys_to_dma_unencrypted(dev, sg_phys(sg))) {
			unmap_table(dev, table, dir);
			return refuse(dev, "the kernel would bounce it");
		}
	}
	return 0;
}
#else
/*
 * Before 7.1 the kernel would bounce it, so the addresses are made here. A kernel built with
 * CONFIG_DMA_API_DEBUG, as none of Debian is, will note that it did not make them.
 */
static void unmap_table(struct device *dev, struct sg_table *table, enum dma_data_direction dir)
{
	dma_sync_sgtable_for_cpu(dev, table, dir);
}

static int map_table(struct device *dev, struct sg_table *table, enum dma_data_direction dir)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(table, sg, i) {
		sg_dma_address(sg) = phys_to_dma_unencrypted(dev, sg_phys(sg));
		sg_dma_len(sg) = sg->length;
	}
	table->nents = table->orig_nents;
	dma_sync_sgtable_for_device(dev, table, dir);
	return 0;
}
#endif

static int mapping_fill(struct mapping *mapping, const struct runs *runs,
			enum dma_data_direction dir)
{
	int ret;

	ret = cut(mapping->dev, runs, NULL);
	if (ret < 0)
		return ret;
	ret = sg_alloc_table(&mapping->table, ret, GFP_KERNEL);
	if (ret)
		return ret;
	cut(mapping->dev, runs, mapping->table.sgl);
	ret = check_device(mapping->dev, &mapping->table);
	if (!ret)
		ret = map_table(mapping->dev, &mapping->table, dir);
	if (ret)
		sg_free_table(&mapping->table);
	return ret;
}

/*
 * Refused early, not only when it is mapped: the kernel warns of a vmap that fails, as if that were
 * a mistake of the exporter's, and importers attach before that.
 */
static int buffer_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attachment)
{
	struct buffer *buffer = dmabuf->priv;

	return READ_ONCE(buffer->state) == LIVE ? 0 : -ENODEV;
}

static struct sg_table *buffer_map(struct dma_buf_attachment *attachment,
				   enum dma_data_direction dir)
{
	struct buffer *buffer = attachment->dmabuf->priv;
	struct mapping *mapping;
	int ret = -ENODEV;

	mapping = kzalloc(sizeof(*mapping), GFP_KERNEL);
	if (!mapping)
		return ERR_PTR(-ENOMEM);
	mapping->dev = attachment->dev;

	mutex_lock(&buffer->lock);
	if (buffer->state == LIVE)
		ret = mapping_fill(mapping, &buffer->runs, dir);
	if (!ret)
		list_add(&mapping->list, &buffer->mappings);
	mutex_unlock(&buffer->lock);
	if (ret) {
		kfree(mapping);
		return ERR_PTR(ret);
	}
	return &mapping->table;
}

static void buffer_unmap(struct dma_buf_attachment *attachment, struct sg_table *table,
			 enum dma_data_direction dir)
{
	struct mapping *mapping = container_of(table, struct mapping, table);
	struct buffer *buffer = attachment->dmabuf->priv;

	mutex_lock(&buffer->lock);
	list_del(&mapping->list);
	unmap_table(mapping->dev, table, dir);
	sg_free_table(table);
	buffer_unlock(buffer);
	kfree(mapping);
}

/* Memory never moves, but it can be revoked: importers that can be told of that are dynamic. */
static int buffer_pin(struct dma_buf_attachment *attachment)
{
	return buffer_attach(attachment->dmabuf, attachment);
}

static void buffer_unpin(struct dma_buf_attachment *attachment)
{
}

/* Makes the caches agree before the CPU's turn, and after it. */
static int buffer_sync(struct buffer *buffer, enum dma_data_direction dir, bool begin)
{
	struct mapping *mapping;
	int ret = 0;

	mutex_lock(&buffer->lock);
	if (buffer->state != LIVE)
		ret = -ENODEV;
	if (buffer->vmaps && begin)
		invalidate_kernel_vmap_range(buffer->vaddr, buffer->bytes);
	else if (buffer->vmaps)
		flush_kernel_vmap_range(buffer->vaddr, buffer->bytes);
	list_for_each_entry(mapping, &buffer->mappings, list) {
		if (begin)
			dma_sync_sgtable_for_cpu(mapping->dev, &mapping->table, dir);
		else
			dma_sync_sgtable_for_device(mapping->dev, &mapping->table, dir);
	}
	mutex_unlock(&buffer->lock);
	return ret;
}

static int buffer_begin_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	return buffer_sync(dmabuf->priv, dir, true);
}

static int buffer_end_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	return buffer_sync(dmabuf->priv, dir, false);
}

static void *vmap_runs(const struct runs *runs)
{
	struct page **pages;
	unsigned long at = 0;
	unsigned int i, j;
	void *vaddr;

	pages = kvmalloc_array(runs->pages, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return NULL;
	for (i = 0; i < runs->nr; i++)
		for (j = 0; j < runs->run[i].count; j++)
			pages[at++] = run_page(&runs->run[i]) + j;
	vaddr = vmap(pages, runs->pages, VM_MAP, pgprot_decrypted(PAGE_KERNEL));
	kvfree(pages);
	return vaddr;
}

static int buffer_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct buffer *buffer = dmabuf->priv;
	int ret = 0;

	mutex_lock(&buffer->lock);
	if (buffer->state != LIVE) {
		ret = -ENODEV;
	} else if (!buffer->vmaps) {
		buffer->vaddr = vmap_runs(&buffer->runs);
		if (!buffer->vaddr)
			ret = -ENOMEM;
	}
	if (!ret) {
		buffer->vmaps++;
		iosys_map_set_vaddr(map, buffer->vaddr);
	}
	mutex_unlock(&buffer->lock);
	return ret;
}

static void buffer_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct buffer *buffer = dmabuf->priv;

	mutex_lock(&buffer->lock);
	if (!--buffer->vmaps) {
		vunmap(buffer->vaddr);
		buffer->vaddr = NULL;
	}
	buffer_unlock(buffer);
	iosys_map_clear(map);
}

/* --- mappings of processes --- */

/*
 * Pages are put in by faults and not by mmap(), because only a mapping that is in the inode's tree
 * is found when the buffer is revoked, and in mmap() it is not there yet.
 */
static vm_fault_t buffer_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct buffer *buffer = vma->vm_private_data;
	pgprot_t prot = pgprot_decrypted(vma->vm_page_prot);
	vm_fault_t ret = VM_FAULT_SIGBUS;
	const struct run *run;
	unsigned long first, last, at, pfn;

	mutex_lock(&buffer->lock);
	if (buffer->state != LIVE || vmf->pgoff >= buffer->runs.pages)
		goto out;
	run = pages_find(&buffer->runs, vmf->pgoff);
	pfn = page_to_pfn(run_page(run)) - run->at;
	ret = vmf_insert_pfn_prot(vma, vmf->address, pfn + vmf->pgoff, prot);

	/* and, while we are here, all of the run: a fault for each page would cost far more */
	first = max(run->at, vma->vm_pgoff);
	last = min(run->at + run->count, vma->vm_pgoff + vma_pages(vma));
	for (at = first; at < last && ret == VM_FAULT_NOPAGE; at++) {
		if (vmf_insert_pfn_prot(vma, vma->vm_start + ((at - vma->vm_pgoff) << PAGE_SHIFT),
					pfn + at, prot) != VM_FAULT_NOPAGE)
			break;
	}
out:
	mutex_unlock(&buffer->lock);
	return ret;
}

static const struct vm_operations_struct buffer_vm_ops = {
	.fault = buffer_fault,
};

static int buffer_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct buffer *buffer = dmabuf->priv;

	/* a private mapping would copy shared memory into private memory, silently */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (READ_ONCE(buffer->state) != LIVE)
		return -ENODEV;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = buffer;
	vma->vm_ops = &buffer_vm_ops;
	return 0;
}

static const struct dma_buf_ops buffer_ops = {
	.attach = buffer_attach,
	.pin = buffer_pin,
	.unpin = buffer_unpin,
	.map_dma_buf = buffer_map,
	.unmap_dma_buf = buffer_unmap,
	.begin_cpu_access = buffer_begin_cpu_access,
	.end_cpu_access = buffer_end_cpu_access,
	.mmap = buffer_mmap,
	.vmap = buffer_vmap,
	.vunmap = buffer_vunmap,
	.release = buffer_release,
};

/* --- the node --- */

static struct dma_buf *buffer_new(size_t bytes, unsigned int fd_flags)
{
	static atomic64_t last_id;
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;
	struct buffer *buffer;
	int ret;

	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);
	if (!buffer)
		return ERR_PTR(-ENOMEM);
	kref_init(&buffer->refs);
	mutex_init(&buffer->revoking);
	mutex_init(&buffer->lock);
	INIT_LIST_HEAD(&buffer->mappings);
	buffer->bytes = bytes;
	ret = pages_get(bytes >> PAGE_SHIFT, &buffer->runs);
	if (ret)
		goto err_free;

	info.exp_name = heap_misc.name;
	info.ops = &buffer_ops;
	info.size = bytes;
	info.flags = fd_flags;
	info.priv = buffer;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf)) {
		ret = PTR_ERR(dmabuf);
		goto err_pages;
	}
	buffer->dmabuf = dmabuf;
	buffer->inode = file_inode(dmabuf->file);
	ihold(buffer->inode);
	buffer->id = atomic64_inc_return(&last_id);
	trace_alloc(buffer->id, bytes, buffer->runs.nr);
	mutex_lock(&heap.lock);
	list_add_tail(&buffer->list, &heap.buffers);
	mutex_unlock(&heap.lock);
	return dmabuf;

err_pages:
	pages_put(&buffer->runs, false);
err_free:
	kfree(buffer);
	return ERR_PTR(ret);
}

/* As dma_heap_ioctl() does it, the order of checks included. */
static int heap_alloc(struct dma_heap_allocation_data *data, struct dma_buf **ret_dmabuf)
{
	struct dma_buf *dmabuf;
	size_t bytes;
	int fd;

	if (data->fd || data->fd_flags & ~DMA_HEAP_VALID_FD_FLAGS ||
	    data->heap_flags & ~DMA_HEAP_VALID_HEAP_FLAGS)
		return -EINVAL;
	bytes = PAGE_ALIGN(data->len);
	if (!bytes)
		return -EINVAL;
	dmabuf = buffer_new(bytes, data->fd_flags);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	fd = get_unused_fd_flags(data->fd_flags);
	if (fd < 0) {
		dma_buf_put(dmabuf);
		return fd;
	}
	data->fd = fd;
	*ret_dmabuf = dmabuf;
	return 0;
}

static long ioctl_alloc(unsigned int cmd, void __user *arg)
{
	struct dma_heap_allocation_data data = {};
	size_t size = min_t(size_t, _IOC_SIZE(cmd), sizeof(data));
	size_t in = cmd & IOC_IN ? size : 0, out = cmd & IOC_OUT ? size : 0;
	struct dma_buf *dmabuf;
	int ret;

	/* an older or newer caller's structure is shorter or longer: as the kernel's heaps do */
	if (copy_from_user(&data, arg, in))
		return -EFAULT;
	ret = heap_alloc(&data, &dmabuf);
	if (ret)
		return ret;
	if (copy_to_user(arg, &data, out)) {
		put_unused_fd(data.fd);
		dma_buf_put(dmabuf);
		return -EFAULT;
	}
	fd_install(data.fd, dmabuf->file);
	return 0;
}

static long ioctl_stats(void __user *arg)
{
	struct ccbuf_heap_stats stats = {
		.version = CCBUF_HEAP_VERSION,
		.flags = (unshared ? CCBUF_HEAP_STAT_UNSHARED : 0) |
			 (pages_stopped() ? CCBUF_HEAP_STAT_STOPPED : 0),
		.live_bytes = atomic64_read(&counters.live_bytes),
		.live_buffers = atomic64_read(&counters.live_buffers),
		.peak_bytes = atomic64_read(&counters.peak_bytes),
		.pool_bytes = atomic64_read(&counters.pool_bytes),
		.leaked_bytes = atomic64_read(&counters.leaked_bytes),
		.to_shared = atomic64_read(&counters.to_shared),
		.to_private = atomic64_read(&counters.to_private),
		.failed = atomic64_read(&counters.failed),
		.revoked_buffers = atomic64_read(&counters.revoked_buffers),
	};

	return copy_to_user(arg, &stats, sizeof(stats)) ? -EFAULT : 0;
}

static int watch_buffer(struct session *session, struct buffer *buffer, u64 *ret_id)
{
	struct watch *watch;
	int ret = -EBUSY;

	watch = kzalloc(sizeof(*watch), GFP_KERNEL_ACCOUNT);
	if (!watch)
		return -ENOMEM;
	watch->session = session;
	watch->buffer = buffer;
	watch->id = buffer->id;
	watch->bytes = buffer->bytes;

	mutex_lock(&buffer->lock);
	mutex_lock(&heap.lock);
	if (buffer->state == GONE)
		ret = -ENODEV; /* the event would never come */
	else if (!buffer->watch)
		ret = xa_err(xa_store(&session->watches, watch->id, watch, GFP_KERNEL));
	if (!ret)
		buffer->watch = watch;
	mutex_unlock(&heap.lock);
	mutex_unlock(&buffer->lock);
	if (ret)
		kfree(watch);
	else
		*ret_id = watch->id;
	return ret;
}

static long ioctl_watch(struct session *session, void __user *arg)
{
	struct ccbuf_heap_watch data;
	struct dma_buf *dmabuf;
	int ret = -EINVAL;

	if (copy_from_user(&data, arg, sizeof(data)))
		return -EFAULT;
	if (data.flags)
		return -EINVAL;
	dmabuf = dma_buf_get(data.fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	if (dmabuf->ops == &buffer_ops)
		ret = watch_buffer(session, dmabuf->priv, &data.id);
	dma_buf_put(dmabuf);
	if (!ret && copy_to_user(arg, &data, sizeof(data)))
		ret = -EFAULT; /* it is watched; the event will say which it was */
	return ret;
}

/*
 * Lets nobody have any more of the buffer than they have. What devices are at is what they are at
 * now: who has an fd can add fences for ever, and those of importers that are still to come are of
 * importers that still have it mapped.
 */
static int buffer_close(struct buffer *buffer)
{
	struct dma_resv *resv = buffer->dmabuf->resv;
	int ret;

	if (READ_ONCE(buffer->state) == LIVE) {
		mutex_lock(&buffer->lock);
		WRITE_ONCE(buffer->state, REVOKING);
		mutex_unlock(&buffer->lock);
		atomic64_inc(&counters.revoked_buffers);
	}
	unmap_mapping_range(buffer->inode->i_mapping, 0, 0, 1);
	dma_resv_lock(resv, NULL);
	dma_buf_invalidate_mappings(buffer->dmabuf);
	ret = dma_resv_get_singleton(resv, DMA_RESV_USAGE_BOOKKEEP, &buffer->work);
	dma_resv_unlock(resv);
	buffer->told = !ret;
	return ret;
}

/*
 * Takes a buffer's memory back; the caller holds buffer->revoking, under which alone the state
 * comes to be REVOKING or REVOKED. -EBUSY when a device is still at work after a second: importers
 * may unmap before its fences have signalled.
 */
static int buffer_revoke(struct buffer *buffer)
{
	long left = 1;
	int ret;

	if (READ_ONCE(buffer->state) > REVOKING)
		return 0;
	if (!buffer->told) {
		ret = buffer_close(buffer);
		if (ret)
			return ret;
	}
	if (buffer->work)
		left = dma_fence_wait_timeout(buffer->work, true, HZ);
	if (left <= 0)
		return left ?: -EBUSY;
	dma_fence_put(buffer->work);
	buffer->work = NULL;

	mutex_lock(&buffer->lock);
	WRITE_ONCE(buffer->state, REVOKED);
	buffer_unlock(buffer);
	return 0;
}

static void buffer_holders(struct buffer *buffer, struct ccbuf_heap_revoke *ret_data)
{
	struct mapping *mapping;

	mutex_lock(&buffer->lock);
	ret_data->busy |= buffer->state == GOING;
	ret_data->vmaps = buffer->vmaps;
	list_for_each_entry(mapping, &buffer->mappings, list) {
		if (!ret_data->mappings++)
			snprintf(ret_data->device, sizeof(ret_data->device), "%s %s",
				 dev_driver_string(mapping->dev), dev_name(mapping->dev));
	}
	mutex_unlock(&buffer->lock);
	trace_revoke(buffer->id, ret_data->mappings, ret_data->vmaps);
}

static long ioctl_revoke(struct session *session, void __user *arg)
{
	struct ccbuf_heap_revoke data, ret_data = {};
	struct buffer *buffer = NULL;
	struct watch *watch;
	int ret;

	if (copy_from_user(&data, arg, sizeof(data)))
		return -EFAULT;
	if (data.flags)
		return -EINVAL;
	mutex_lock(&heap.lock);
	watch = xa_load(&session->watches, data.id);
	if (watch) {
		buffer = watch->buffer;
		kref_get(&buffer->refs);
	}
	mutex_unlock(&heap.lock);
	if (!buffer)
		return -ENOENT;

	ret = mutex_lock_interruptible(&buffer->revoking) ? -ERESTARTSYS : 0;
	if (!ret) {
		ret = buffer->dmabuf ? buffer_revoke(buffer) : -ENOENT;
		if (ret == -EBUSY || ret == -ENOMEM) {
			ret_data.busy = 1;
			ret = 0;
		}
		if (!ret)
			buffer_holders(buffer, &ret_data);
		mutex_unlock(&buffer->revoking);
	}
	buffer_put(buffer);

	ret_data.id = data.id;
	if (!ret && copy_to_user(arg, &ret_data, sizeof(ret_data)))
		ret = -EFAULT;
	return ret;
}

static long heap_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *data = (void __user *)arg;

	switch (cmd) {
	case CCBUF_HEAP_STATS:
		return ioctl_stats(data);
	case CCBUF_HEAP_WATCH:
		return ioctl_watch(file->private_data, data);
	case CCBUF_HEAP_REVOKE:
		return ioctl_revoke(file->private_data, data);
	}
	/* the kernel's heaps look at the number only */
	if (_IOC_NR(cmd) == _IOC_NR(DMA_HEAP_IOCTL_ALLOC))
		return ioctl_alloc(cmd, data);
	return -EINVAL;
}

static bool session_event(struct session *session, struct ccbuf_heap_event *ret_event)
{
	u64 leaked = atomic64_read(&counters.leaked_bytes);
	struct watch *watch;

	*ret_event = (struct ccbuf_heap_event){};
	mutex_lock(&heap.lock);
	watch = list_first_entry_or_null(&session->events, struct watch, list);
	if (watch) {
		ret_event->type = CCBUF_HEAP_RELEASED;
		ret_event->id = watch->id;
		ret_event->bytes = watch->bytes;
	} else if (leaked > session->leaked) {
		ret_event->type = CCBUF_HEAP_LEAKED;
		ret_event->bytes = leaked - session->leaked;
	}
	mutex_unlock(&heap.lock);
	return ret_event->type;
}

/* The event has been read: no other comes before it, as there is one reader. */
static void session_next(struct session *session, const struct ccbuf_heap_event *event)
{
	struct watch *watch = NULL;

	mutex_lock(&heap.lock);
	if (event->type == CCBUF_HEAP_LEAKED) {
		session->leaked += event->bytes;
	} else {
		watch = list_first_entry(&session->events, struct watch, list);
		list_del(&watch->list);
	}
	mutex_unlock(&heap.lock);
	kfree(watch);
}

/* To be asked while waiting, so without a lock. */
static bool session_has_event(struct session *session)
{
	return !list_empty_careful(&session->events) ||
	       atomic64_read(&counters.leaked_bytes) > READ_ONCE(session->leaked);
}

static ssize_t heap_read(struct file *file, char __user *data, size_t size, loff_t *pos)
{
	struct session *session = file->private_data;
	struct ccbuf_heap_event event;
	ssize_t done = 0;
	int ret;

	if (size < sizeof(event))
		return -EINVAL;
	if (mutex_lock_interruptible(&session->reading))
		return -ERESTARTSYS;
	while (!session_has_event(session)) {
		mutex_unlock(&session->reading);
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		ret = wait_event_interruptible(heap_events, session_has_event(session));
		if (ret)
			return ret;
		if (mutex_lock_interruptible(&session->reading))
			return -ERESTARTSYS;
	}
	while (size - done >= sizeof(event) && session_event(session, &event)) {
		if (copy_to_user(data + done, &event, sizeof(event))) {
			if (!done)
				done = -EFAULT;
			break;
		}
		session_next(session, &event);
		done += sizeof(event);
	}
	mutex_unlock(&session->reading);
	return done;
}

static __poll_t heap_poll(struct file *file, poll_table *table)
{
	poll_wait(file, &heap_events, table);
	return session_has_event(file->private_data) ? EPOLLIN | EPOLLRDNORM : 0;
}

static int heap_open(struct inode *inode, struct file *file)
{
	struct session *session = kzalloc(sizeof(*session), GFP_KERNEL_ACCOUNT);

	if (!session)
		return -ENOMEM;
	xa_init(&session->watches);
	INIT_LIST_HEAD(&session->events);
	mutex_init(&session->reading);
	session->leaked = atomic64_read(&counters.leaked_bytes);
	file->private_data = session;
	return stream_open(inode, file);
}

static int heap_release(struct inode *inode, struct file *file)
{
	struct session *session = file->private_data;
	struct watch *watch, *next;
	unsigned long id;

	mutex_lock(&heap.lock);
	xa_for_each(&session->watches, id, watch) {
		watch->buffer->watch = NULL;
		kfree(watch);
	}
	mutex_unlock(&heap.lock);
	xa_destroy(&session->watches);
	list_for_each_entry_safe(watch, next, &session->events, list)
		kfree(watch);
	kfree(session);
	return 0;
}

static const struct file_operations heap_fops = {
	.owner = THIS_MODULE,
	.open = heap_open,
	.release = heap_release,
	.read = heap_read,
	.poll = heap_poll,
	.unlocked_ioctl = heap_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

/* --- what the administrator sees --- */

#define COUNTER(name)                                                                              \
	static ssize_t name##_show(struct device *dev, struct device_attribute *attr, char *buf)   \
	{                                                                                          \
		return sysfs_emit(buf, "%lld\n", (long long)atomic64_read(&counters.name));        \
	}                                                                                          \
	static DEVICE_ATTR_RO(name)

COUNTER(live_bytes);
COUNTER(live_buffers);
COUNTER(peak_bytes);
COUNTER(pool_bytes);
COUNTER(leaked_bytes);
COUNTER(to_shared);
COUNTER(to_private);
COUNTER(failed);
COUNTER(revoked_buffers);

static struct attribute *heap_attrs[] = {
	&dev_attr_live_bytes.attr,
	&dev_attr_live_buffers.attr,
	&dev_attr_peak_bytes.attr,
	&dev_attr_pool_bytes.attr,
	&dev_attr_leaked_bytes.attr,
	&dev_attr_to_shared.attr,
	&dev_attr_to_private.attr,
	&dev_attr_failed.attr,
	&dev_attr_revoked_buffers.attr,
	NULL
};
ATTRIBUTE_GROUPS(heap);

static int buffers_show(struct seq_file *seq, void *data)
{
	static const char * const states[] = { "live", "revoking", "revoked", "going", "gone" };
	struct mapping *mapping;
	struct buffer *buffer;

	seq_puts(seq, "# id inode bytes runs state vmaps devices\n");
	mutex_lock(&heap.lock);
	list_for_each_entry(buffer, &heap.buffers, list) {
		if (!mutex_trylock(&buffer->lock)) {
			/* the other way around is the order of locks; it is in use just now */
			seq_printf(seq, "%llu %lu %zu - busy\n", buffer->id,
				   (unsigned long)buffer->inode->i_ino, buffer->bytes);
			continue;
		}
		seq_printf(seq, "%llu %lu %zu %u %s %u", buffer->id,
			   (unsigned long)buffer->inode->i_ino, buffer->bytes, buffer->runs.nr,
			   states[buffer->state], buffer->vmaps);
		list_for_each_entry(mapping, &buffer->mappings, list)
			seq_printf(seq, " %s", dev_name(mapping->dev));
		seq_putc(seq, '\n');
		mutex_unlock(&buffer->lock);
	}
	mutex_unlock(&heap.lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(buffers);

/* --- the module --- */

static struct miscdevice heap_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "system_cc_shared",
	.nodename = "dma_heap/system_cc_shared",
	.mode = 0600,
	.fops = &heap_fops,
	.groups = heap_groups,
};

static int __init heap_check(void)
{
	bool guest = cc_platform_has(CC_ATTR_MEM_ENCRYPT) &&
		     !cc_platform_has(CC_ATTR_HOST_MEM_ENCRYPT);

	if (unshared) {
		if (guest) {
			pr_err("unshared=1 is for development outside of a confidential guest, and this is one\n");
			return -EINVAL;
		}
		pr_warn("loaded with unshared=1, for development: this is no confidential guest, and the buffers of /dev/dma_heap/ccbuf_unshared are ordinary memory\n");
		add_taint(TAINT_USER, LOCKDEP_STILL_OK);
		heap_misc.name = "ccbuf_unshared";
		heap_misc.nodename = "dma_heap/ccbuf_unshared";
		return 0;
	}
	if (!guest) {
		pr_err("this is not a confidential guest: there is nothing to share with a host, and the module is not needed\n");
		return -ENODEV;
	}
	if (IS_ENABLED(CONFIG_DMABUF_HEAPS_SYSTEM_CC_SHARED)) {
		pr_err("this kernel has the heap system_cc_shared itself: the module is not needed\n");
		return -ENODEV; /* the one error that systemd-modules-load takes for no failure */
	}
	return 0;
}

static int __init heap_init(void)
{
	int ret;

	ret = heap_check();
	if (ret)
		return ret;
	ret = pages_init();
	if (ret)
		return ret;
	ret = misc_register(&heap_misc);
	if (ret) {
		pr_err("no node %s: %d\n", heap_misc.nodename, ret);
		pages_exit();
		return ret;
	}
	heap.debugfs = debugfs_create_dir(KBUILD_MODNAME, NULL);
	debugfs_create_file("buffers", 0400, heap.debugfs, NULL, &buffers_fops);
	return 0;
}
module_init(heap_init);

static void __exit heap_exit(void)
{
	debugfs_remove(heap.debugfs);
	misc_deregister(&heap_misc);
	pages_exit();
}
module_exit(heap_exit);

MODULE_DESCRIPTION("Memory of a confidential guest that its host can read, as dma-bufs");
MODULE_LICENSE("GPL");
MODULE_VERSION(CCBUF_MODULE_VERSION);
CCBUF_IMPORT_DMA_BUF;

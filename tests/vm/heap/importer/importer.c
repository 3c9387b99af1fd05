// SPDX-License-Identifier: GPL-2.0-only
/*
 * One importer of one dma-buf, driven step by step from userspace, and in no hurry to let go. What
 * changes by the exporter's word (the mapping of one that is told) is under the dma-buf's lock, all
 * else under the importer's.
 */
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-fence.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/iosys-map.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/version.h>

#include "test.h"

/* Until 6.1 vmap wants no lock held. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define dma_buf_vmap_unlocked	dma_buf_vmap
#define dma_buf_vunmap_unlocked dma_buf_vunmap
#endif

struct importer {
	struct mutex lock;
	struct dma_buf *dmabuf;
	struct device *device;
	struct dma_buf_attachment *attachment;
	struct sg_table *table;
	u32 flags;
	u32 told, obeyed;
	bool vmapped;
	struct iosys_map map;
	struct dma_fence *work; /* what the device is at, or NULL */
};

static DEFINE_SPINLOCK(fence_lock);

static const char *fence_name(struct dma_fence *fence)
{
	return "ccbuf_heap_test";
}

static const struct dma_fence_ops fence_ops = {
	.get_driver_name = fence_name,
	.get_timeline_name = fence_name,
};

static void moves(struct dma_buf_attachment *attachment)
{
	struct importer *m = attachment->importer_priv;

	m->told++;
	if ((m->flags & ATTACH_OBEY) && m->table) {
		dma_buf_unmap_attachment(attachment, m->table, DMA_BIDIRECTIONAL);
		m->table = NULL;
		m->obeyed++;
	}
}

static const struct dma_buf_attach_ops importer_ops = {
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 2, 0)
	.invalidate_mappings = moves,
#else
	.move_notify = moves,
#endif
};

struct importer *importer_new(void)
{
	struct importer *m = kzalloc(sizeof(*m), GFP_KERNEL);

	if (m)
		mutex_init(&m->lock);
	return m;
}

int importer_attach(struct importer *m, const struct test_attach *a)
{
	struct device *device = device_get(a->device);
	struct dma_buf_attachment *attachment;
	struct dma_buf *dmabuf;
	int ret = 0;

	if (!device)
		return -ENODEV;
	dmabuf = dma_buf_get(a->fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	mutex_lock(&m->lock);
	if (m->attachment || (m->dmabuf && m->dmabuf != dmabuf)) {
		ret = -EBUSY;
		goto out;
	}
	m->flags = a->flags;
	if (a->flags & ATTACH_DYNAMIC)
		attachment = dma_buf_dynamic_attach(dmabuf, device, &importer_ops, m);
	else
		attachment = dma_buf_attach(dmabuf, device);
	if (IS_ERR(attachment)) {
		ret = PTR_ERR(attachment);
		goto out;
	}
	m->attachment = attachment;
	m->device = device;
	if (!m->dmabuf) {
		m->dmabuf = dmabuf;
		get_dma_buf(dmabuf);
	}
out:
	mutex_unlock(&m->lock);
	dma_buf_put(dmabuf);
	return ret;
}

static int do_unmap(struct importer *m)
{
	int ret = 0;

	dma_resv_lock(m->dmabuf->resv, NULL);
	if (m->table)
		dma_buf_unmap_attachment(m->attachment, m->table, DMA_BIDIRECTIONAL);
	else
		ret = -ENOENT;
	m->table = NULL;
	dma_resv_unlock(m->dmabuf->resv);
	return ret;
}

/* The buffer is let go of with the last of attachment and vmap. */
static void put_unused(struct importer *m)
{
	if (!m->attachment && !m->vmapped && m->dmabuf) {
		dma_buf_put(m->dmabuf);
		m->dmabuf = NULL;
	}
}

int importer_detach(struct importer *m)
{
	int ret = -ENOENT;

	mutex_lock(&m->lock);
	if (m->attachment) {
		do_unmap(m);
		dma_buf_detach(m->dmabuf, m->attachment);
		m->attachment = NULL;
		put_unused(m);
		ret = 0;
	}
	mutex_unlock(&m->lock);
	return ret;
}

int importer_map(struct importer *m)
{
	struct sg_table *table;
	int ret = -ENOENT;

	mutex_lock(&m->lock);
	if (!m->attachment)
		goto out;
	dma_resv_lock(m->dmabuf->resv, NULL);
	ret = -EBUSY;
	if (!m->table) {
		table = dma_buf_map_attachment(m->attachment, DMA_BIDIRECTIONAL);
		ret = PTR_ERR_OR_ZERO(table);
		if (!ret)
			m->table = table;
	}
	dma_resv_unlock(m->dmabuf->resv);
out:
	mutex_unlock(&m->lock);
	return ret;
}

int importer_unmap(struct importer *m)
{
	int ret = -ENOENT;

	mutex_lock(&m->lock);
	if (m->attachment)
		ret = do_unmap(m);
	mutex_unlock(&m->lock);
	return ret;
}

int importer_vmap(struct importer *m)
{
	int ret = -ENOENT;

	mutex_lock(&m->lock);
	if (m->vmapped)
		ret = -EBUSY;
	else if (m->dmabuf)
		ret = dma_buf_vmap_unlocked(m->dmabuf, &m->map);
	if (!ret)
		m->vmapped = true;
	mutex_unlock(&m->lock);
	return ret;
}

int importer_vunmap(struct importer *m)
{
	int ret = -ENOENT;

	mutex_lock(&m->lock);
	if (m->vmapped) {
		dma_buf_vunmap_unlocked(m->dmabuf, &m->map);
		m->vmapped = false;
		put_unused(m);
		ret = 0;
	}
	mutex_unlock(&m->lock);
	return ret;
}

int importer_begin(struct importer *m, enum dma_resv_usage usage)
{
	struct dma_fence *work = kzalloc(sizeof(*work), GFP_KERNEL);
	int ret = -ENOENT;

	if (!work)
		return -ENOMEM;
	mutex_lock(&m->lock);
	if (m->work)
		ret = -EBUSY;
	if (m->work || !m->attachment) {
		kfree(work);
		goto out;
	}
	dma_fence_init(work, &fence_ops, &fence_lock, dma_fence_context_alloc(1), 1);
	dma_resv_lock(m->dmabuf->resv, NULL);
	ret = dma_resv_reserve_fences(m->dmabuf->resv, 1);
	if (!ret)
		dma_resv_add_fence(m->dmabuf->resv, work, usage);
	dma_resv_unlock(m->dmabuf->resv);
	if (ret)
		dma_fence_put(work);
	else
		m->work = work;
out:
	mutex_unlock(&m->lock);
	return ret;
}

int importer_end(struct importer *m)
{
	int ret = -ENOENT;

	mutex_lock(&m->lock);
	if (m->work) {
		dma_fence_signal(m->work);
		dma_fence_put(m->work);
		m->work = NULL;
		ret = 0;
	}
	mutex_unlock(&m->lock);
	return ret;
}

void importer_free(struct importer *m)
{
	importer_end(m);
	importer_vunmap(m);
	importer_detach(m);
	kfree(m);
}

void importer_state(struct importer *m, struct test_state *ret_state)
{
	mutex_lock(&m->lock);
	*ret_state = (struct test_state){
		.attached = !!m->attachment,
		.mapped = !!m->table,
		.segments = m->table ? m->table->nents : 0,
		.vmapped = m->vmapped,
		.told = m->told,
		.obeyed = m->obeyed,
		.ops_used = device_ops_used(),
	};
	mutex_unlock(&m->lock);
}

int importer_segment(struct importer *m, struct test_segment *s)
{
	struct scatterlist *sg;
	int i, ret = -ENOENT;

	mutex_lock(&m->lock);
	if (!m->attachment)
		goto out;
	dma_resv_lock(m->dmabuf->resv, NULL);
	if (m->table) {
		for_each_sgtable_dma_sg(m->table, sg, i)
		{
			if (i != s->index)
				continue;
			s->dma = sg_dma_address(sg);
			s->phys = dma_to_phys(m->device, sg_dma_address(sg));
			s->bytes = sg_dma_len(sg);
			ret = 0;
		}
	}
	dma_resv_unlock(m->dmabuf->resv);
out:
	mutex_unlock(&m->lock);
	return ret;
}

/* One piece of the mapped buffer, at most to the end of a segment, as the device would have it. */
static ssize_t device_copy(struct importer *m, u64 offset, bool write, void *data, size_t bytes)
{
	struct scatterlist *sg;
	phys_addr_t phys;
	ssize_t ret = -ENOENT;
	int i;

	dma_resv_lock(m->dmabuf->resv, NULL);
	if (!m->table)
		goto out;
	ret = -EINVAL;
	for_each_sgtable_dma_sg(m->table, sg, i)
	{
		if (offset >= sg_dma_len(sg)) {
			offset -= sg_dma_len(sg);
			continue;
		}
		phys = dma_to_phys(m->device, sg_dma_address(sg)) + offset;
		bytes = min_t(u64, bytes, sg_dma_len(sg) - offset);
		ret = peek(phys, PEEK_SHARED, write, data, bytes);
		if (!ret)
			ret = bytes;
		break;
	}
out:
	dma_resv_unlock(m->dmabuf->resv);
	return ret;
}

static ssize_t vmap_copy(struct importer *m, u64 offset, bool write, void *data, size_t bytes)
{
	if (!m->vmapped)
		return -ENOENT;
	if (offset >= m->dmabuf->size || bytes > m->dmabuf->size - offset)
		return -EINVAL;
	if (write)
		iosys_map_memcpy_to(&m->map, offset, data, bytes);
	else
		iosys_map_memcpy_from(data, &m->map, offset, bytes);
	return bytes;
}

int importer_copy(struct importer *m, const struct test_copy *c)
{
	u8 __user *buffer = u64_to_user_ptr(c->buffer);
	bool vmap = c->how == COPY_VMAP;
	void *data = kvmalloc(PEEK_MAX, GFP_KERNEL);
	ssize_t n;
	u64 done;
	int ret = 0;

	if (!data)
		return -ENOMEM;
	mutex_lock(&m->lock);
	for (done = 0; done < c->bytes && !ret; done += n) {
		n = min_t(u64, c->bytes - done, PEEK_MAX);
		if (c->write && copy_from_user(data, buffer + done, n))
			ret = -EFAULT;
		else if (vmap)
			n = vmap_copy(m, c->offset + done, c->write, data, n);
		else if (m->attachment)
			n = device_copy(m, c->offset + done, c->write, data, n);
		else
			n = -ENOENT;
		if (n < 0)
			ret = n;
		else if (!ret && !c->write && copy_to_user(buffer + done, data, n))
			ret = -EFAULT;
	}
	mutex_unlock(&m->lock);
	kvfree(data);
	return ret;
}

// SPDX-License-Identifier: GPL-2.0-only
/* The devices that import: nothing but what the DMA layer sees of a device. */
#include <linux/atomic.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/version.h>

#include "test.h"

static const struct platform_device_id names[] = {
	[DEVICE_WIDE] = { "ccbuf-wide" },
	[DEVICE_NARROW] = { "ccbuf-narrow" },
	[DEVICE_BOUNDARY] = { "ccbuf-boundary" },
	[DEVICE_OPS] = { "ccbuf-ops" },
	[DEVICE_IOMMU] = { "ccbuf-iommu" },
	{},
};

static struct platform_driver driver = {
	.driver = { .name = "ccbuf-importer" },
	.id_table = names,
};

static struct platform_device *devices[DEVICES];
static atomic_t ops_used;

/* It would map anything, without a thought on who sees it. */
static int ops_map_sg(struct device *dev, struct scatterlist *sgl, int nents,
	enum dma_data_direction dir, unsigned long attrs)
{
	struct scatterlist *sg;
	int i;

	atomic_inc(&ops_used);
	for_each_sg(sgl, sg, nents, i)
	{
		sg->dma_address = sg_phys(sg);
		sg_dma_len(sg) = sg->length;
	}
	return nents;
}

static void ops_unmap_sg(struct device *dev, struct scatterlist *sgl, int nents,
	enum dma_data_direction dir, unsigned long attrs)
{
}

static const struct dma_map_ops ops = {
	.map_sg = ops_map_sg,
	.unmap_sg = ops_unmap_sg,
};

u32 device_ops_used(void)
{
	return atomic_read(&ops_used);
}

struct device *device_get(unsigned int kind)
{
	return kind < DEVICES && devices[kind] ? &devices[kind]->dev : NULL;
}

static int make_special(unsigned int kind, struct device *dev)
{
	u64 mask = kind == DEVICE_NARROW ? DMA_BIT_MASK(24) : DMA_BIT_MASK(64);
	int ret = dma_set_mask_and_coherent(dev, mask);

	if (ret)
		return ret;
	dma_set_max_seg_size(dev, UINT_MAX);
	if (kind == DEVICE_BOUNDARY) {
		dma_set_seg_boundary(dev, 0xffff);
		dma_set_max_seg_size(dev, 0xa000);
	}
	if (kind == DEVICE_OPS)
		set_dma_ops(dev, &ops);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 1, 0)
	if (kind == DEVICE_IOMMU)
		dev_set_dma_iommu(dev);
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	if (kind == DEVICE_IOMMU)
		dev->dma_iommu = true;
#endif
	return 0;
}

int devices_init(void)
{
	struct platform_device *device;
	unsigned int kind;
	int ret = platform_driver_register(&driver);

	if (ret)
		return ret;
	for (kind = 0; kind < DEVICES; kind++) {
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
		if (kind == DEVICE_IOMMU)
			continue;
#endif
		device = platform_device_register_simple(
			names[kind].name, PLATFORM_DEVID_NONE, NULL, 0);
		if (IS_ERR(device))
			return PTR_ERR(device);
		ret = make_special(kind, &device->dev);
		if (ret)
			return ret;
		devices[kind] = device;
	}
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/* What is not the same in all kernels from 6.1 to 7.3: the Kbuild asks their headers. */
#ifndef CCBUF_COMPAT_H
#define CCBUF_COMPAT_H

#include <linux/cc_platform.h>
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>

#ifdef CCBUF_HAVE_USE_DMA_IOMMU
#include <linux/iommu-dma.h>
#else
/* before 6.12 a device behind an IOMMU has dma_map_ops that say so */
static inline bool use_dma_iommu(struct device *dev)
{
	return false;
}
#endif

#ifndef CCBUF_HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags |= flags;
}
#endif

#ifndef CCBUF_HAVE_INVALIDATE_MAPPINGS
#define dma_buf_invalidate_mappings dma_buf_move_notify
#endif

/*
 * Before 6.5 a conversion of a SEV-SNP guest allocates, charges that to the caller's cgroup, and
 * panics when it is refused: so no cgroup is asked.
 */
static inline unsigned int ccbuf_convert_begin(void)
{
#ifndef CCBUF_HAVE_SNP_ACCEPT_MEMORY
	if (cc_platform_has(CC_ATTR_GUEST_SEV_SNP))
		return memalloc_noreclaim_save();
#endif
	return current->flags & PF_MEMALLOC;
}

static inline void ccbuf_convert_end(unsigned int flags)
{
	memalloc_noreclaim_restore(flags);
}

#ifdef CCBUF_HAVE_SHRINKER_ALLOC
static inline int ccbuf_shrinker_add(struct shrinker **shrinker, const char *name,
				     typeof(((struct shrinker *)0)->count_objects) count,
				     typeof(((struct shrinker *)0)->scan_objects) scan)
{
	struct shrinker *s = shrinker_alloc(0, "%s", name);

	if (!s)
		return -ENOMEM;
	s->count_objects = count;
	s->scan_objects = scan;
	*shrinker = s;
	shrinker_register(s);
	return 0;
}

#define ccbuf_shrinker_remove(s) shrinker_free(s)
#else
static inline int ccbuf_shrinker_add(struct shrinker **shrinker, const char *name,
				     typeof(((struct shrinker *)0)->count_objects) count,
				     typeof(((struct shrinker *)0)->scan_objects) scan)
{
	static struct shrinker s = { .seeks = DEFAULT_SEEKS };

	s.count_objects = count;
	s.scan_objects = scan;
	*shrinker = &s;
	return register_shrinker(&s, "%s", name);
}

#define ccbuf_shrinker_remove(s) unregister_shrinker(s)
#endif

#ifdef CCBUF_HAVE_IMPORT_NS_STRING
#define CCBUF_IMPORT_DMA_BUF	MODULE_IMPORT_NS("DMA_BUF")
#else
#define CCBUF_IMPORT_DMA_BUF	MODULE_IMPORT_NS(DMA_BUF)
#endif

#endif

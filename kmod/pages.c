// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is shared with the host: regions are taken from the kernel, converted as one, handed
 * out in runs, and made private again before the kernel gets them back. A region that can not be
 * made private is never given back, nor used again: whoever got it from the kernel would keep
 * secrets where the host can read them.
 *
 * Three times zeroed: before a region is shared, so that no platform shows the host what was there;
 * after, through the shared mapping, because what a page holds then is up to the platform and the
 * host; and when a buffer is given back.
 *
 * pool.lock guards the lists, the bitmaps and the sums. It is never held while memory is allocated,
 * converted or zeroed. The shrinker takes no lock at all, has a work item convert, and waits for
 * that, but not for long: who is short of memory may hold what a conversion takes, as the lock of
 * the direct map's page tables on arm64.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/set_memory.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "heap.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/**
 * struct region - contiguous pages that are shared with the host
 * @list: in pool.partial or pool.empty; in none when it has no free page, or is doomed
 * @page: the first one
 * @order: 2^order pages
 * @used: how many of them are in runs
 * @own: belongs to one buffer, whose task's cgroup is charged for it; never in the pool
 * @doomed: to be made private when it is empty, and not to be taken from until then
 * @map: which of them are in runs
 */
struct region {
	struct list_head list;
	struct page *page;
	unsigned int order;
	unsigned int used;
	bool own;
	bool doomed;
	unsigned long map[];
};

static struct {
	struct mutex lock; /* all of this, and the regions in the lists */
	struct list_head partial; /* some pages in runs, some free */
	struct list_head empty;	  /* all pages free */
	unsigned long free;	  /* pages, in both lists */
	unsigned long in_empty;	  /* of them in the list of that name */
	atomic_long_t wanted;	  /* pages that the kernel would like to have back */
	unsigned long returned;	  /* pages that it was given back for that, ever */
	struct wait_queue_head shrunk;
	struct workqueue_struct *queue;
	struct work_struct balance;
	struct work_struct shrink;
	struct shrinker *shrinker;
} pool = {
	.lock = __MUTEX_INITIALIZER(pool.lock),
	.partial = LIST_HEAD_INIT(pool.partial),
	.empty = LIST_HEAD_INIT(pool.empty),
	.shrunk = __WAIT_QUEUE_HEAD_INITIALIZER(pool.shrunk),
};

struct counters counters;
DECLARE_WAIT_QUEUE_HEAD(heap_events);

/* --- parameters --- */

/* A change of the pool's size takes effect at once. */
static int set_pool(const char *text, const struct kernel_param *param)
{
	int ret = param_set_uint(text, param);

	if (!ret && READ_ONCE(pool.queue))
		queue_work(pool.queue, &pool.balance);
	return ret;
}

static const struct kernel_param_ops pool_ops = {
	.set = set_pool,
	.get = param_get_uint,
};

static unsigned int pool_mib;
module_param_cb(pool, &pool_ops, &pool_mib, 0644);
MODULE_PARM_DESC(pool, "MiB of free shared memory to fill the pool to (default 0)");

static unsigned int pool_low_mib;
module_param_cb(pool_low, &pool_ops, &pool_low_mib, 0644);
MODULE_PARM_DESC(pool_low, "MiB of free shared memory below which the pool is filled again (default 0: half of pool)");

static unsigned int pool_high_mib = 16;
module_param_cb(pool_high, &pool_ops, &pool_high_mib, 0644);
MODULE_PARM_DESC(pool_high, "MiB of free shared memory above which it is made private, at least pool (default 16)");

static bool account;
module_param(account, bool, 0644);
MODULE_PARM_DESC(account, "Charge buffers to the cgroup of who allocates them, without the pool (default N)");

static unsigned int leak_limit_mib = 64;
module_param_named(leak_limit, leak_limit_mib, uint, 0644);
MODULE_PARM_DESC(leak_limit, "MiB that may leak before the heap gives out no more memory (default 64)");

static unsigned long mib_to_pages(unsigned int mib)
{
	return (unsigned long)mib << (20 - PAGE_SHIFT);
}

static unsigned long pool_target(void)
{
	return mib_to_pages(READ_ONCE(pool_mib));
}

static unsigned long pool_low(void)
{
	unsigned int low = READ_ONCE(pool_low_mib);

	return low ? min(mib_to_pages(low), pool_target()) : pool_target() / 2;
}

static unsigned long pool_high(void)
{
	return max(mib_to_pages(READ_ONCE(pool_high_mib)), pool_target());
}

bool pages_stopped(void)
{
	return atomic64_read(&counters.leaked_bytes) > (u64)READ_ONCE(leak_limit_mib) << 20;
}

/* --- regions --- */

static unsigned int region_pages(const struct region *region)
{
	return 1U << region->order;
}

static int convert(struct page *page, unsigned int order, bool shared)
{
	unsigned long address = (unsigned long)page_address(page);
	unsigned int flags = ccbuf_convert_begin();
	int ret;

	ret = shared ? set_memory_decrypted(address, 1 << order) :
		       set_memory_encrypted(address, 1 << order);
	ccbuf_convert_end(flags);
	trace_convert(page_to_pfn(page), order, shared, ret);
	if (ret)
		atomic64_inc(&counters.failed);
	return ret;
}

static void leak(struct page *page, unsigned int order)
{
	atomic64_add(PAGE_SIZE << order, &counters.leaked_bytes);
	trace_leak(page_to_pfn(page), order);
	pr_warn_once("memory could not be made private again and is lost until the next boot; see leaked_bytes\n");
	if (pages_stopped())
		pr_err_once("more memory leaked than leak_limit: no more is given out\n");
	wake_up_interruptible(&heap_events);
}

/* Takes pages from the kernel and shares them, zeroed. None is ERR_PTR(-ENOMEM). */
static struct region *region_new(unsigned int order, gfp_t gfp)
{
	struct region *region;
	int ret;

	region = kzalloc(sizeof(*region) + sizeof(long) * BITS_TO_LONGS(1U << order), GFP_KERNEL);
	if (!region)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&region->list);
	region->order = order;
	gfp |= __GFP_ZERO | __GFP_NOWARN | (order ? __GFP_COMP : 0);
	region->page = alloc_pages(gfp, order);
	if (!region->page) {
		kfree(region);
		return ERR_PTR(-ENOMEM);
	}

	ret = convert(region->page, order, true);
	if (ret) {
		/*
		 * Some of it may be shared. EBUSY is the one failure that comes before anything is
		 * done: the kernel is about to be replaced by kexec. What is undone here was never
		 * counted as shared, so it is not counted as made private.
		 */
		if (ret != -EBUSY && convert(region->page, order, false))
			leak(region->page, order);
		else
			__free_pages(region->page, order);
		kfree(region);
		return ERR_PTR(ret);
	}
	atomic64_inc(&counters.to_shared);
	memset(page_address(region->page), 0, PAGE_SIZE << order);
	return region;
}

/* The region is in no list, and no page of it in a run. */
static void region_free(struct region *region)
{
	if (convert(region->page, region->order, false)) {
		leak(region->page, region->order);
	} else {
		atomic64_inc(&counters.to_private);
		/* what it holds now is up to the platform and the host */
		memset(page_address(region->page), 0, PAGE_SIZE << region->order);
		__free_pages(region->page, region->order);
	}
	kfree(region);
}

/* How many pages of the region can be taken. */
static unsigned long region_usable(const struct region *region)
{
	return region->doomed ? 0 : region_pages(region) - region->used;
}

/* Puts the region where its free pages are found. */
static void region_list(struct region *region)
{
	if (!region_usable(region))
		list_del_init(&region->list);
	else if (region->used)
		list_move(&region->list, &pool.partial);
	else
		list_move(&region->list, &pool.empty);
}

/* Counts free pages in and out; a negative @usable is out. */
static void count_free(long usable, bool empty)
{
	lockdep_assert_held(&pool.lock);
	WRITE_ONCE(pool.free, pool.free + usable);
	if (empty)
		WRITE_ONCE(pool.in_empty, pool.in_empty + usable);
}

static void count_pool(long pages)
{
	atomic64_add(pages * (long)PAGE_SIZE, &counters.pool_bytes);
}

/* Marks pages of a region of the pool as used. */
static void region_take(struct region *region, unsigned int first, unsigned int count)
{
	if (!region->used)
		WRITE_ONCE(pool.in_empty, pool.in_empty - region_pages(region));
	bitmap_set(region->map, first, count);
	region->used += count;
	count_free(-(long)count, false);
	count_pool(-(long)count);
	region_list(region);
}

/* And as free; from a doomed region, which it becomes by @doom, nothing is taken any more. */
static void region_give(struct region *region, unsigned int first, unsigned int count, bool doom)
{
	unsigned long usable = region_usable(region);

	bitmap_clear(region->map, first, count);
	region->used -= count;
	region->doomed |= doom;
	count_free((long)region_usable(region) - (long)usable, false);
	if (!region->used)
		WRITE_ONCE(pool.in_empty, pool.in_empty + region_usable(region));
	count_pool(count);
	region_list(region);
}

/* A new region, in the pool, all of it free. */
static void region_add(struct region *region)
{
	count_free(region_pages(region), true);
	count_pool(region_pages(region));
	region_list(region);
}

/* Takes an empty region out of the pool, to be freed. */
static void region_detach(struct region *region)
{
	count_free(-(long)region_usable(region), true);
	count_pool(-(long)region_pages(region));
	list_del_init(&region->list);
}

/* --- the pool --- */

/* Takes out an empty region, unless less than @keep free pages would remain; else NULL. */
static struct region *pool_detach(unsigned long keep)
{
	struct region *region;

	mutex_lock(&pool.lock);
	region = list_first_entry_or_null(&pool.empty, struct region, list);
	if (region && pool.free >= keep + region_pages(region))
		region_detach(region);
	else
		region = NULL;
	mutex_unlock(&pool.lock);
	return region;
}

/* Makes private what is more than @keep free pages, as far as whole regions are free. */
static void pool_trim(unsigned long keep)
{
	struct region *region;

	while ((region = pool_detach(keep))) {
		region_free(region);
		cond_resched();
	}
}

/* How many pages the kernel has been given back since it was short of memory. */
static unsigned long pool_returned(unsigned long before)
{
	return READ_ONCE(pool.returned) - before;
}

static void pool_fill(void)
{
	unsigned long before = READ_ONCE(pool.returned);
	struct region *region;

	/* not against a kernel that is short of memory: it would go round and round */
	while (READ_ONCE(pool.free) < pool_target() && !pages_stopped() &&
	       READ_ONCE(pool.queue) && !pool_returned(before)) {
		region = region_new(REGION_ORDER, GFP_KERNEL | __GFP_NORETRY);
		if (IS_ERR(region))
			return; /* the next allocation will ask again */
		mutex_lock(&pool.lock);
		region_add(region);
		mutex_unlock(&pool.lock);
		cond_resched();
	}
}

static void pool_balance(struct work_struct *work)
{
	pool_trim(pool_high());
	pool_fill();
}

static unsigned long pool_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	return READ_ONCE(pool.in_empty) ?: SHRINK_EMPTY;
}

static unsigned long pool_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	unsigned long before = READ_ONCE(pool.returned);

	atomic_long_add(sc->nr_to_scan, &pool.wanted);
	queue_work(pool.queue, &pool.shrink);
	wait_event_timeout(pool.shrunk, pool_returned(before) >= sc->nr_to_scan ||
			   !READ_ONCE(pool.in_empty), HZ / 10);
	sc->nr_scanned = pool_returned(before); /* by whole regions: may be more than asked for */
	return sc->nr_scanned ?: SHRINK_STOP;
}

static void pool_shrink(struct work_struct *work)
{
	long pages = atomic_long_xchg(&pool.wanted, 0);
	struct region *region;
	unsigned int count;

	while (pages > 0 && (region = pool_detach(0))) {
		count = region_pages(region);
		region_free(region);
		pages -= count;
		WRITE_ONCE(pool.returned, pool.returned + count);
		wake_up_all(&pool.shrunk);
		cond_resched();
	}
	wake_up_all(&pool.shrunk);
}

/* Takes @count free pages in a row out of a list of regions. */
static bool list_take(struct list_head *list, unsigned int count, struct run *ret_run)
{
	/* a run is aligned as it would be if it were a block of the kernel's, up to 16 pages */
	unsigned long mask = min(rounddown_pow_of_two(count), 16UL) - 1;
	struct region *region;
	unsigned long first;

	lockdep_assert_held(&pool.lock);
	list_for_each_entry(region, list, list) {
		if (region_pages(region) - region->used < count)
			continue;
		first = bitmap_find_next_zero_area(region->map, region_pages(region), 0, count,
						   mask);
		if (first >= region_pages(region))
			continue;
		region_take(region, first, count);
		*ret_run = (struct run){ .region = region, .first = first, .count = count };
		return true;
	}
	return false;
}

static bool pool_take(unsigned int count, struct run *ret_run)
{
	bool taken;

	mutex_lock(&pool.lock);
	taken = list_take(&pool.partial, count, ret_run) ||
		list_take(&pool.empty, count, ret_run);
	mutex_unlock(&pool.lock);
	return taken;
}

/* The orders of pages that are asked for, and how hard the kernel tries for each. */
static const struct {
	unsigned int order;
	gfp_t gfp;
} blocks[] = {
	{ REGION_ORDER, (GFP_USER | __GFP_NORETRY) & ~__GFP_RECLAIM },
	{ 4, (GFP_USER | __GFP_NORETRY) & ~__GFP_RECLAIM },
	{ 0, GFP_USER | __GFP_RETRY_MAYFAIL },
};

/* At most @pages pages: what is free, or in a new region. Of fragments the largest. */
static int take_pooled(unsigned long pages, struct run *ret_run)
{
	unsigned int count = min_t(unsigned long, pages, REGION_PAGES);
	struct region *region;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		unsigned int size = 1U << blocks[i].order;
		unsigned int want = min(count, size);

		/* a smaller block is asked for only when no fragment is as large */
		if (pool_take(want, ret_run))
			return 0;
		region = region_new(blocks[i].order, blocks[i].gfp);
		if (!IS_ERR(region)) {
			*ret_run = (struct run){ .region = region, .count = want };
			mutex_lock(&pool.lock);
			region_add(region);
			region_take(region, 0, want);
			mutex_unlock(&pool.lock);
			return 0;
		}
		if (PTR_ERR(region) != -ENOMEM)
			return PTR_ERR(region);
	}
	return -ENOMEM;
}

/* At most @pages pages in a region of their own, which the caller's cgroup is charged for. */
static int take_own(unsigned long pages, struct run *ret_run)
{
	struct region *region;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		if (pages < 1UL << blocks[i].order)
			continue;
		region = region_new(blocks[i].order, blocks[i].gfp | __GFP_ACCOUNT);
		if (!IS_ERR(region)) {
			region->own = true;
			*ret_run = (struct run){
				.region = region,
				.count = region_pages(region),
			};
			return 0;
		}
		if (PTR_ERR(region) != -ENOMEM)
			return PTR_ERR(region);
	}
	return -ENOMEM;
}

/* --- runs --- */

struct page *run_page(const struct run *run)
{
	return run->region->page + run->first;
}

const struct run *pages_find(const struct runs *runs, unsigned long at)
{
	unsigned int low = 0, high = runs->nr;

	/* run[low] begins at or before @at, run[high] after */
	while (high - low > 1) {
		unsigned int middle = low + (high - low) / 2;

		if (runs->run[middle].at <= at)
			low = middle;
		else
			high = middle;
	}
	return &runs->run[low];
}

static int runs_add(struct runs *runs, const struct run *run)
{
	if (runs->nr == runs->room) {
		unsigned int room = runs->room ? runs->room * 2 : 1;
		struct run *more = kvmalloc_array(room, sizeof(*more), GFP_KERNEL);

		if (!more)
			return -ENOMEM;
		if (runs->nr)
			memcpy(more, runs->run, runs->nr * sizeof(*more));
		kvfree(runs->run);
		runs->run = more;
		runs->room = room;
	}
	runs->run[runs->nr] = *run;
	runs->run[runs->nr++].at = runs->pages;
	runs->pages += run->count;
	return 0;
}

static void run_put(const struct run *run, bool at_once)
{
	struct region *region = run->region;
	bool empty = true;

	memset(page_address(run_page(run)), 0, (size_t)run->count << PAGE_SHIFT);
	if (!region->own) {
		mutex_lock(&pool.lock);
		region_give(region, run->first, run->count, at_once);
		empty = region->doomed && !region->used;
		if (empty)
			region_detach(region);
		mutex_unlock(&pool.lock);
	}
	if (empty)
		region_free(region);
}

/* Gives back what is not, or no longer, counted as a buffer. */
static void runs_put(struct runs *runs, bool at_once)
{
	unsigned int i;

	for (i = 0; i < runs->nr; i++) {
		run_put(&runs->run[i], at_once);
		cond_resched();
	}
	kvfree(runs->run);
	*runs = (struct runs){};
	pool_trim(pool_high());
}

static void count_live(unsigned long pages)
{
	s64 live = atomic64_add_return((s64)pages << PAGE_SHIFT, &counters.live_bytes);
	s64 peak = atomic64_read(&counters.peak_bytes);

	while (live > peak && !atomic64_try_cmpxchg(&counters.peak_bytes, &peak, live))
		;
	atomic64_inc(&counters.live_buffers);
}

int pages_get(unsigned long pages, struct runs *ret_runs)
{
	bool own = READ_ONCE(account);
	struct runs runs = {};
	struct run run;
	int ret = 0;

	if (pages > totalram_pages())
		return -ENOMEM;
	if (pages_stopped())
		return -EIO;

	while (!ret && runs.pages < pages) {
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		ret = own ? take_own(pages - runs.pages, &run) :
			    take_pooled(pages - runs.pages, &run);
		if (ret)
			break;
		ret = runs_add(&runs, &run);
		if (ret)
			run_put(&run, false);
		cond_resched();
	}
	if (ret) {
		runs_put(&runs, false);
		return ret;
	}
	count_live(pages);
	if (READ_ONCE(pool.free) < pool_low())
		queue_work(pool.queue, &pool.balance);
	*ret_runs = runs;
	return 0;
}

void pages_put(struct runs *runs, bool at_once)
{
	atomic64_sub((s64)runs->pages << PAGE_SHIFT, &counters.live_bytes);
	atomic64_dec(&counters.live_buffers);
	runs_put(runs, at_once);
}

static void queue_stop(void)
{
	struct workqueue_struct *queue = pool.queue;

	kernel_param_lock(THIS_MODULE); /* parameters can be set until the module is gone */
	WRITE_ONCE(pool.queue, NULL);
	kernel_param_unlock(THIS_MODULE);
	destroy_workqueue(queue);
}

int pages_init(void)
{
	int ret;

	INIT_WORK(&pool.balance, pool_balance);
	INIT_WORK(&pool.shrink, pool_shrink);
	pool.queue = alloc_workqueue(KBUILD_MODNAME, WQ_UNBOUND, 0);
	if (!pool.queue)
		return -ENOMEM;
	ret = ccbuf_shrinker_add(&pool.shrinker, KBUILD_MODNAME, pool_count, pool_scan);
	if (ret) {
		queue_stop();
		return ret;
	}
	queue_work(pool.queue, &pool.balance);
	return 0;
}

void pages_exit(void)
{
	ccbuf_shrinker_remove(pool.shrinker);
	queue_stop();
	pool_trim(0);
	WARN_ON(pool.free || !list_empty(&pool.partial));
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stands between the heap and set_memory_decrypted(), set_memory_encrypted(): knows of each page
 * whether the heap has shared it, what it held then, and makes calls fail that are to fail. It
 * takes the heap's word for nothing. Others' calls pass, unseen.
 *
 * A kprobe sends every call to a function here of the same type, which makes it (or not).
 */
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/io.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/set_memory.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "test.h"

#define LAST_PFN (1UL << 20) /* the bench has no guest of 4 GiB or more */

static DEFINE_SPINLOCK(lock);
static struct test_counts counts;
static struct test_fault faults[SIDES];
static unsigned long *shared;  /* pages that the heap has shared */
static unsigned long *unknown; /* pages of a conversion that failed: on either side, or in parts */

static bool by_heap(unsigned long caller)
{
	char name[KSYM_SYMBOL_LEN];

	sprint_symbol(name, caller);
	return strstr(name, "[ccbuf_heap]");
}

/* How this one shall fail, or 0. */
static u32 next_fault(enum side side)
{
	struct test_fault *f = &faults[side];

	if (!f->hits)
		return 0;
	if (f->pass) {
		f->pass--;
		return 0;
	}
	f->hits--;
	return f->how;
}

static void changed(enum side side, unsigned long pfn, unsigned long pages)
{
	unsigned long i;

	for (i = pfn; i < pfn + pages; i++) {
		if (!test_bit(i, unknown) && test_bit(i, shared) == (side == TO_SHARED))
			counts.again[side]++;
		__clear_bit(i, unknown);
		__assign_bit(i, shared, side == TO_SHARED);
	}
	counts.pages[side] += pages;
}

static unsigned long count_unclean(unsigned long address, int pages)
{
	unsigned long n = 0;
	int i;

	for (i = 0; i < pages; i++)
		n += !!memchr_inv((void *)address + i * PAGE_SIZE, 0, PAGE_SIZE);
	return n;
}

static int call(enum side side, unsigned long address, int pages)
{
	if (side == TO_SHARED)
		return set_memory_decrypted(address, pages);
	return set_memory_encrypted(address, pages);
}

static int convert(enum side side, unsigned long address, int pages)
{
	unsigned long pfn = PHYS_PFN(virt_to_phys((void *)address));
	unsigned long i, unclean = 0;
	bool known = true;
	int done = pages, ret = 0;
	u32 fault;

	if (WARN_ON(pages <= 0 || pfn + pages > LAST_PFN))
		return -EINVAL;
	spin_lock(&lock);
	for (i = pfn; i < pfn + pages; i++)
		known &= !test_bit(i, unknown);
	fault = next_fault(side);
	spin_unlock(&lock);

	/* where a conversion has failed, even to look may be too much */
	if (known)
		unclean = count_unclean(address, pages);
	if (fault == FAULT_FAIL)
		done = 0;
	else if (fault == FAULT_PART)
		done = pages / 2;
	if (done)
		ret = call(side, address, done);

	spin_lock(&lock);
	counts.calls[side]++;
	counts.unclean[side] += unclean;
	if (!ret)
		changed(side, pfn, done);
	if (fault && !ret)
		ret = -EIO;
	if (ret) {
		counts.failed[side]++;
		/* one that was not even begun leaves the pages as they were, but who called must
		 * not rely on that
		 */
		bitmap_set(unknown, pfn, pages);
	}
	spin_unlock(&lock);
	return ret;
}

static noinline int instead_decrypted(unsigned long address, int pages)
{
	int ret;

	if (by_heap((unsigned long)__builtin_return_address(0)))
		ret = convert(TO_SHARED, address, pages);
	else
		ret = set_memory_decrypted(address, pages);
	barrier(); /* no tail call: the return address tells set_memory_*() from ours */
	return ret;
}

static noinline int instead_encrypted(unsigned long address, int pages)
{
	int ret;

	if (by_heap((unsigned long)__builtin_return_address(0)))
		ret = convert(TO_PRIVATE, address, pages);
	else
		ret = set_memory_encrypted(address, pages);
	barrier();
	return ret;
}

static int redirect(struct kprobe *p, struct pt_regs *regs);

/* There only so that the kprobe may change where the function goes on. */
static void no_post_handler(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe probes[SIDES] = {
	[TO_SHARED] = {
		.symbol_name = "set_memory_decrypted",
		.pre_handler = redirect,
		.post_handler = no_post_handler,
	},
	[TO_PRIVATE] = {
		.symbol_name = "set_memory_encrypted",
		.pre_handler = redirect,
		.post_handler = no_post_handler,
	},
};

static int redirect(struct kprobe *p, struct pt_regs *regs)
{
	unsigned long caller = *(unsigned long *)kernel_stack_pointer(regs);

	if (within_module(caller, THIS_MODULE))
		return 0;
	regs->ip = (unsigned long)(p == &probes[TO_SHARED] ? instead_decrypted : instead_encrypted);
	return 1;
}

int conversions_arm(const struct test_fault *f)
{
	if (f->side >= SIDES || f->how < FAULT_FAIL || f->how > FAULT_WHOLE)
		return -EINVAL;
	spin_lock(&lock);
	faults[f->side] = *f;
	spin_unlock(&lock);
	return 0;
}

void conversions_counts(struct test_counts *ret_counts)
{
	spin_lock(&lock);
	*ret_counts = counts;
	ret_counts->armed[TO_SHARED] = faults[TO_SHARED].hits;
	ret_counts->armed[TO_PRIVATE] = faults[TO_PRIVATE].hits;
	ret_counts->shared = bitmap_weight(shared, LAST_PFN);
	spin_unlock(&lock);
}

int conversions_init(void)
{
	int i, ret;

	shared = vzalloc(BITS_TO_LONGS(LAST_PFN) * sizeof(long));
	unknown = vzalloc(BITS_TO_LONGS(LAST_PFN) * sizeof(long));
	if (!shared || !unknown)
		return -ENOMEM;
	for (i = 0; i < SIDES; i++) {
		ret = register_kprobe(&probes[i]);
		if (ret)
			return ret;
	}
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/* The device file, and looks at physical memory. */
#include <asm/msr.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/set_memory.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <linux/vmalloc.h>

#include "test.h"

#define BENCH_FIRST 0x4ccb0000 /* the hypervisor's registers, see cocovm/magic.h */
#define BENCH_LAST  0x4ccb0fff

static struct page *mailbox;

int peek(phys_addr_t phys, u32 how, bool write, void *data, size_t bytes)
{
	struct page *pages[PEEK_MAX / PAGE_SIZE + 1];
	unsigned int i, n = DIV_ROUND_UP(offset_in_page(phys) + bytes, PAGE_SIZE);
	void *map, *p;

	if (bytes > PEEK_MAX || !n)
		return -EINVAL;
	for (i = 0; i < n; i++) {
		if (!pfn_valid(PHYS_PFN(phys) + i))
			return -EINVAL;
		pages[i] = pfn_to_page(PHYS_PFN(phys) + i);
	}
	if (how == PEEK_DIRECT)
		map = page_address(pages[0]);
	else
		map = vmap(pages, n, VM_MAP,
			how == PEEK_SHARED ? pgprot_decrypted(PAGE_KERNEL) : PAGE_KERNEL);
	if (!map)
		return -ENOMEM;
	p = map + offset_in_page(phys);
	if (write)
		memcpy(p, data, bytes);
	else
		memcpy(data, p, bytes);
	if (how != PEEK_DIRECT)
		vunmap(map);
	return 0;
}

static int peek_copy(const struct test_copy *c)
{
	u8 __user *buffer = u64_to_user_ptr(c->buffer);
	void *data = kvmalloc(PEEK_MAX, GFP_KERNEL);
	u64 done, n;
	int ret = 0;

	if (!data)
		return -ENOMEM;
	for (done = 0; done < c->bytes && !ret; done += n) {
		n = min_t(u64, c->bytes - done, PEEK_MAX);
		if (c->write && copy_from_user(data, buffer + done, n))
			ret = -EFAULT;
		else
			ret = peek(c->offset + done, c->how, c->write, data, n);
		if (!ret && !c->write && copy_to_user(buffer + done, data, n))
			ret = -EFAULT;
	}
	kvfree(data);
	return ret;
}

static int use_msr(struct test_msr *m)
{
	u32 low = m->value, high = m->value >> 32;

	if (m->msr < BENCH_FIRST || m->msr > BENCH_LAST)
		return -EINVAL;
	if (m->write)
		return wrmsr_safe(m->msr, low, high);
	if (rdmsr_safe(m->msr, &low, &high))
		return -EIO;
	m->value = low | (u64)high << 32;
	return 0;
}

union argument {
	struct test_attach attach;
	struct test_state state;
	struct test_segment segment;
	struct test_copy copy;
	struct test_fault fault;
	struct test_counts counts;
	struct test_msr msr;
	u64 address;
};

static int handle(struct importer *m, unsigned int request, union argument *a)
{
	switch (request) {
	case TEST_ATTACH:
		return importer_attach(m, &a->attach);
	case TEST_DETACH:
		return importer_detach(m);
	case TEST_MAP:
		return importer_map(m);
	case TEST_UNMAP:
		return importer_unmap(m);
	case TEST_VMAP:
		return importer_vmap(m);
	case TEST_VUNMAP:
		return importer_vunmap(m);
	case TEST_BEGIN:
		return importer_begin(m, DMA_RESV_USAGE_BOOKKEEP);
	case TEST_WRITE:
		return importer_begin(m, DMA_RESV_USAGE_WRITE);
	case TEST_END:
		return importer_end(m);
	case TEST_STATE:
		importer_state(m, &a->state);
		return 0;
	case TEST_SEGMENT:
		return importer_segment(m, &a->segment);
	case TEST_COPY:
		if (a->copy.how == COPY_VMAP || a->copy.how == COPY_DEVICE)
			return importer_copy(m, &a->copy);
		return peek_copy(&a->copy);
	case TEST_ARM:
		return conversions_arm(&a->fault);
	case TEST_COUNTS:
		conversions_counts(&a->counts);
		return 0;
	case TEST_MSR:
		return use_msr(&a->msr);
	case TEST_MAILBOX:
		a->address = page_to_phys(mailbox);
		return 0;
	}
	return -ENOTTY;
}

static long test_ioctl(struct file *file, unsigned int request, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	size_t size = _IOC_SIZE(request);
	union argument a = {};
	int ret;

	if (size > sizeof(a))
		return -ENOTTY;
	if ((_IOC_DIR(request) & _IOC_WRITE) && copy_from_user(&a, user, size))
		return -EFAULT;
	ret = handle(file->private_data, request, &a);
	if (!ret && (_IOC_DIR(request) & _IOC_READ) && copy_to_user(user, &a, size))
		ret = -EFAULT;
	return ret;
}

static int test_open(struct inode *inode, struct file *file)
{
	file->private_data = importer_new();
	return file->private_data ? 0 : -ENOMEM;
}

static int test_release(struct inode *inode, struct file *file)
{
	importer_free(file->private_data);
	return 0;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = test_open,
	.release = test_release,
	.unlocked_ioctl = test_ioctl,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ccbuf_heap_test",
	.fops = &operations,
	.mode = 0600,
};

/* Whatever fails here: the guest is of no use any more, and nothing is undone. */
static int __init test_init(void)
{
	int ret;

	__module_get(THIS_MODULE);
	mailbox = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!mailbox)
		return -ENOMEM;
	ret = set_memory_decrypted((unsigned long)page_address(mailbox), 1);
	if (ret)
		return ret;
	memset(page_address(mailbox), 0, PAGE_SIZE);
	ret = devices_init();
	if (!ret)
		ret = conversions_init();
	if (!ret)
		ret = misc_register(&device);
	return ret;
}
module_init(test_init);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
MODULE_IMPORT_NS("DMA_BUF");
#else
MODULE_IMPORT_NS(DMA_BUF);
#endif
MODULE_DESCRIPTION("Importers and failures for the tests of ccbuf_heap");
MODULE_LICENSE("GPL");

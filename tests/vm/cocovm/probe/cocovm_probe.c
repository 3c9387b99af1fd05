// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A test module for guests of this bench: on loading it uses private, shared and converted memory
 * and reports on the console what it sees, a line each, `probe: ok NAME` or `probe: not ok NAME`;
 * `probe: at NAME ADDRESS` and `probe: now NAME` tell the test outside where to look, and when. It
 * is never useful anywhere else.
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/set_memory.h>
#include <linux/vmalloc.h>

#define MAGIC_IDENTITY 0x4ccb0000
#define MAGIC_FAULT    0x4ccb0001
#define FAULT_FAIL     1
#define FAULT_RETRY    2
#define FAULT_PART     3
#define FAULT_STALL    4
#define TO_SHARED      1
#define TO_PRIVATE     2
#define TEE_TDX	       2

/*
 * "wrong": go to a shared page by its private address; "fatal": fail the next conversion; "plain":
 * this is no confidential guest, all is one memory.
 */
static char *test = "";
module_param(test, charp, 0);
static bool plain;

static u64 magic_read(u32 msr)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return low | (u64)high << 32;
}

static void arm(u32 fault, u32 sides, u32 times, u32 millions)
{
	u32 low = fault | sides << 8 | times << 16;

	asm volatile("wrmsr" : : "c"(MAGIC_FAULT), "a"(low), "d"(millions) : "memory");
}

static u32 armed(void)
{
	return (u32)magic_read(MAGIC_FAULT);
}

static void report(bool ok, const char *name)
{
	pr_alert("probe: %s %s\n", ok ? "ok" : "not ok", name);
}

/* Made at run time, so that the file of the module does not contain what is looked for. */
static void fill(char *p, const char *word)
{
	size_t i;

	for (i = 0; i + 16 <= PAGE_SIZE; i += 16)
		snprintf(p + i, 16, "%s-%06zx", word, i);
}

static bool wait_for(const char *p, char c)
{
	int i;

	for (i = 0; i < 3000 && READ_ONCE(*p) != c; i++)
		msleep(10);
	return READ_ONCE(*p) == c;
}

/* The host rewrites shared memory at will: what was read once is not what is read next. */
static void test_race(struct page *page)
{
	u64 *shared = page_address(page), first, changes = 0;
	unsigned long end;

	report(set_memory_decrypted((unsigned long)shared, 1) == 0, "race-to-shared");
	WRITE_ONCE(*shared, 0);
	pr_alert("probe: at race %llx\n", (u64)page_to_phys(page));
	pr_alert("probe: now race\n");
	end = jiffies + 30 * HZ;
	while (changes < 100 && time_before(jiffies, end)) {
		first = READ_ONCE(*shared);
		udelay(200);
		changes += READ_ONCE(*shared) != first;
		cond_resched();
	}
	pr_alert("probe: now still\n");
	report(changes >= 100, "race-host-rewrites");
	report(set_memory_encrypted((unsigned long)shared, 1) == 0, "race-to-private");
}

static void test_wrong_side(struct page *page)
{
	char *alias = vmap(&page, 1, VM_MAP, PAGE_KERNEL);

	pr_alert("probe: now wrong\n");
	msleep(1000); /* newer kernels print in the background, and this may be the end */
	if (alias)
		report(READ_ONCE(*alias) != 'S', "other-half");
	vunmap(alias);
}

static void test_faults(char *page, bool tdx)
{
	unsigned long address = (unsigned long)page;
	u64 start;

	if (tdx) {
		arm(FAULT_FAIL, TO_SHARED, 1, 0);
		report(set_memory_decrypted(address, 1) < 0 && !armed(), "fail-to-shared");
		arm(FAULT_RETRY, TO_SHARED, 2, 0);
		report(set_memory_decrypted(address, 1) == 0 && !armed(), "retry-to-shared");
		arm(FAULT_FAIL, TO_PRIVATE, 1, 0);
		report(set_memory_encrypted(address, 1) < 0 && !armed(), "fail-to-private");
		report(set_memory_decrypted(address, 1) == 0, "shared-again");
		report(set_memory_encrypted(address, 1) == 0, "private-again");
		arm(FAULT_PART, TO_SHARED, 1, 0);
		report(set_memory_decrypted(address, 2) == 0 && !armed(), "part-to-shared");
		report(set_memory_encrypted(address, 2) == 0, "private-two");
	}
	arm(FAULT_STALL, TO_SHARED, 1, 500);
	start = rdtsc();
	report(set_memory_decrypted(address, 1) == 0, "stall");
	report(armed() || rdtsc() - start >= 500000000, "stall-lasts");
	arm(0, 0, 0, 0);
	report(set_memory_encrypted(address, 1) == 0, "private-after-stall");
}

/* A fault that the host armed. */
static void test_armed(char *page, bool tdx)
{
	unsigned long address = (unsigned long)page;
	u64 start;
	int i, r;

	pr_alert("probe: now arm\n");
	for (i = 0; i < 3000 && !armed(); i++)
		msleep(10);
	report(armed() == 1, "host-arms");
	start = rdtsc();
	r = set_memory_decrypted(address, 1);
	if (tdx)
		report(r < 0 && !armed(), "host-armed-fail");
	else
		report(r == 0 && (armed() || rdtsc() - start >= 500000000), "host-armed-stall");
	arm(0, 0, 0, 0);
	if (tdx) /* it is private yet */
		report(set_memory_decrypted(address, 1) == 0, "shared-after-host");
	report(set_memory_encrypted(address, 1) == 0, "private-after-host");
}

static int __init probe_init(void)
{
	struct page *secret = alloc_page(GFP_KERNEL), *pair = alloc_pages(GFP_KERNEL, 1);
	u64 identity;
	char *p, *s;

	if (!secret || !pair)
		return -ENOMEM;
	plain = !strcmp(test, "plain");
	p = page_address(secret);
	s = page_address(pair);
	/* registers that no other machine has */
	identity = plain ? 0 : magic_read(MAGIC_IDENTITY);
	report(plain || identity >> 8 == 0x68636e65626363, "bench");
	fill(p, "PRIVATE");
	pr_alert("probe: at private %llx\n", (u64)page_to_phys(secret));
	pr_alert("probe: at shared %llx\n", (u64)page_to_phys(pair));
	fill(s, "BEFORE");
	report(set_memory_decrypted((unsigned long)s, 1) == 0, "to-shared");
	report((memcmp(s, "BEFORE", 6) == 0) == plain, "shared-lost-content");
	if (!strcmp(test, "wrong"))
		test_wrong_side(pair);
	fill(s, "SHARED");
	pr_alert("probe: now look\n");
	/* the host looks around, then writes to the private page's address and to the shared one's
	 */
	report(wait_for(s, 'H'), "host-writes-shared");
	report(*p == (plain ? 'H' : 'P'), "host-cannot-write-private");
	report(set_memory_encrypted((unsigned long)s, 1) == 0, "to-private");
	report((*s == 'H') == plain, "private-lost-content");
	fill(s, "AGAIN");
	pr_alert("probe: now again\n");
	msleep(300);
	report(*s == 'A', "private-is-private");
	if (!strcmp(test, "fatal")) {
		arm(FAULT_FAIL, TO_SHARED, 1, 0);
		report(set_memory_decrypted((unsigned long)s, 1) < 0, "fatal");
	}
	test_race(pair);
	if (!plain) {
		test_faults(s, (identity & 0x7f) == TEE_TDX);
		test_armed(s, (identity & 0x7f) == TEE_TDX);
	}
	pr_alert("probe: done\n");
	return -ECANCELED; /* nothing is left behind to unload */
}
module_init(probe_init);

MODULE_DESCRIPTION("Test of private and shared memory");
MODULE_LICENSE("GPL");

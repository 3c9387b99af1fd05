/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loads a Linux kernel into the private half and makes a processor ready to enter it, as a boot
 * loader inside a confidential guest would: everything it reads at first is private already.
 *
 * Documentation/arch/x86/boot.rst ("64-bit Boot Protocol") and zero-page.rst.
 */
#include "guest.h"
#include "multiboot.h"

#define HDR_SETUP_SECTS	   0x1f1
#define HDR_BOOT_FLAG	   0x1fe
#define HDR_JUMP	   0x200
#define HDR_MAGIC	   0x202
#define HDR_VERSION	   0x206
#define HDR_TYPE_OF_LOADER 0x210
#define HDR_LOADFLAGS	   0x211
#define HDR_RAMDISK_IMAGE  0x218
#define HDR_RAMDISK_SIZE   0x21c
#define HDR_CMD_LINE_PTR   0x228
#define HDR_XLOADFLAGS	   0x236
#define HDR_INIT_SIZE	   0x260
#define E820_ENTRIES	   0x1e8
#define E820_TABLE	   0x2d0

struct e820_entry {
	u64 base, length;
	u32 type;
} __attribute__((packed));

static u32 get32(const u8 *p)
{
	u32 value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static void put32(u8 *p, u64 value)
{
	u32 v = (u32)value;

	memcpy(p, &v, sizeof(v));
}

static void add_e820(u8 *params, u64 base, u64 end, u32 type)
{
	struct e820_entry e = { base, end - base, type };

	if (base < end && params[E820_ENTRIES] < 128)
		memcpy(params + E820_TABLE + sizeof(e) * params[E820_ENTRIES]++, &e, sizeof(e));
}

/* The machine's own map, with the RAM cut to the guest's and our data for it reserved. */
static void make_e820(u8 *params, const struct multiboot *mb)
{
	u64 offset = 0, end;
	struct multiboot_mmap m;

	add_e820(params, 0, GUEST_FIRMWARE, 1);
	add_e820(params, GUEST_FIRMWARE, 0xa0000, 2);
	add_e820(params, 0xf0000, MiB, 2);
	add_e820(params, MiB, guest.low, 1);
	add_e820(params, 4 * GiB, 4 * GiB + guest.ram - guest.low, 1);
	for (; offset < mb->mmap_length; offset += m.size + 4) {
		memcpy(&m, at(mb->mmap_addr + offset), sizeof(m));
		end = m.base + m.length;
		if (m.type != 1 && m.base >= guest.low && end <= BIT(32))
			add_e820(params, m.base, end, m.type);
	}
}

/* One to one for the first 4 GiB, all private; devices too, which nobody touches this early. */
static void make_page_tables(void)
{
	u64 *tables = memory_at(PRIVATE, GUEST_PAGE_TABLES);
	u64 bit = guest.tee == TEE_TDX ? 0 : BIT(SIDE_BIT);
	u64 i;

	memset(tables, 0, 2 * PAGE_SIZE);
	tables[0] = (GUEST_PAGE_TABLES + PAGE_SIZE) | bit | 3;
	for (i = 0; i < 4; i++)
		tables[512 + i] = (GUEST_PAGE_TABLES + (2 + i) * PAGE_SIZE) | bit | 3;
	for (i = 0; i < 4 * 512; i++)
		tables[2 * 512 + i] = i * 2 * MiB | bit | 0x83;
}

static const char *after_name(u32 cmdline)
{
	const char *s = at(cmdline);

	while (*s && *s != ' ')
		s++;
	return *s ? s + 1 : s;
}

void linux_load(const struct multiboot *mb)
{
	const struct multiboot_module *mods = at(mb->mods_addr);
	const u8 *image = at(mods[0].start);
	u8 *params = memory_at(PRIVATE, GUEST_BOOT_PARAMS);
	const char *cmdline;
	u64 setup, size, initrd = 0, initrd_at = guest.low;

	if (mb->mods_count < 1 || mb->mods_count > 2)
		stop("give -initrd \"BZIMAGE COMMANDLINE,INITRD\"");
	size = mods[0].end - mods[0].start;
	if (size < PAGE_SIZE || memcmp(image + HDR_MAGIC, "HdrS", 4) != 0 ||
		image[HDR_VERSION + 1] < 2 || image[HDR_VERSION] < 12 ||
		!(image[HDR_XLOADFLAGS] & 1))
		stop("the first module is no 64-bit Linux kernel");
	setup = (image[HDR_SETUP_SECTS] ? image[HDR_SETUP_SECTS] + 1 : 5) * 512;

	if (mb->mods_count == 2) {
		initrd = mods[1].end - mods[1].start;
		initrd_at = (guest.low - initrd) & -PAGE_SIZE;
	}
	if (GUEST_KERNEL + get32(image + HDR_INIT_SIZE) > initrd_at)
		stop("the guest's memory is too small for kernel and initrd");
	memcpy(memory_at(PRIVATE, GUEST_KERNEL), image + setup, size - setup);
	memcpy(memory_at(PRIVATE, initrd_at), at(mods[1].start), initrd);

	memset(params, 0, PAGE_SIZE);
	memcpy(params + HDR_SETUP_SECTS, image + HDR_SETUP_SECTS,
		HDR_MAGIC + image[HDR_JUMP + 1] - HDR_SETUP_SECTS);
	params[HDR_TYPE_OF_LOADER] = 0xff;
	put32(params + HDR_CMD_LINE_PTR, GUEST_CMDLINE);
	put32(params + HDR_RAMDISK_IMAGE, initrd ? initrd_at : 0);
	put32(params + HDR_RAMDISK_SIZE, initrd);
	make_e820(params, mb);

	cmdline = after_name(mods[0].cmdline);
	for (size = 0; cmdline[size] && size < 2047; size++)
		;
	memcpy(memory_at(PRIVATE, GUEST_CMDLINE), cmdline, size);
	memset((u8 *)memory_at(PRIVATE, GUEST_CMDLINE) + size, 0, 1);
	make_page_tables();
	if (guest.tee == TEE_SNP)
		snp_boot_data(params);
}

void linux_enter(struct cpu *cpu)
{
	struct vmcb_save *s = &cpu->vmcb->save;
	struct vmcb_seg data = { 0x18, 0xc93, 0xffffffff, 0 };

	s->cs = (struct vmcb_seg){ 0x10, 0xa9b, 0xffffffff, 0 };
	s->ds = s->es = s->ss = data;
	s->cr0 = 0x80000011;
	s->cr3 = GUEST_PAGE_TABLES | (guest.tee == TEE_TDX ? 0 : BIT(SIDE_BIT));
	s->cr4 = 0x20;
	s->efer = EFER_LME | EFER_LMA;
	s->rflags = 2;
	s->rip = GUEST_KERNEL + 0x200;
	cpu->cr3_shown = s->cr3;
	cpu->r[RSI] = GUEST_BOOT_PARAMS;
}

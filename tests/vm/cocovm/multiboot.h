/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the boot loader hands over. Multiboot specification 0.6.96, section 3.3. */
#ifndef COCOVM_MULTIBOOT_H
#define COCOVM_MULTIBOOT_H

#include "base.h"

struct multiboot {
	u32 flags;
	u32 mem_lower, mem_upper;
	u32 boot_device;
	u32 cmdline;
	u32 mods_count, mods_addr;
	u32 syms[4];
	u32 mmap_length, mmap_addr;
};

struct multiboot_module {
	u32 start, end;
	u32 cmdline; /* begins with the file's name */
	u32 reserved;
};

struct multiboot_mmap {
	u32 size; /* of the rest */
	u64 base, length;
	u32 type;
} __attribute__((packed));

#endif

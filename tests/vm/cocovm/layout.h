/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The map of the machine (QEMU's pc, which has 3 GiB of memory below 4 GiB once it has more):
 *
 *	0 .. 2.5 GiB		the shared half: what devices and the host reach
 *	2.5 GiB .. 3 GiB	this hypervisor, the multiboot modules, its tables, firmware tables
 *	3 GiB .. 4 GiB		devices
 *	4 GiB ..		the rest of the shared half, if the guest has more than 2.5 GiB
 *	directly after it ..	the private half, in one piece
 *
 * The guest sees its RAM where the shared half is, twice: bit 39 of a guest physical address, the
 * highest that TCG has, says which half.
 */
#ifndef COCOVM_LAYOUT_H
#define COCOVM_LAYOUT_H

#define HV_BASE	     0xa0000000
#define CONTROL_PAGE 0xa0001000
#define LOW_MEM_END  0xc0000000
#define MAX_RAM	     0x800000000
#define SIDE_BIT     39
#define MAX_CPUS     16
#define STACK_SIZE   8192

/* In the guest's memory, for its kernel's start. */
#define GUEST_PAGE_TABLES 0x20000 /* 6 pages */
#define GUEST_CMDLINE	  0x30000
#define GUEST_BOOT_PARAMS 0x40000
#define GUEST_SETUP_DATA  0x42000 /* ordinary memory, as Linux maps it by that */
#define GUEST_FIRMWARE	  0x98000 /* reserved from here: */
#define GUEST_CC_BLOB	  0x98100
#define GUEST_SECRETS	  0x99000
#define GUEST_CPUID_PAGE  0x9a000
#define GUEST_KERNEL	  0x1000000

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ports. All are the guest's own but the one that switches the machine off, which is watched so
 * that the counters can be reported first. (The reset port 0xcf9 is not: it lies within the port
 * of PCI configuration, and each exit costs the translations of TCG.)
 *
 * AMD APM vol. 2, section 15.10 (I/O intercepts); ACPI 6.5, section 4.8.3.2.1 (PM1 control), with
 * the address that SeaBIOS gives it on a pc.
 */
#include "guest.h"

#define PORT_PM1A_CONTROL 0x604
#define SLEEP_ENABLE	  0x2000

void io_init(struct vmcb *vmcb)
{
	static const u16 ports[] = { PORT_PM1A_CONTROL };
	static u8 *map;
	size_t i;

	if (!map) {
		map = memory_alloc(3 * PAGE_SIZE);
		for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
			map[ports[i] / 8] |= 1 << ports[i] % 8;
	}
	vmcb->iopm = (u64)map;
}

u32 io_in(u16 port, u32 size)
{
	return size == 1 ? in8(port) : size == 2 ? in16(port) : in32(port);
}

void io_out(u16 port, u32 size, u32 value)
{
	if (port == PORT_PM1A_CONTROL && value & SLEEP_ENABLE)
		say_counters();
	if (size == 1)
		out8(port, value);
	else if (size == 2)
		out16(port, value);
	else
		out32(port, value);
}

void io_exit(struct cpu *cpu)
{
	u64 info = cpu->vmcb->exit_info_1;
	u16 port = info >> 16;
	u32 size = info >> 4 & 7;
	u64 mask = size == 4 ? 0xffffffff : BIT(8 * size) - 1;

	if (info & 4)
		stop_guest(cpu, "a string instruction for port %x", (u64)port);
	if (info & 1)
		cpu->r[RAX] = (size == 4 ? 0 : cpu->r[RAX] & ~mask) | io_in(port, size);
	else
		io_out(port, size, cpu->r[RAX] & mask);
	cpu->vmcb->save.rip = cpu->vmcb->exit_info_2;
}

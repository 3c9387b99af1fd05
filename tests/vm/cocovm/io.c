/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ports. All are the guest's own but those that switch the machine off or reset it, which are
 * watched so that the counters can be reported first. The reset port 0xcf9 lies within that of PCI
 * configuration, whose 17 000 accesses at boot would cost a second; so it is watched from when the
 * guest first turns to the keyboard controller, after its search for devices.
 *
 * AMD APM vol. 2, section 15.10 (I/O intercepts); ACPI 6.5, section 4.8.3.2.1 (PM1 control), with
 * the address that SeaBIOS gives it on a pc; Intel 82371SB (PIIX3), "Reset Control Register"; IBM
 * PC AT Technical Reference, "8042 commands" (pulse output port).
 */
#include "guest.h"
#include "control.h"

#define PORT_KEYBOARD	  0x64
#define PULSE_RESET	  0xf0 /* with bit 0 clear: the processor's reset line */
#define PORT_PM1A_CONTROL 0x604
#define SLEEP_ENABLE	  0x2000
#define PORT_RESET	  0xcf9
#define RESET_NOW	  4

static u8 *map;

static void watch(u16 port)
{
	map[port / 8] |= 1 << port % 8;
}

void io_init(struct vmcb *vmcb)
{
	if (!map) {
		map = memory_alloc(3 * PAGE_SIZE);
		watch(PORT_KEYBOARD);
		watch(PORT_PM1A_CONTROL);
	}
	vmcb->iopm = (u64)map;
}

static void look_for_the_end(u16 port, u32 size, u32 value)
{
	u64 state;

	if (port == PORT_PM1A_CONTROL && value & SLEEP_ENABLE)
		state = CONTROL_POWER_OFF;
	else if (port == PORT_KEYBOARD && (value & 0xf1) == PULSE_RESET)
		state = CONTROL_RESET;
	else if (port == PORT_RESET && size == 1 && value & RESET_NOW)
		state = CONTROL_RESET;
	else
		return;
	/* processors may try at the same time, or by one way after another */
	if (__atomic_exchange_n(&control.state, state, __ATOMIC_SEQ_CST) == CONTROL_RUNS)
		say_counters();
}

u32 io_in(u16 port, u32 size)
{
	return size == 1 ? in8(port) : size == 2 ? in16(port) : in32(port);
}

void io_out(u16 port, u32 size, u32 value)
{
	look_for_the_end(port, size, value);
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

	if (port == PORT_KEYBOARD)
		watch(PORT_RESET);
	if (info & 4)
		stop_guest(cpu, "a string instruction for port %x", (u64)port);
	if (info & 1)
		cpu->r[RAX] = (size == 4 ? 0 : cpu->r[RAX] & ~mask) | io_in(port, size);
	else
		io_out(port, size, cpu->r[RAX] & mask);
	cpu->vmcb->save.rip = cpu->vmcb->exit_info_2;
}

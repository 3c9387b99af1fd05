/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the hypervisor has to say, on QEMU's debug console (port 0xe9), and its end when the
 * guest does what it must not, or dies.
 */
#include "guest.h"
#include "control.h"

#include <stdarg.h>

static void put(char c)
{
	out8(0xe9, (u8)c);
}

static void put_number(u64 n, unsigned base)
{
	char digits[20];
	int i = 0;

	do {
		digits[i++] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n > 0);
	while (i > 0)
		put(digits[--i]);
}

/* %s is a string, %x and %u a u64 */
static void say_v(const char *format, va_list args)
{
	const char *s;

	for (; *format; format++) {
		if (*format != '%') {
			put(*format);
			continue;
		}
		switch (*++format) {
		case 's':
			for (s = va_arg(args, const char *); *s; s++)
				put(*s);
			break;
		case 'x':
			put_number(va_arg(args, u64), 16);
			break;
		case 'u':
			put_number(va_arg(args, u64), 10);
			break;
		}
	}
}

void say(const char *format, ...)
{
	static volatile int lock;
	va_list args;

	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		__builtin_ia32_pause();
	va_start(args, format);
	say_v(format, args);
	va_end(args);
	put('\n');
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

void say_counters(void)
{
	int i;

	for (i = 0; i < COUNT_END; i++) {
		if (count_read(i) > 0)
			say("count %s %u", control.counter[i].name, count_read(i));
	}
}

static _Noreturn void end(void (*how)(void))
{
	control.state = CONTROL_STOPPED;
	say_counters();
	how();
	for (;;)
		__asm__ volatile("hlt");
}

/* SLP_EN with the type S5 in PM1a_CNT of a pc, where SeaBIOS puts it; with no ACPI, sleep. */
static void power_off(void)
{
	out16(0x604, 0x2000);
}

/* As a triple fault does on hardware; see io.c. */
static void reset(void)
{
	out8(0xcf9, 6);
}

void stop(const char *format, ...)
{
	va_list args;

	say("stop");
	va_start(args, format);
	say_v(format, args);
	va_end(args);
	put('\n');
	end(power_off);
}

static void describe(struct cpu *cpu, const char *format, va_list args)
{
	const struct vmcb_save *s = &cpu->vmcb->save;
	u8 code[16];
	size_t i, n;

	say("stop: cpu %u at %x: ", (u64)cpu->id, s->cs.base + s->rip);
	say_v(format, args);
	put('\n');
	say("exit %x info %x %x", cpu->vmcb->exit_code, cpu->vmcb->exit_info_1,
		cpu->vmcb->exit_info_2);
	say("cr0 %x cr3 %x cr4 %x efer %x cr2 %x rsp %x", s->cr0, s->cr3, s->cr4, s->efer, s->cr2,
		cpu->r[RSP]);
	for (i = 0; i < 16; i += 4)
		say("r%u %x %x %x %x", i, cpu->r[i], cpu->r[i + 1], cpu->r[i + 2], cpu->r[i + 3]);
	n = walk_code(cpu, code, sizeof(code));
	for (i = 0; i < n; i++)
		put_number(code[i], 16), put(' ');
	put('\n');
}

void stop_guest(struct cpu *cpu, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	describe(cpu, format, args);
	va_end(args);
	end(power_off);
}

void reset_guest(struct cpu *cpu, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	describe(cpu, format, args);
	va_end(args);
	end(reset);
}

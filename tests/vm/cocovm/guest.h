/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest, its processors, and what the files of the hypervisor offer each other. */
#ifndef COCOVM_GUEST_H
#define COCOVM_GUEST_H

#include "base.h"
#include "layout.h"
#include "svm.h"

enum tee { TEE_SEV, TEE_SNP, TEE_TDX };
enum side { SHARED, PRIVATE };

/* The bytes of memory that the guest has nothing in, by side. */
#define PATTERN_SHARED	0x5a
#define PATTERN_PRIVATE 0xa5

/* Registers in the order of the instruction encoding. */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

struct guest {
	enum tee tee;
	bool strict;
	bool reports; /* its conversions: always, but for SEV (see sev.c) */
	u64 ram;      /* bytes, whole 2 MiB */
	u64 low;      /* of these, from address 0 on; the others are from 4 GiB on */
};
extern struct guest guest;

struct cpu {
	u32 id; /* of its APIC */
	struct vmcb *vmcb;
	struct vmcb *wait_vmcb;
	void *host_save;
	u64 r[16];	  /* RAX and RSP as of the last exit */
	u64 cr3_shown;	  /* what the guest wrote, when we had to add the bit to it */
	u64 ghcb_msr;	  /* SNP */
	bool in_guest;	  /* may go by the nested tables as they were before a change */
	bool nmi_is_ours; /* the next NMI is only to make it leave the guest */
	u64 vmsa;	  /* SNP: a physical address in the private half to start from, or 0 */
};
extern struct cpu cpus[MAX_CPUS];

/* main.c */
void cpu_init(struct cpu *cpu);
_Noreturn void cpu_run(struct cpu *cpu);
void cpu_inject(struct cpu *cpu, u64 event);
void cpu_skip(struct cpu *cpu, u64 bytes);
void cpu_wait(struct cpu *cpu);

/* memory.c */
void *memory_alloc(u64 bytes); /* zeroed pages; stops when there are none left */
void memory_reserve(u64 end);  /* what is below, from HV_BASE on, is in use */
void memory_init(u64 firmware);
void memory_poison(void); /* the shared half, before anything is there */
u64 memory_root(bool paging);
void *memory_at(enum side side, u64 address); /* NULL: not RAM or firmware's */
void *memory_guest(u64 gpa);		      /* by the side bit in it */
enum side memory_side(u64 gpa);
bool memory_is_ram(u64 gpa, u64 bytes);
u64 memory_gpa(u64 offset); /* of a byte of RAM, counted without the gap below 4 GiB */
bool memory_present(enum side side, u64 gpa);
void memory_set_present(enum side side, u64 gpa, bool present);

/* walk.c */
bool walk(struct cpu *cpu, u64 linear, u64 *ret_gpa);
/* Calls found() for each range that the upper half of the address space maps. */
void walk_kernel(struct cpu *cpu, void (*found)(u64 gpa, u64 bytes));
size_t walk_read(struct cpu *cpu, u64 linear, void *ret_bytes, size_t n);
size_t walk_code(struct cpu *cpu, u8 *ret_code, size_t n);

/* cpuid.c, msr.c, io.c, cr.c */
struct cpuid cpuid_seen(u32 leaf, u32 subleaf, u64 cr4);
void cpuid_exit(struct cpu *cpu);
void msr_init(struct vmcb *vmcb);
void msr_exit(struct cpu *cpu);
void io_init(struct vmcb *vmcb);
void io_exit(struct cpu *cpu);
u32 io_in(u16 port, u32 size);
void io_out(u16 port, u32 size, u32 value);
void cr_init(struct cpu *cpu);
void cr_exit(struct cpu *cpu);

/* sev.c, snp.c, tdx.c: false when the instruction is not one of theirs */
bool sev_vmmcall(struct cpu *cpu);
bool sev_reports(u64 value);
bool sev_fault(u64 gpa); /* true: go on */
bool snp_vmmcall(struct cpu *cpu);
bool snp_instruction(struct cpu *cpu, const u8 *code);
u64 snp_msr_read(struct cpu *cpu);
void snp_msr_write(struct cpu *cpu, u64 value);
void snp_boot_data(u8 *boot_params);
bool tdx_instruction(struct cpu *cpu, const u8 *code);

/* int3.c */
void int3_exit(struct cpu *cpu);

/* linux.c, smp.c */
struct multiboot;
void linux_load(const struct multiboot *mb);
void linux_enter(struct cpu *cpu);
void smp_init(void);
void smp_start(u32 id, u64 vmsa);
void smp_flush(struct cpu *cpu);
void smp_nmi_exit(struct cpu *cpu);
void smp_load_idt(void);

/* debug.c */
void say(const char *format, ...);
_Noreturn void stop(const char *format, ...);
_Noreturn void stop_guest(struct cpu *cpu, const char *format, ...);
_Noreturn void reset_guest(struct cpu *cpu, const char *format, ...); /* likewise, then a reset */
void say_counters(void);

#endif

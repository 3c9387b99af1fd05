/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How every processor gets here and into 64-bit mode: the first by multiboot, the others out of
 * real mode by the stub that smp.c puts where a start-up IPI sends them. Both end on a stack of
 * their own in main() or smp_main(), interrupts off, memory mapped one to one.
 *
 * Multiboot specification 0.6.96, section 3; AMD APM vol. 2, sections 14.6 (long mode), 15.4 (SVM).
 */
#include "layout.h"

	.section .multiboot, "a"
	.balign	4
	.long	0x1badb002, 2, -(0x1badb002 + 2)

	.text
	.code32
	.globl	start
start:
	mov	%ebx, %ebp
	jmp	to_64_bit

/* Runs at any page below 1 MiB, from a copy: nothing here may depend on where it is. */
	.code16
	.globl	smp_stub, smp_stub_end
smp_stub:
	cli
	mov	%cs, %bp
	lgdtl	%cs:(stub_gdtr - smp_stub)
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$0x18, $smp_start
stub_gdtr:
	.word	gdt_end - gdt - 1
	.long	gdt
smp_stub_end:

	.code32
smp_start:
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %ss
	movzwl	%bp, %ebp
	shr	$8, %ebp

/* EBP: what main() or smp_main() is told. No stack is needed up to 64-bit mode. */
to_64_bit:
	lgdtl	gdtr
	mov	%cr4, %eax
	or	$0x20, %eax		/* PAE */
	mov	%eax, %cr4
	mov	$hv_pml4, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx	/* EFER: SVME, NXE, LME */
	rdmsr
	or	$0x1900, %eax
	wrmsr
	mov	$0x80000011, %eax	/* PG, ET, PE: not NW and CD of a fresh processor */
	mov	%eax, %cr0
	ljmpl	$0x08, $in_64_bit

	.code64
in_64_bit:
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$1, %eax
	cpuid
	shr	$24, %ebx		/* APIC id */
	cmp	$MAX_CPUS, %ebx
	jae	nobody
	lea	1(%rbx), %eax
	imul	$STACK_SIZE, %eax
	lea	stacks(%rip), %rsp
	add	%rax, %rsp
	mov	%ebp, %edi
	mov	%ebx, %esi
	xor	%ebp, %ebp
	cmpb	$0, started(%rip)
	jne	1f
	movb	$1, started(%rip)
	call	main
1:	call	smp_main
nobody:
	hlt
	jmp	nobody

	.data
	.balign	4096
hv_pml4:
	.quad	hv_pdpt + 3
	.fill	511, 8, 0
hv_pdpt:
	.set	i, 0
	.rept	512
	.quad	(i << 30) + 0x83	/* a page of 1 GiB, writable */
	.set	i, i + 1
	.endr
gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* 08: 64-bit code */
	.quad	0x00cf93000000ffff	/* 10: data */
	.quad	0x00cf9b000000ffff	/* 18: 32-bit code */
gdt_end:
gdtr:
	.word	gdt_end - gdt - 1
	.long	gdt
started:
	.byte	0

	.bss
	.balign	4096
stacks:
	.fill	MAX_CPUS * STACK_SIZE

	.section .note.GNU-stack, "", @progbits

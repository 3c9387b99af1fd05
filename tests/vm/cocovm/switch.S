/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Into the guest and back. RAX, RSP, RFLAGS and RIP change hands in the VMCB; the other general
 * registers here; all else (FPU, FS, GS, TR, debug and system call registers) is simply the guest's,
 * as the hypervisor uses none of it. VMRUN sets the global interrupt flag and an exit clears it, so
 * interrupts are taken by the guest only.
 *
 * AMD APM vol. 2, section 15.5.1.
 */
	.text
/* void switch_to_guest(u64 r[16], u64 vmcb); r is in the order of the instruction encoding */
	.globl	switch_to_guest
switch_to_guest:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi
	mov	%rsi, %rax
	mov	0x08(%rdi), %rcx
	mov	0x10(%rdi), %rdx
	mov	0x18(%rdi), %rbx
	mov	0x28(%rdi), %rbp
	mov	0x30(%rdi), %rsi
	mov	0x40(%rdi), %r8
	mov	0x48(%rdi), %r9
	mov	0x50(%rdi), %r10
	mov	0x58(%rdi), %r11
	mov	0x60(%rdi), %r12
	mov	0x68(%rdi), %r13
	mov	0x70(%rdi), %r14
	mov	0x78(%rdi), %r15
	mov	0x38(%rdi), %rdi
	vmrun	%rax
	xchg	%rdi, (%rsp)
	mov	%rcx, 0x08(%rdi)
	mov	%rdx, 0x10(%rdi)
	mov	%rbx, 0x18(%rdi)
	mov	%rbp, 0x28(%rdi)
	mov	%rsi, 0x30(%rdi)
	mov	%r8, 0x40(%rdi)
	mov	%r9, 0x48(%rdi)
	mov	%r10, 0x50(%rdi)
	mov	%r11, 0x58(%rdi)
	mov	%r12, 0x60(%rdi)
	mov	%r13, 0x68(%rdi)
	mov	%r14, 0x70(%rdi)
	mov	%r15, 0x78(%rdi)
	pop	0x38(%rdi)
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

/* What a processor runs, as a guest that an interrupt ends, while its guest waits for one. */
	.globl	wait_for_interrupt
wait_for_interrupt:
	hlt
	jmp	wait_for_interrupt

/* All that the hypervisor does with an NMI is to take it, where smp_nmi_exit() waits for it. */
	.globl	smp_nmi
smp_nmi:
	mov	$1, %eax
	iretq

	.section .note.GNU-stack, "", @progbits

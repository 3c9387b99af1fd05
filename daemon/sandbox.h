/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The seccomp filter: an allow-list of the calls that the daemon needs once everything is open. Any
 * other call fails with EPERM, which the kernel's audit log shows (type 1326). A call that can only
 * be an attack kills the process, which systemd reports, too (SIGSYS).
 */
#pragma once

/* Loads the filter for all threads. To be called once. Returns 0 or a negative errno. */
int sandbox_enter(void);

/* Gives up CAP_SYS_PTRACE; from now on only the helper has it. Returns 0 or a negative errno. */
int sandbox_drop_rights(void);

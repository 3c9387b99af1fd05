/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The seccomp filter: an allow-list of what the daemon does once everything is open. Anything else
 * fails with EPERM, which the kernel's audit log shows (type 1326); what can only be an attack
 * kills the process, which systemd reports, too (SIGSYS).
 */
#pragma once

/* Loads the filter, for all threads. Once. 0 or a negative errno. */
int sandbox_enter(void);

/* Gives up CAP_SYS_PTRACE, which from now on the helper has alone. 0 or a negative errno. */
int sandbox_drop_rights(void);

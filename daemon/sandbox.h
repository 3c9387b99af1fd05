/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The seccomp filter: an allow-list of what the daemon does once everything is open. Anything else
 * kills the process, which the kernel's audit log shows (type 1326) and systemd reports (SIGSYS).
 */
#pragma once

/* Loads the name-service modules now, then the filter, for all threads. Once. 0 or a negative
 * errno. */
int sandbox_enter(void);

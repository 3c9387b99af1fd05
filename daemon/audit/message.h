/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One event as a journal message.
 */
#pragma once

#include "audit/copy.h"
#include "audit/lost.h"

/* Sends one entry; blocks as long as journald does. Errors are ignored: the trail has the
 * record. */
void audit_message_send(const struct audit_copy *copy);

/* Sends an entry that says how many were not sent, and whose they are. */
void audit_message_dropped(const struct audit_lost *dropped);

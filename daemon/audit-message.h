/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One event as a journal message.
 */
#pragma once

#include <stdint.h>

#include "audit-copy.h"

/* Sends one entry; blocks as long as journald does. An error is nobody's to handle: the trail has
 * the record. */
void audit_message_send(const struct audit_copy *copy);

/* Says that so many entries were not sent. */
void audit_message_dropped(uint64_t dropped);

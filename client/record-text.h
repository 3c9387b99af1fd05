/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Audit records for people.
 */
#pragma once

#include <json-c/json.h>

/* A record as one line, not yet escaped. The caller frees it. */
char *record_text(struct json_object *record);

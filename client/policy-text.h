/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The effective policy for people.
 */
#pragma once

#include <json-c/json.h>

/* Prints an object of policy_files_show() as tables. */
void policy_text_say(struct json_object *shown);

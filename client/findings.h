/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The findings of `ccbuf-client doctor`: each has a status and says what to do.
 */
#pragma once

#include <stddef.h>
#include <json-c/json.h>

#include "daemon-user.h"
#include "util.h"

enum status { STATUS_OK, STATUS_WARNING, STATUS_PROBLEM };

struct findings {
	struct json_object *list; /* of objects: status, topic, text, advice */
	size_t warnings, problems;
};

/* The places that doctor examines; tests use others. */
struct places {
	const struct daemon_user *user; /* checks are made for this user; NULL for the caller */
	const char *heaps;
	const char *sys, *modules; /* /sys and /lib/modules */
	char *const *policy;	   /* paths; none for the default folders */
	size_t n_policy;
	const char *root; /* prefix of the configuration folders; NULL for none */
};

/* Adds a finding. advice is NULL where there is nothing to do. The text is formatted. */
void found(struct findings *findings, enum status status, const char *topic, const char *advice,
	const char *format, ...) printf_like(5, 6);

/* Prints the findings: one line each, or as one object. */
void findings_say(const struct findings *findings, bool json);

/* The examinations, in their order. */
void examine_platform(struct findings *findings);
void examine_kernel(struct findings *findings);
void examine_module(struct findings *findings, const struct places *places);
void examine_heaps(struct findings *findings, const struct places *places);
void examine_policy(struct findings *findings, const struct places *places);
void examine_site(struct findings *findings, const struct places *places);
void examine_daemon(struct findings *findings, const struct places *places);

/* Report if anybody but root and the daemon's user could replace a folder, or change its
 * contents. */
void examine_way(struct findings *findings, const struct places *places, const char *path,
	const char *topic);
void examine_folder(struct findings *findings, const struct places *places, const char *path,
	const char *topic);
/* What to do about a node whose owner or mode is not that of ccbuf's device rule; names other
 * configuration that sets it. The caller frees the text. */
char *site_repair(const struct places *places, const char *node);

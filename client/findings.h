/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What `ccbuf-client doctor` finds: a list of findings, each with a status and what to do.
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

/* Where doctor looks; tests name other places. */
struct places {
	const struct daemon_user *user; /* for whom it looks; NULL: for whoever runs it */
	const char *heaps;
	const char *sys, *modules; /* /sys and /lib/modules */
	char *const *policy;	   /* paths; none for the default folders */
	size_t n_policy;
	const char *root; /* before the folders of configuration; NULL */
};

/* Adds a finding. advice is NULL where there is nothing to do. The text is formatted. */
void found(struct findings *findings, enum status status, const char *topic, const char *advice,
	const char *format, ...) printf_like(5, 6);

/* Prints them: a line each, or as one object. */
void findings_say(const struct findings *findings, bool json);

/* The kinds of examination, in the order in which they are made. */
void examine_platform(struct findings *findings);
void examine_kernel(struct findings *findings);
void examine_module(struct findings *findings, const struct places *places);
void examine_heaps(struct findings *findings, const struct places *places);
void examine_policy(struct findings *findings, const struct places *places);
void examine_site(struct findings *findings, const struct places *places);
void examine_daemon(struct findings *findings, const struct places *places);

/* Tell if others than root and the daemon's user could put another folder in the place of one;
 * could change what is in it. */
void examine_way(struct findings *findings, const struct places *places, const char *path,
	const char *topic);
void examine_folder(struct findings *findings, const struct places *places, const char *path,
	const char *topic);
/* What to do about a node whose owner or mode is not what ccbuf's device rule makes it, with what
 * else sets it here. The caller frees it. */
char *site_repair(const struct places *places, const char *node);

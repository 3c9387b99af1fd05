/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of the audit trail share: a folder that goes away, the files in it, an event, the
 * verification of a chain as an auditor does it.
 */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>

#include "audit/audit.h"
#include "chain.h"
#include "runner.h"
#include "util.h"

static char folder[64], path[128];

static inline int remove_entry(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(name);
}

static inline void folder_new(void)
{
	copy_string(folder, sizeof(folder), "/tmp/ccbuf-audit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/audit.jsonl", folder);
}

static inline void folder_free(void)
{
	nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* As if no daemon had been there before. */
static inline void forget_state(void)
{
	char name[128];

	snprintf(name, sizeof(name), "%s/.audit.jsonl.state", folder);
	unlink(name);
}

/* The file's bytes, terminated; NULL when it is not there. */
static inline char *file_read(const char *name, size_t *ret_size)
{
	FILE *file = fopen(name, "re");
	char *text = NULL;
	size_t size = 0;
	ssize_t n;

	if (!file)
		return NULL;
	n = getdelim(&text, &size, -1, file);
	if (n < 0) {
		free(text);
		text = strdup("");
		n = 0;
	}
	fclose(file);
	if (ret_size)
		*ret_size = (size_t)n;
	return text;
}

static inline void file_write(const char *name, const char *text, size_t size)
{
	FILE *file = fopen(name, "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(text, 1, size, file), size);
	ck_assert_int_eq(fclose(file), 0);
}

/* Checks every line of a file as the next of the chain. Returns the records. */
static inline size_t file_verify(const char *name, struct chain *chain)
{
	size_t size, n = 0;
	char *text = file_read(name, &size), *line = text;

	ck_assert_msg(text, "%s", name);
	while (line < text + size) {
		char *end = memchr(line, '\n', (size_t)(text + size - line));
		struct json_object *object;
		int r;

		ck_assert_msg(end, "%s: no newline at the end: %s", name, line);
		r = chain_check(chain, line, (size_t)(end - line));
		ck_assert_msg(r == 0, "%s: record %zu: %s: %s", name, n, strerror(-r), line);
		*end = 0;
		object = json_tokener_parse(line);
		ck_assert_msg(object, "%s", line);
		json_object_put(object);
		line = end + 1;
		n++;
	}
	free(text);
	return n;
}

/* The lines of a file that contain a text. */
static inline size_t file_count(const char *name, const char *part)
{
	char *text = file_read(name, NULL), *save, *line;
	size_t n = 0;

	if (!text)
		return 0;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		n += strstr(line, part) != NULL;
	free(text);
	return n;
}

/* Entries of the folder whose name begins so. */
static inline size_t folder_count(const char *prefix)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	size_t n = 0;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir)))
		n += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
	closedir(dir);
	return n;
}

static inline size_t fd_count(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static gid_t sample_groups[] = { 27, 1000 };
static char sample_exe[] = "/usr/bin/ib_write_bw", sample_unit[] = "mpi@3.service",
	    sample_slice[] = "system.slice", sample_cgroup[] = "/system.slice/mpi@3.service",
	    sample_label[] = "unconfined";
static struct identity sample_peer = {
	.pid = 4711,
	.start_time = 123456,
	.uid = 1000,
	.gid = 1000,
	.groups = sample_groups,
	.n_groups = 2,
	.exe = sample_exe,
	.unit = sample_unit,
	.slice = sample_slice,
	.cgroup = sample_cgroup,
	.lsm = sample_label,
	.strong = true,
};
static struct request sample_request = {
	.use = "rdma",
	.label = "ring 1",
	.size = 65536,
	.count = 1,
	.accept_shared = true,
};
static const struct audit_buffer sample_buffer = { .grant = 17, .inode = 4242 };
static const char sample_digest[] =
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static inline struct audit_event sample_grant(void)
{
	return (struct audit_event){
		.kind = AUDIT_GRANT,
		.peer = &sample_peer,
		.request = &sample_request,
		.heap = "system_cc_shared",
		.exposure = EXPOSURE_SHARED,
		.size = 65536,
		.buffers = &sample_buffer,
		.n_buffers = 1,
		.rule = "mpi",
		.verdict = CCBUF_GRANTED,
		.policy = sample_digest,
	};
}

static inline struct audit_event sample_denial(void)
{
	return (struct audit_event){
		.kind = AUDIT_DENY,
		.peer = &sample_peer,
		.request = &sample_request,
		.rule = "guests",
		.verdict = CCBUF_DENIED,
		.reason = "guests get no shared memory",
		.policy = sample_digest,
	};
}

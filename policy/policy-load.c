/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Policy files from folders: which ones count, in which order, and whether their owner is trusted.
 * It checks what it has opened, not a name. It must never use a file that anybody but its owner
 * could have written.
 */
#include "policy-load.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "config.h"
#include "lease.h"
#include "policy-internal.h"
#include "way.h"

/* Less than a load may take for one file. */
#define LEASE_PATIENCE 8000

const char *const policy_default_dirs[] = {
	CCBUF_SYSCONFDIR "/ccbufd/policy.d",
	"/run/ccbufd/policy.d",
	CCBUF_PRIVLIBDIR "/ccbufd/policy.d",
	NULL,
};

/* A file that counts, or one that only masks others of its name. */
struct file {
	char *name, *path, *text;
	size_t size;
	bool mask;
};

struct load {
	struct file *files;
	size_t count, capacity;
	size_t layer;				 /* files before this one came from earlier paths */
	uid_t trusted;				 /* besides root */
	bool any_owner;				 /* for files that are not in place yet */
	const struct policy_load_events *events; /* NULL for none */
	struct unmapped unmapped;
	struct policy_report report;
	bool incomplete; /* a file could not be used */
};

static void cleanup_load(struct load *load)
{
	for (size_t i = 0; i < load->count; i++) {
		free(load->files[i].name);
		free(load->files[i].path);
		free(load->files[i].text);
	}
	free(load->files);
	policy_errors_report_done(&load->report);
}

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#define mistake(load, path, ...)                                                                   \
	do {                                                                                       \
		(load)->incomplete = true;                                                         \
		policy_errors_file(&(load)->report, path, __VA_ARGS__);                            \
	} while (0)

static void opening(const struct load *load, const char *path)
{
	if (load->events)
		load->events->opening(load->events->userdata, path);
}

static const char *remedy(enum way_trust trust)
{
	return trust == WAY_GROUP || trust == WAY_OTHERS
		       ? "only its owner may (chmod go-w)"
		       : "a policy must belong to root (chown root)";
}

static bool check_owner(struct load *load, const char *path, const struct stat *st)
{
	enum way_trust trust = way_judge(st, load->trusted, &load->unmapped);
	char words[WAY_WORDS_MAX];

	if (load->any_owner || trust == WAY_TRUSTED)
		return true;
	mistake(load, path, "%s; %s", way_words(words, st, load->trusted, &load->unmapped),
		remedy(trust));
	return false;
}

/* Opens a folder. Whoever can change a folder above it, or a link on the way, could replace the
 * policy. Returns -1 when it does not exist, or after a mistake. */
static int open_dir(struct load *load, const char *path, bool *ret_there)
{
	cleanup(cleanup_free) char *at = NULL;
	cleanup(cleanup_fd) int fd = -1;
	char words[WAY_WORDS_MAX];
	struct way_end end = { 0 };
	int opened, r;

	if (load->any_owner)
		r = (fd = open(path, O_PATH | O_CLOEXEC)) < 0 ? -errno : 0;
	else
		r = way_open(path, load->trusted, &load->unmapped, &fd, &end);
	at = end.path;
	if (r == -ENOMEM) {
		load->report.failed = true;
		return -1;
	}
	if (r > 0)
		mistake(load, path, "the way to it leads through %s, which %s; %s", at,
			way_words(words, &end.st, load->trusted, &load->unmapped),
			remedy(way_judge(&end.st, load->trusted, &load->unmapped)));
	*ret_there = r != -ENOENT;
	/* A missing folder is not a mistake, but a link to a missing folder is. */
	if (r < 0 && (r != -ENOENT || (at && strncmp(path, at, strlen(at)) != 0)))
		mistake(load, path, "cannot be opened: %s%s%s", at && !streq(at, path) ? at : "",
			at && !streq(at, path) ? ": " : "", strerror(-r));
	if (r != 0)
		return -1;
	opened = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (opened < 0)
		mistake(load, path, "cannot be opened: %s", strerror(errno));
	return opened;
}

/* Adds a file to the list; takes the text. */
static void add_file(
	struct load *load, const char *name, const char *path, char **text, size_t size, bool mask)
{
	struct file file = {
		.name = strdup(name),
		.path = strdup(path),
		.text = steal_pointer(text),
		.size = size,
		.mask = mask,
	};
	void *files = load->files;

	if (!file.name || !file.path ||
		!policy_pool_grow(&files, load->count, &load->capacity, sizeof(file))) {
		free(file.name);
		free(file.path);
		free(file.text);
		load->report.failed = true;
		return;
	}
	load->files = files;
	load->files[load->count++] = file;
}

/* Reads the whole of an open file, or adds a mistake. */
static char *read_all(struct load *load, const char *path, int fd, size_t *ret_size)
{
	cleanup(cleanup_free) char *text = NULL;
	size_t size = 0, capacity = 0;
	ssize_t n;

	do {
		if (size == capacity) {
			char *grown = realloc(text, capacity ? capacity * 2 : 4096);

			if (!grown) {
				load->report.failed = true;
				return NULL;
			}
			text = grown;
			capacity = capacity ? capacity * 2 : 4096;
		}
		n = read(fd, text + size, capacity - size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			mistake(load, path, "cannot be read: %s", strerror(errno));
			return NULL;
		}
		size += (size_t)n;
	} while (n != 0 && size <= POLICY_FILE_MAX);
	*ret_size = size;
	return steal_pointer(&text);
}

/* A symbolic link: one to /dev/null masks, any other is a mistake. */
static void load_link(struct load *load, int dir, const char *name, const char *path)
{
	char target[sizeof("/dev/null") + 1];
	char *none = NULL;
	struct stat st;
	ssize_t n = readlinkat(dir, name, target, sizeof(target));

	if (n < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		mistake(load, path, "cannot be read: %s", strerror(errno));
		return;
	}
	if ((size_t)n != strlen("/dev/null") || memcmp(target, "/dev/null", (size_t)n)) {
		mistake(load, path,
			"is a symbolic link; put the file itself here (only a link to /dev/null, "
			"which masks, is followed)");
		return;
	}
	if (check_owner(load, path, &st))
		add_file(load, name, path, &none, 0, true);
}

static void load_file(struct load *load, int dir, const char *name, const char *path, int flags)
{
	cleanup(cleanup_fd) int fd = -1;
	cleanup(cleanup_free) char *text = NULL;
	char words[LEASE_WORDS_MAX];
	struct stat st;
	size_t size;

	opening(load, path);
	fd = lease_openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | flags, 0, LEASE_PATIENCE);
	if (fd == -ELOOP && (flags & O_NOFOLLOW)) {
		load_link(load, dir, name, path);
		return;
	}
	if (fd < 0 || fstat(fd, &st) < 0) {
		mistake(load, path, "cannot be opened: %s",
			fd == -EAGAIN && lease_words(dir, name, words)
				? words
				: strerror(fd < 0 ? -fd : errno));
		return;
	}
	if (!S_ISREG(st.st_mode)) {
		mistake(load, path, "is not a regular file; remove it or rename it");
		return;
	}
	if (!check_owner(load, path, &st))
		return;
	text = read_all(load, path, fd, &size);
	if (!text)
		return;
	/* An editor may leave a file empty for a moment: its rules must not vanish. */
	if (size == 0)
		mistake(load, path,
			"is empty; to mask the file of that name in a later folder, make it a link "
			"to "
			"/dev/null");
	add_file(load, name, path, &text, size, size == 0);
}

bool policy_load_name(const char *name)
{
	size_t length = strlen(name);

	return name[0] != '.' && length > strlen(".json") &&
	       streq(name + length - strlen(".json"), ".json");
}

static bool is_masked(const struct load *load, size_t layered, const char *name)
{
	for (size_t i = load->layer; i < layered; i++)
		if (streq(load->files[i].name, name))
			return true;
	return false;
}

static void load_dir(struct load *load, const char *path)
{
	cleanup(cleanup_dir) DIR *dir = NULL;
	cleanup(cleanup_fd) int fd = -1;
	size_t layered = load->count;
	struct dirent *entry;
	struct stat st;
	bool there = false;

	opening(load, path);
	fd = open_dir(load, path, &there);
	if (load->events)
		load->events->folder(load->events->userdata, path, there);
	if (fd < 0)
		return;
	if (fstat(fd, &st) < 0) {
		mistake(load, path, "cannot be opened: %s", strerror(errno));
		return;
	}
	if (!check_owner(load, path, &st))
		return;
	dir = fdopendir(fd);
	if (!dir) {
		load->report.failed = true;
		return;
	}
	fd = -1;
	while (errno = 0, (entry = readdir(dir))) {
		cleanup(cleanup_free) char *full = NULL;

		if (!policy_load_name(entry->d_name) || is_masked(load, layered, entry->d_name))
			continue;
		if (asprintf(&full, "%s/%s", path, entry->d_name) < 0) {
			full = NULL;
			load->report.failed = true;
			return;
		}
		load_file(load, dirfd(dir), entry->d_name, full, O_NOFOLLOW);
	}
	if (errno)
		mistake(load, path, "cannot be listed: %s", strerror(errno));
}

static int compare_files(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

/* Sorts the files of the folders loaded since the layer began by name. */
static void sort_layer(struct load *load)
{
	if (load->count > load->layer)
		qsort(load->files + load->layer, load->count - load->layer, sizeof(*load->files),
			compare_files);
	load->layer = load->count;
}

static int compile(struct load *load, struct policy_errors *ret_errors, struct policy **ret_policy)
{
	cleanup(cleanup_free) struct policy_source *sources = NULL;
	struct policy_env env = load->events ? load->events->env : policy_system_env();
	struct policy *policy = NULL;
	size_t n = 0;
	int r;

	sources = calloc(load->count + 1, sizeof(*sources));
	if (!sources)
		return -ENOMEM;
	for (size_t i = 0; i < load->count; i++)
		if (!load->files[i].mask)
			sources[n++] = (struct policy_source){
				.path = load->files[i].path,
				.text = load->files[i].text,
				.size = load->files[i].size,
			};
	r = policy_new_report(sources, n, &env, &load->report, !load->incomplete, &policy);
	if (r >= 0)
		r = policy_errors_finish(&load->report, ret_errors);
	if (r < 0) {
		policy_unref(policy);
		return r;
	}
	for (size_t i = 0; load->events && i < n; i++)
		load->events->source(load->events->userdata, &sources[i]);
	*ret_policy = policy;
	return 0;
}

int policy_load(const char *const *dirs, uid_t trusted_uid, struct policy_errors *ret_errors,
	struct policy **ret_policy)
{
	return policy_load_telling(dirs, trusted_uid, NULL, ret_errors, ret_policy);
}

int policy_load_telling(const char *const *dirs, uid_t trusted_uid,
	const struct policy_load_events *events, struct policy_errors *ret_errors,
	struct policy **ret_policy)
{
	cleanup(cleanup_load) struct load load = { .trusted = trusted_uid, .events = events };

	unmapped_detect(&load.unmapped);
	for (; *dirs; dirs++)
		load_dir(&load, *dirs);
	sort_layer(&load);
	return compile(&load, ret_errors, ret_policy);
}

int policy_load_paths(const char *const *paths, size_t n_paths, struct policy_errors *ret_errors,
	struct policy **ret_policy)
{
	cleanup(cleanup_load) struct load load = { .any_owner = true };

	for (size_t i = 0; i < n_paths; i++) {
		struct stat st;

		if (stat(paths[i], &st) < 0) {
			mistake(&load, paths[i], "cannot be opened: %s", strerror(errno));
			continue;
		}
		if (S_ISDIR(st.st_mode)) {
			load_dir(&load, paths[i]);
			continue;
		}
		sort_layer(&load);
		load_file(&load, AT_FDCWD, paths[i], paths[i], 0);
		load.layer = load.count;
	}
	sort_layer(&load);
	return compile(&load, ret_errors, ret_policy);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Policy files as the client reads them. policy/ parses the language.
 */
#include "policy-files.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "output.h"
#include "policy-load.h"
#include "way.h"

static void cleanup_policy(struct policy **policy)
{
	policy_unref(*policy);
}

static void cleanup_errors(struct policy_errors *errors)
{
	policy_errors_done(errors);
}

static int show(const struct policy *policy, struct json_object **ret_shown)
{
	cleanup(cleanup_free) char *text = policy_show(policy);
	struct json_object *shown = text ? json_tokener_parse(text) : NULL;

	if (!shown)
		return -ENOMEM;
	*ret_shown = shown;
	return 0;
}

int policy_files_show(const char *const paths[], size_t n_paths, struct policy_errors *ret_errors,
	struct json_object **ret_shown)
{
	cleanup(cleanup_policy) struct policy *policy = NULL;
	int r;

	r = n_paths ? policy_load_paths(paths, n_paths, ret_errors, &policy)
		    : policy_load(policy_default_dirs, 0, ret_errors, &policy);
	return r < 0 ? r : show(policy, ret_shown);
}

/* --- lists of lines --- */

static void add_line(struct json_object *list, const char *format, ...) printf_like(2, 3);
static void add_line(struct json_object *list, const char *format, ...)
{
	cleanup(cleanup_free) char *line = NULL;
	va_list arguments;

	va_start(arguments, format);
	line = format_text(format, arguments);
	va_end(arguments);
	json_object_array_add(list, json_object_new_string(line));
}

static void add_errors(struct json_object *list, struct policy_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		add_line(list, "%s", errors->lines[i]);
	policy_errors_done(errors);
}

/* --- programs that no process can have --- */

static void look_at_exe(struct json_object *warnings, const char *rule, const char *exe)
{
	cleanup(cleanup_free) char *real = NULL;
	struct stat st;

	if (exe[strcspn(exe, "*?[")])
		return;
	real = realpath(exe, NULL);
	if (!real && (errno == ENOENT || errno == ENOTDIR))
		add_line(warnings,
			"rule \"%s\": exe %s does not exist here: the rule matches nobody", rule,
			shown_name(exe));
	else if (real && (stat(real, &st) < 0 || !S_ISREG(st.st_mode)))
		add_line(warnings,
			"rule \"%s\": exe %s is no file: the rule matches nobody; write \"/*\" "
			"after a folder for the programs in it",
			rule, shown_name(exe));
	else if (real && !(st.st_mode & 0111))
		add_line(warnings, "rule \"%s\": exe %s is not executable: the rule matches nobody",
			rule, shown_name(exe));
	else if (!real)
		add_line(warnings,
			"rule \"%s\": exe %s cannot be reached (%s): to ccbufd nobody runs it",
			rule, shown_name(exe), strerror(errno));
	else if (!streq(real, exe))
		add_line(warnings,
			"rule \"%s\": exe %s is reached by a symbolic link: the rule matches "
			"nobody, as "
			"the program is known as %s, whatever name it was started by",
			rule, shown_name(exe), shown_name(real));
}

static void look_at_match(struct json_object *warnings, const char *rule, struct json_object *match)
{
	struct json_object *list, *inner;

	if (json_object_object_get_ex(match, "exe", &list))
		for (size_t i = 0; i < json_object_array_length(list); i++)
			look_at_exe(warnings, rule,
				json_object_get_string(json_object_array_get_idx(list, i)));
	if (json_object_object_get_ex(match, "not", &inner))
		look_at_match(warnings, rule, inner);
}

static void look_at_programs(struct json_object *warnings, struct json_object *shown)
{
	struct json_object *rules = json_object_object_get(shown, "rules");

	for (size_t i = 0; i < json_object_array_length(rules); i++) {
		struct json_object *rule = json_object_array_get_idx(rules, i);

		look_at_match(
			warnings, member_text(rule, "name"), json_object_object_get(rule, "match"));
	}
}

/* --- all of it --- */

struct examination {
	const char *const *paths; /* NULL-terminated; the default folders where in_place */
	size_t n_paths;
	bool in_place; /* as the daemon reads them */
	struct policy_facts facts;
};

static struct json_object *examine(void *userdata)
{
	const struct examination *examination = userdata;
	struct json_object *object = json_object_new_object(), *shown = NULL;
	struct json_object *mistakes = json_object_new_array(), *warnings = json_object_new_array();
	cleanup(cleanup_policy) struct policy *policy = NULL;
	cleanup(cleanup_errors) struct policy_errors errors = { 0 };
	bool defaults = examination->paths == policy_default_dirs;
	int r;

	json_object_object_add(object, "mistakes", mistakes);
	json_object_object_add(object, "warnings", warnings);
	r = examination->in_place
		    ? policy_load(examination->paths, 0, &errors, &policy)
		    : policy_load_paths(examination->paths, examination->n_paths, &errors, &policy);
	add_errors(mistakes, &errors);
	if (r < 0 && r != -EINVAL)
		add_line(mistakes, "the policy cannot be read: %s", strerror(-r));
	if (policy_leftovers(defaults ? NULL : examination->paths,
		    defaults ? 0 : examination->n_paths, &errors) >= 0)
		add_errors(warnings, &errors);
	if (!policy)
		return object;
	if (policy_remarks(policy, &errors) >= 0)
		add_errors(warnings, &errors);
	if (policy_unknowable(policy, &examination->facts, false, &errors) >= 0)
		add_errors(warnings, &errors);
	if (show(policy, &shown) < 0)
		abort();
	json_object_object_add(object, "shown", shown);
	return object;
}

/* Programs are examined as the daemon's user, wherever the policy was read. */
static struct json_object *examine_programs(void *userdata)
{
	struct json_object *warnings = json_object_new_array();

	look_at_programs(warnings, userdata);
	return warnings;
}

/* --- paths that are named, by the daemon's user --- */

struct place {
	const char *path;
	bool in_place; /* in a folder that ccbufd reads */
};

static bool try_access(struct json_object *lines, const char *path, int mode)
{
	if (faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0)
		return true;
	add_line(lines, "%s cannot be read: %s", shown_name(path), strerror(errno));
	return false;
}

static int is_policy(const struct dirent *entry)
{
	const char *end = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && end && streq(end, ".json");
}

static void try_folder(struct json_object *lines, const char *path)
{
	struct dirent **entries = NULL;
	int n;

	if (!try_access(lines, path, R_OK | X_OK))
		return;
	n = scandir(path, &entries, is_policy, alphasort);
	for (int i = 0; i < n; i++) {
		cleanup(cleanup_free) char *file = NULL;

		if (asprintf(&file, "%s/%s", path, entries[i]->d_name) < 0)
			abort();
		try_access(lines, file, R_OK);
		free(entries[i]);
	}
	free(entries);
}

/* Checks the owner as a load of the folder would. */
static void try_owner(struct json_object *lines, const char *path)
{
	cleanup(cleanup_fd) int fd = -1;
	char words[WAY_WORDS_MAX];
	struct unmapped unmapped;
	struct way_end end;
	struct stat st;
	int r;

	unmapped_detect(&unmapped);
	r = way_open(path, 0, &unmapped, &fd, &end);
	if (r > 0)
		add_line(lines, "the way to %s leads through %s, which %s", shown_name(path),
			shown_name(end.path), way_words(words, &end.st, 0, &unmapped));
	else if (r == 0 && fstat(fd, &st) == 0 && way_judge(&st, 0, &unmapped) != WAY_TRUSTED)
		add_line(lines, "%s %s", shown_name(path), way_words(words, &st, 0, &unmapped));
	free(end.path);
}

static struct json_object *examine_place(void *userdata)
{
	const struct place *place = userdata;
	struct json_object *lines = json_object_new_array();
	struct stat st;

	if (place->in_place)
		try_owner(lines, place->path);
	if (stat(place->path, &st) == 0 && S_ISDIR(st.st_mode))
		try_folder(lines, place->path);
	else
		try_access(lines, place->path, R_OK);
	return lines;
}

/* Whether a path is a default folder, or lies in one. */
static bool is_in_place(const char *path, bool *ret_whole)
{
	cleanup(cleanup_free) char *real = realpath(path, NULL);

	*ret_whole = false;
	for (const char *const *dir = policy_default_dirs; *dir; dir++) {
		cleanup(cleanup_free) char *folder = realpath(*dir, NULL);
		const char *at = real ? real : path;
		size_t length = folder ? strlen(folder) : strlen(*dir);

		if (strncmp(at, folder ? folder : *dir, length) != 0)
			continue;
		*ret_whole = !at[length];
		if (!at[length] || at[length] == '/')
			return true;
	}
	return false;
}

static void append(struct json_object *to, struct json_object *list)
{
	for (size_t i = 0; list && i < json_object_array_length(list); i++)
		json_object_array_add(to, json_object_get(json_object_array_get_idx(list, i)));
}

static void examine_places(const struct examination *examination, const struct daemon_user *user,
	struct json_object *object)
{
	for (size_t i = 0; i < examination->n_paths; i++) {
		cleanup(cleanup_json) struct json_object *lines = NULL;
		struct place place = { .path = examination->paths[i] };
		bool whole;

		/* a missing file has been reported */
		if (access(place.path, F_OK) < 0)
			continue;
		place.in_place = is_in_place(place.path, &whole);
		lines = daemon_user_run(user, examine_place, &place);
		append(json_object_object_get(object, place.in_place ? "mistakes" : "warnings"),
			lines);
	}
}

struct json_object *policy_files_examine(
	const char *const paths[], size_t n_paths, const struct daemon_user *user)
{
	struct examination examination = { .paths = paths, .n_paths = n_paths };
	cleanup(cleanup_json) struct json_object *programs = NULL;
	struct json_object *object, *shown;
	bool in_place = true, whole;

	policy_facts_detect(user->pid ? user->pid : -1, &examination.facts);
	for (size_t i = 0; i < n_paths; i++)
		in_place = is_in_place(paths[i], &whole) && whole && in_place;
	examination.in_place = in_place;
	if (!n_paths)
		examination.paths = policy_default_dirs;
	object = in_place ? daemon_user_run(user, examine, &examination) : examine(&examination);
	if (!object)
		return NULL;
	if (!in_place && !user->as_caller)
		examine_places(&examination, user, object);
	if (json_object_object_get_ex(object, "shown", &shown)) {
		programs = daemon_user_run(user, examine_programs, shown);
		append(json_object_object_get(object, "warnings"), programs);
	}
	return object;
}

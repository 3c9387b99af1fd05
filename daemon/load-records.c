/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From records to a policy. It must never trust the lengths or the order of the records.
 */
#include "load-records.h"

#include <stdio.h>

#include "policy-load.h"
#include "text.h"
#include "util.h"

static size_t aligned(size_t size)
{
	return (size + 3) & ~(size_t)3;
}

struct load_record *load_records_next(struct load_records *records)
{
	size_t needed = records->size + aligned(sizeof(uint32_t) + LOAD_PACKET_MAX + 1);
	size_t capacity = records->capacity ? records->capacity : 2 * needed;
	unsigned char *data = records->data;

	while (capacity < needed)
		capacity *= 2;
	if (capacity != records->capacity) {
		data = realloc(data, capacity);
		if (!data)
			return NULL;
		records->data = data;
		records->capacity = capacity;
	}
	return (void *)(data + records->size + sizeof(uint32_t));
}

bool load_records_keep(struct load_records *records, size_t size)
{
	uint32_t number = (uint32_t)size;

	memcpy(records->data + records->size, &number, sizeof(number));
	records->size += aligned(sizeof(number) + size);
	return records->size <= LOAD_RECORDS_MAX;
}

void load_records_done(struct load_records *records)
{
	load_names_done(&records->names);
	free(records->data);
	*records = (struct load_records){ 0 };
}

struct texts {
	struct policy_source *sources;
	size_t count, capacity;
	size_t size; /* allocated for the last text */
	struct policy_errors errors;
	size_t errors_capacity;
};

static void texts_done(struct texts *texts)
{
	for (size_t i = 0; i < texts->count; i++) {
		free((void *)texts->sources[i].path);
		free((void *)texts->sources[i].text);
	}
	free(texts->sources);
	policy_errors_done(&texts->errors);
}

static bool grow(void **array, size_t count, size_t *capacity, size_t element)
{
	size_t wanted = *capacity ? *capacity * 2 : 16;
	void *grown;

	if (count < *capacity)
		return true;
	grown = reallocarray(*array, wanted, element);
	if (!grown)
		return false;
	*array = grown;
	*capacity = wanted;
	return true;
}

static int add_source(struct texts *texts, const char *path, size_t length)
{
	char *copy = strndup(path, length);
	void *sources = texts->sources;

	if (!copy || !grow(&sources, texts->count, &texts->capacity, sizeof(*texts->sources))) {
		free(copy);
		return -ENOMEM;
	}
	texts->sources = sources;
	texts->sources[texts->count++] = (struct policy_source){ .path = copy, .text = NULL };
	texts->size = 0;
	return 0;
}

static int add_text(struct texts *texts, const char *text, size_t length)
{
	struct policy_source *source;
	char *grown;

	if (!texts->count)
		return -EBADMSG;
	source = &texts->sources[texts->count - 1];
	grown = (char *)source->text;
	if (source->size + length > texts->size) {
		texts->size = 2 * (source->size + length);
		grown = realloc(grown, texts->size);
		if (!grown)
			return -ENOMEM;
		source->text = grown;
	}
	memcpy(grown + source->size, text, length);
	source->size += length;
	return 0;
}

static int add_mistake(struct texts *texts, const char *text, size_t length)
{
	cleanup(cleanup_free) char *copy = strndup(text, length);
	char *line = copy ? text_new(copy, TEXT_VISIBLE) : NULL;
	void *lines = texts->errors.lines;

	if (!line || !grow(&lines, texts->errors.count, &texts->errors_capacity, sizeof(line))) {
		free(line);
		return -ENOMEM;
	}
	texts->errors.lines = lines;
	texts->errors.lines[texts->errors.count++] = line;
	return 0;
}

/* Adds a mistake for a folder that has disappeared. Most likely somebody removed it by accident,
 * and its rules may be those that deny. */
static int add_lost_folder(struct texts *texts, const char *path, size_t length)
{
	cleanup(cleanup_free) char *line = NULL;

	if (asprintf(&line,
		    "%.*s: existed when the policy was loaded, and is gone; create it again, empty "
		    "if nothing is to be in it, or restart ccbufd",
		    (int)length, path) < 0)
		return -ENOMEM;
	return add_mistake(texts, line, strlen(line));
}

static int read_records(struct load_records *records, uint32_t required, struct texts *texts)
{
	char name[LOAD_TEXT_MAX + 1] = "";
	enum load_kind asked = 0;
	uint32_t size, folder = 1;
	int r = 0;

	for (size_t at = 0; r >= 0 && at < records->size; at += aligned(sizeof(size) + size)) {
		const struct load_record *record;
		size_t length;

		memcpy(&size, records->data + at, sizeof(size));
		record = (const void *)(records->data + at + sizeof(size));
		length = size - sizeof(*record);
		if (record->kind == LOAD_USER || record->kind == LOAD_GROUP) {
			asked = record->kind;
			memcpy(name, record->text, length);
			name[length] = 0;
		} else if (record->kind == LOAD_ANSWER && asked && record->result <= 0) {
			r = load_names_add(&records->names, asked == LOAD_USER, name,
				record->result, record->id);
		} else if (record->kind == LOAD_FOLDER) {
			if (record->result > 0)
				records->folders |= folder;
			else if (required & folder)
				r = add_lost_folder(texts, record->text, length);
			folder <<= 1;
		} else if (record->kind == LOAD_SOURCE) {
			r = add_source(texts, record->text, length);
		} else if (record->kind == LOAD_TEXT) {
			r = add_text(texts, record->text, length);
		} else if (record->kind == LOAD_MISTAKE) {
			r = add_mistake(texts, record->text, length);
		} else {
			r = -EBADMSG;
		}
	}
	return r;
}

static int find_user(void *userdata, const char *name, uid_t *ret_uid)
{
	return load_names_find(userdata, true, name, ret_uid);
}

static int find_group(void *userdata, const char *name, gid_t *ret_gid)
{
	return load_names_find(userdata, false, name, ret_gid);
}

int load_records_compile(struct load_records *records, uint32_t required, bool failed,
	struct policy_errors *ret_errors, struct policy **ret_policy)
{
	cleanup(texts_done) struct texts texts = { 0 };
	struct policy_env env = policy_system_env();
	int r = read_records(records, required, &texts);

	env.user = find_user;
	env.group = find_group;
	env.userdata = &records->names;
	if (r < 0)
		return r;
	if (texts.errors.count) {
		*ret_errors = texts.errors;
		texts.errors = (struct policy_errors){ 0 };
		return -EINVAL;
	}
	if (failed)
		return -EBADMSG;
	return policy_new(texts.sources, texts.count, &env, ret_errors, ret_policy);
}

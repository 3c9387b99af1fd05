/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The small values of a policy: names, choices, numbers, sizes, rates, lists. Each check says what
 * is wrong, what would be right and where. It guesses no value.
 */
#include <stdio.h>

#include "policy-internal.h"
#include "size.h"

static const char *type_words(enum json_type type)
{
	switch (type) {
	case json_type_null:
		return "null";
	case json_type_boolean:
		return "true or false";
	case json_type_double:
		return "a fraction";
	case json_type_int:
		return "a whole number";
	case json_type_object:
		return "an object { }";
	case json_type_array:
		return "a list [ ]";
	case json_type_string:
		return "a string";
	}
	return "unknown";
}

void policy_value_missing(
	struct policy_parse *parse, const struct policy_place *place, const char *key)
{
	policy_value_mistake(parse, place, "the key \"%s\" is missing; it is required here", key);
}

bool policy_value_type(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, enum json_type type)
{
	if (json_object_is_type(json, type))
		return true;
	policy_value_mistake(parse, place, "is %s, but must be %s",
		type_words(json_object_get_type(json)), type_words(type));
	return false;
}

/* Another kind of object that has the key, for a misplaced key. */
static const char *home_of(const char *key)
{
	for (size_t i = 0; i < POLICY_OBJECTS; i++)
		for (const char *const *k = policy_keys[i].keys; *k; k++)
			if (streq(*k, key))
				return policy_keys[i].name;
	return NULL;
}

static void unknown_key(struct policy_parse *parse, const struct policy_place *place,
	const char *key, const struct policy_keys *keys)
{
	const char *guess = policy_guess(key, keys->keys), *home = home_of(key);
	cleanup(cleanup_free) char *known = NULL;
	size_t size = 0;
	FILE *to;

	if (guess) {
		policy_value_mistake(parse, place, "unknown key; did you mean \"%s\"?", guess);
		return;
	}
	if (home) {
		policy_value_mistake(
			parse, place, "unknown key here; \"%s\" belongs to \"%s\"", key, home);
		return;
	}
	to = open_memstream(&known, &size);
	for (const char *const *k = keys->keys; to && *k; k++)
		fprintf(to, "%s%s", k == keys->keys ? "" : ", ", *k);
	if (!to || fclose(to))
		parse->report->failed = true;
	else
		policy_value_mistake(parse, place, "unknown key; known here are %s", known);
}

bool policy_value_object(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, enum policy_object kind)
{
	const struct policy_keys *keys = &policy_keys[kind];

	if (!policy_value_type(parse, place, json, json_type_object))
		return false;
	json_object_object_foreach(json, key, value)
	{
		struct policy_place at = { .up = place, .key = key };
		const char *const *k = keys->keys;

		(void)value;
		while (*k && !streq(*k, key))
			k++;
		if (!*k)
			unknown_key(parse, &at, key, keys);
	}
	return true;
}

const char *policy_value_string(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, size_t max)
{
	const char *text;
	size_t length;

	if (!policy_value_type(parse, place, json, json_type_string))
		return NULL;
	text = json_object_get_string(json);
	length = (size_t)json_object_get_string_len(json);
	if (!length) {
		policy_value_mistake(parse, place, "is empty; write a value");
		return NULL;
	}
	if (length > max) {
		policy_value_mistake(
			parse, place, "is %zu bytes long, but %zu are the most", length, max);
		return NULL;
	}
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
			policy_value_mistake(
				parse, place, "holds a control character; use printable text");
			return NULL;
		}
	return text;
}

const char *policy_value_name(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, const char *what)
{
	char quoted[POLICY_QUOTE_MAX];
	const char *name;

	if (!policy_value_type(parse, place, json, json_type_string))
		return NULL;
	name = json_object_get_string(json);
	if (strlen(name) == (size_t)json_object_get_string_len(json) && use_name_valid(name))
		return name;
	policy_value_mistake(parse, place,
		"%s is no name for a %s: 1 to %d letters, digits, \".\", \"_\" or \"-\", "
		"not beginning with \".\" or \"-\"",
		policy_errors_quote(quoted, name), what, USE_NAME_MAX);
	return NULL;
}

int policy_value_choice(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, const char *const *names)
{
	char quoted[POLICY_QUOTE_MAX];
	cleanup(cleanup_free) char *known = NULL;
	const char *text;
	size_t size = 0;
	FILE *to;

	text = policy_value_string(parse, place, json, USE_NAME_MAX);
	if (!text)
		return -1;
	for (int i = 0; names[i]; i++)
		if (streq(names[i], text))
			return i;
	to = open_memstream(&known, &size);
	for (const char *const *name = names; to && *name; name++)
		fprintf(to, "%s\"%s\"", name == names ? "" : name[1] ? ", " : " or ", *name);
	if (!to || fclose(to))
		parse->report->failed = true;
	else
		policy_value_mistake(parse, place, "is %s, but must be %s",
			policy_errors_quote(quoted, text), known);
	return -1;
}

bool policy_value_reload(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, enum policy_reload *ret_reload)
{
	static const char *const names[] = { "keep", "revoke", NULL };
	int choice = policy_value_choice(parse, place, json, names);

	if (choice < 0)
		return false;
	*ret_reload = choice ? POLICY_RELOAD_REVOKE : POLICY_RELOAD_KEEP;
	return true;
}

bool policy_value_number(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, uint64_t min, uint64_t max, uint64_t *ret_number)
{
	int64_t number;

	if (!policy_value_type(parse, place, json, json_type_int))
		return false;
	number = json_object_get_int64(json);
	if (number < 0 || (uint64_t)number < min || (uint64_t)number > max) {
		policy_value_mistake(parse, place, "is %s, but must be %ju to %ju",
			json_object_get_string(json), (uintmax_t)min, (uintmax_t)max);
		return false;
	}
	*ret_number = (uint64_t)number;
	return true;
}

size_t policy_value_count(struct json_object *json)
{
	return json_object_is_type(json, json_type_array) ? json_object_array_length(json) : 1;
}

bool policy_value_each(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json,
	bool (*each)(struct policy_parse *parse, const struct policy_place *place,
		struct json_object *json, void *userdata),
	void *userdata)
{
	size_t count = policy_value_count(json);
	bool good = true;

	if (!json_object_is_type(json, json_type_array))
		return each(parse, place, json, userdata);
	if (!count) {
		policy_value_mistake(
			parse, place, "is an empty list, which nothing can match; add a value");
		return false;
	}
	if (count > POLICY_LIST_MAX) {
		policy_value_mistake(parse, place,
			"is a list of %zu values, but %d are the most; write several rules", count,
			POLICY_LIST_MAX);
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		struct policy_place at = { .up = place, .index = i };

		good = each(parse, &at, json_object_array_get_idx(json, i), userdata) && good;
	}
	return good;
}

bool policy_value_heap(
	struct policy_parse *parse, const struct policy_place *place, const char *untrusted_heap)
{
	char quoted[POLICY_QUOTE_MAX];
	size_t length = strlen(untrusted_heap);
	bool good = length >= 1 && length <= POLICY_HEAP_MAX && untrusted_heap[0] != '.' &&
		    untrusted_heap[0] != '-';

	for (size_t i = 0; i < length && good; i++)
		good = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			      "._,@:+-",
			       untrusted_heap[i]) != NULL;
	if (!good)
		policy_value_mistake(parse, place,
			"%s is no name of a heap; write one that stands in /dev/dma_heap, without "
			"the folder, or \"emulated\"",
			policy_errors_quote(quoted, untrusted_heap));
	return good;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The effective policy for people, in tables. It also shows keys that it does not know.
 */
#include "policy-text.h"

#include <stdio.h>

#include "output.h"

static void put_value(FILE *out, struct json_object *value);

/* Writes one value of a list; in quotes if it is a name that looks like a number. */
static void put_item(FILE *out, struct json_object *value)
{
	const char *text = json_object_get_string(value);
	bool digits = json_object_is_type(value, json_type_string) &&
		      text[strspn(text, "0123456789")] == 0;

	fprintf(out, digits ? "\"%s\"" : "%s", text);
}

/* "user hpc, unit mpi@*.service or x.service, not (group guests)" */
static void put_members(FILE *out, struct json_object *object, const char *separator)
{
	bool first = true;

	json_object_object_foreach(object, key, value)
	{
		fprintf(out, "%s%s ", first ? "" : separator, key);
		put_value(out, value);
		first = false;
	}
}

static void put_value(FILE *out, struct json_object *value)
{
	if (json_object_is_type(value, json_type_object)) {
		fputc('(', out);
		put_members(out, value, ", ");
		fputc(')', out);
	} else if (json_object_is_type(value, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(value); i++) {
			fputs(i ? " or " : "", out);
			put_item(out, json_object_array_get_idx(value, i));
		}
	} else {
		fputs(json_object_get_string(value), out);
	}
}

/* Adds the members of an object as one cell; otherwise is the text for an empty or missing
 * object. */
static void add_members(struct json_object *row, struct json_object *object, const char *prefix,
	const char *otherwise)
{
	cleanup(cleanup_free) char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		abort();
	fputs(prefix, out);
	if (object && json_object_object_length(object))
		put_members(out, object, ", ");
	else
		fputs(otherwise, out);
	if (fclose(out))
		abort();
	json_object_array_add(row, json_object_new_string(text));
}

static void add_text(struct json_object *row, const char *text)
{
	json_object_array_add(row, json_object_new_string(text));
}

static struct json_object *add_row(struct json_object *rows)
{
	struct json_object *row = json_object_new_array();

	json_object_array_add(rows, row);
	return row;
}

static void add_setting(struct json_object *rows, const char *name, struct json_object *setting)
{
	struct json_object *row = add_row(rows);

	add_text(row, name);
	add_text(row, member_text(setting, "value"));
	add_text(row, member_text(setting, "from"));
}

static void say_settings(struct json_object *shown)
{
	cleanup(cleanup_json) struct json_object *rows = json_object_new_array();
	static const char *const sections[] = { "limits", "audit" };
	struct json_object *row = add_row(rows);

	add_text(row, "SETTING");
	add_text(row, "VALUE");
	add_text(row, "FROM");
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		struct json_object *section = json_object_object_get(shown, sections[i]);

		json_object_object_foreach(section, key, setting)
		{
			char name[128];

			snprintf(name, sizeof(name), "%s/%s", sections[i], key);
			add_setting(rows, name, setting);
		}
	}
	add_setting(rows, "on-reload", json_object_object_get(shown, "on-reload"));
	say_table(rows);
}

static void say_named(struct json_object *objects, const char *heading)
{
	cleanup(cleanup_json) struct json_object *rows = json_object_new_array();
	struct json_object *row = add_row(rows);

	if (!json_object_object_length(objects))
		return;
	add_text(row, heading);
	add_text(row, "HEAP");
	add_text(row, "EXPOSURE");
	add_text(row, "FROM");
	json_object_object_foreach(objects, name, object)
	{
		row = add_row(rows);
		add_text(row, name);
		add_text(row, member_text(object, "heap"));
		add_text(row, member_text(object, "exposure"));
		add_text(row, member_text(object, "from"));
	}
	say("%s", "");
	say_table(rows);
}

static void say_rule(struct json_object *rule)
{
	cleanup(cleanup_json) struct json_object *row = json_object_new_array();
	struct json_object *allow, *use;

	add_members(row, json_object_object_get(rule, "match"), "match  ", "everybody");
	if (json_object_object_get_ex(rule, "allow", &allow)) {
		add_members(row, allow, "allow  ", "nothing");
	} else {
		cleanup(cleanup_free) char *text = NULL;
		const char *uses = json_object_object_get_ex(rule, "use", &use)
					   ? json_object_get_string(use)
					   : "all uses";

		if (asprintf(&text, "deny   %s: %s", uses, member_text(rule, "deny")) < 0)
			abort();
		add_text(row, text);
	}
	say("  %s  (%s)", member_text(rule, "name"), member_text(rule, "from"));
	for (size_t i = 0; i < json_object_array_length(row); i++)
		say("    %s", json_object_get_string(json_object_array_get_idx(row, i)));
}

void policy_text_say(struct json_object *shown)
{
	struct json_object *rules = json_object_object_get(shown, "rules");

	say("digest %s", member_text(shown, "digest"));
	say("%s", "");
	say_settings(shown);
	say_named(json_object_object_get(shown, "uses"), "USE");
	say_named(json_object_object_get(shown, "heaps"), "DECLARED HEAP");
	say("%s", "");
	if (!json_object_array_length(rules)) {
		say("no rules: every request is refused");
		return;
	}
	say("rules, the first that matches decides:");
	for (size_t i = 0; i < json_object_array_length(rules); i++)
		say_rule(json_object_array_get_idx(rules, i));
}

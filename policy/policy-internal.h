/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shared by the files of the engine and their tests only: the compiled form of a policy and the
 * contracts between its steps. Text goes through policy-text (JSON), policy-parse* (objects to
 * rules) and policy-link (references between names); policy-match and policy-decide use the result.
 */
#pragma once

#include <json-c/json.h>
#include <stddef.h>

#include "policy.h"
#include "util.h"

#define POLICY_DEPTH_MAX   16	/* levels of nesting in a file */
#define POLICY_LIST_MAX	   1024 /* values in one list */
#define POLICY_PATTERN_MAX 1024 /* bytes of a glob, path or label */
#define POLICY_DENY_MAX	   256	/* bytes of a reason, so that it always fits a message */
#define POLICY_HEAP_MAX	   127	/* bytes of a heap's name */
#define POLICY_MISTAKE_MAX 1000 /* lines reported; more are counted */
#define POLICY_NUMBER_MAX  ((UINT64_C(1) << 53) - 1) /* JSON numbers are exact up to here */
#define POLICY_SIZE_MAX	   ((UINT64_C(8) << 60) - 1) /* largest size, as off_t */

/* policy-pool: memory that lives as long as the policy. */

struct policy_pool {
	struct policy_block *blocks;
	bool failed; /* an allocation failed; never reset */
};

/* Zeroed memory of the pool. NULL when out of memory; pool->failed is then set. */
void *policy_pool_alloc(struct policy_pool *pool, size_t count, size_t size);
char *policy_pool_copy(struct policy_pool *pool, const char *text);
void policy_pool_done(struct policy_pool *pool);
/* Makes room for one more element in a malloc'ed array of count elements. False when out of
 * memory. */
bool policy_pool_grow(void **array, size_t count, size_t *capacity, size_t size);

/* policy-errors: mistakes. */

struct policy_report {
	struct policy_errors errors;
	size_t capacity;
	size_t dropped; /* mistakes beyond POLICY_MISTAKE_MAX */
	bool failed;	/* out of memory: the list is not complete */
};

/* A place in a JSON document: a chain from the innermost key or index to the outermost. */
struct policy_place {
	const struct policy_place *up; /* NULL at the outermost */
	const char *key;	       /* NULL in a list */
	size_t index;
};

/* Adds "PATH: /json/path: MESSAGE"; place may be NULL for the whole document. */
void policy_errors_add(struct policy_report *report, const char *path,
	const struct policy_place *place, const char *format, ...) printf_like(4, 5);
/* Adds "PATH:LINE:COLUMN: MESSAGE". */
void policy_errors_syntax(struct policy_report *report, const char *path, size_t line,
	size_t column, const char *format, ...) printf_like(5, 6);
/* Adds "PATH: MESSAGE". */
void policy_errors_file(struct policy_report *report, const char *path, const char *format, ...)
	printf_like(3, 4);
/* Hands over the list, after adding a line about dropped mistakes. Returns 0 when there are none,
 * -EINVAL with the list, or -ENOMEM. ret_errors may be NULL. */
int policy_errors_finish(struct policy_report *report, struct policy_errors *ret_errors);
void policy_errors_report_done(struct policy_report *report);

#define POLICY_QUOTE_MAX 160
/* Text from a policy for a message: in quotes, escaped as text.h says, cut when long. */
const char *policy_errors_quote(char buffer[static POLICY_QUOTE_MAX], const char *untrusted_text);

/* policy-guess: what was meant. */

/* The candidate most similar to the word, NULL when none is similar. Candidates end with NULL. */
const char *policy_guess(const char *untrusted_word, const char *const *candidates);
/* The number of letters to change, leave out, add or swap; at most limit + 1. */
size_t policy_guess_distance(const char *a, const char *b, size_t limit);

/* policy-character: misplaced characters. */

#define POLICY_CHARACTER_MAX 160
/* Whether the first character of a text is valid outside of strings and comments, or in a comment
 * to the end of the line. If not, the reason names it and what to write instead. */
bool policy_character_outside(const char *untrusted_text, char reason[static POLICY_CHARACTER_MAX]);
bool policy_character_in_comment(
	const char *untrusted_text, char reason[static POLICY_CHARACTER_MAX]);
/* The number of bytes of the first character of a text within a string, as written; 0 with the
 * reason when it is not valid there. */
size_t policy_character_in_string(
	const char *untrusted_text, char reason[static POLICY_CHARACTER_MAX]);
/* Whether it looks like a quotation mark but is none; then the reason says so. */
bool policy_character_quote(const char *untrusted_text, char reason[static POLICY_CHARACTER_MAX]);

/* policy-text: text to JSON. */

/* Returns the document, or NULL after adding at least one mistake (or setting report->failed). The
 * caller puts it. For duplicate keys, adds mistakes but returns the document. */
struct json_object *policy_text_parse(
	struct policy_report *report, const char *path, const char *untrusted_text, size_t size);
/* Replaces comments by blanks, in place, so that offsets stay. text[size] is a NUL. Returns true,
 * or false with the offset and the reason of the first mistake. */
bool policy_text_blank(
	char *text, size_t size, size_t *ret_offset, char reason[static POLICY_CHARACTER_MAX]);
/* Line and column (in characters, both from 1) of an offset. Lines end as in editors: LF, CR LF or
 * CR. */
void policy_text_position(
	const char *text, size_t size, size_t offset, size_t *ret_line, size_t *ret_column);

/* The compiled policy. */

enum policy_text_key {
	POLICY_UNIT,
	POLICY_EXE,
	POLICY_LABEL,
	POLICY_CGROUP,
	POLICY_SLICE,
	POLICY_TEXT_KEYS,
};

/* Keys whose values are texts of a process; in policy-keys. */
struct policy_text {
	const char *name;      /* as in a policy */
	size_t offset;	       /* of the member of struct identity */
	enum policy_fact fact; /* the fact that must be known here */
};
extern const struct policy_text policy_texts[POLICY_TEXT_KEYS];

static inline const char *policy_text_of(const struct identity *peer, enum policy_text_key key)
{
	return *(char *const *)((const char *)peer + policy_texts[key].offset);
}

struct policy_pattern {
	const char *text;
	size_t prefix; /* bytes before the first glob character */
	bool glob;
};

struct policy_patterns {
	struct policy_pattern *items;
	size_t count; /* 0: the rule does not have the key */
};

struct policy_id {
	uint32_t id;
	const char *name; /* as written; NULL for a number */
};

struct policy_ids {
	struct policy_id *items; /* sorted by id */
	size_t count;
};

struct policy_match {
	struct policy_patterns texts[POLICY_TEXT_KEYS];
	struct policy_ids users, groups;
	bool container_asked, container;
	unsigned int identities;     /* bit 0 weak, bit 1 strong; 0: no such key */
	unsigned int transports;     /* 1 << enum transport; 0: no such key */
	struct policy_match *except; /* "not" */
	bool empty;		     /* it has no keys */
};

struct policy_use {
	const char *name, *heap, *path;
	enum exposure exposure; /* of the heap, once linked */
	size_t order;		/* the order of reading */
};

struct policy_heap {
	const char *name, *path;
	enum exposure exposure;
	size_t order;
};

struct policy_entry {
	struct policy_rule rule;
	struct policy_match match;
	const char **use_names; /* as written, until linked */
	uint32_t *uses;		/* sorted positions in policy->uses */
	size_t n_uses;
	bool uses_listed; /* "use" was a list; for the place in messages */
	bool all_uses;	  /* a deny rule without "use" */
};

enum policy_setting {
	POLICY_SET_TOTAL,
	POLICY_SET_PER_USER,
	POLICY_SET_EMULATED,
	POLICY_SET_CONNECTIONS,
	POLICY_SET_DURABILITY,
	POLICY_SET_ON_RELOAD,
	POLICY_SETTINGS,
};

struct policy {
	unsigned int references;
	struct policy_pool pool;
	struct policy_settings settings;
	const char *set_by[POLICY_SETTINGS]; /* file; NULL for the default */
	struct policy_use *uses;	     /* in name order once linked */
	size_t n_uses, uses_size;
	struct policy_heap *heaps; /* likewise */
	size_t n_heaps, heaps_size;
	struct policy_entry *rules; /* in order of precedence */
	size_t n_rules, rules_size;
	char digest[POLICY_DIGEST_TEXT_MAX];
};

/* policy-keys: the keys of each kind of object. */

enum policy_object {
	POLICY_OBJECT_POLICY,
	POLICY_OBJECT_USE,
	POLICY_OBJECT_HEAP,
	POLICY_OBJECT_LIMITS,
	POLICY_OBJECT_AUDIT,
	POLICY_OBJECT_RULE,
	POLICY_OBJECT_MATCH,
	POLICY_OBJECT_ALLOW,
	POLICY_OBJECTS,
};

struct policy_keys {
	const char *name;	 /* also of its definition in the JSON schema */
	const char *const *keys; /* ends with NULL */
};

extern const struct policy_keys policy_keys[POLICY_OBJECTS];

/* policy-value: small values. All take a place, and report a mistake before they return false. */

struct policy_parse {
	struct policy *policy;
	const struct policy_env *env;
	struct policy_report *report;
	const char *path; /* of the file, in the pool */
};

#define policy_value_mistake(parse, place, ...)                                                    \
	policy_errors_add((parse)->report, (parse)->path, place, __VA_ARGS__)

/* Adds that a required key is missing from the object at place. */
void policy_value_missing(
	struct policy_parse *parse, const struct policy_place *place, const char *key);
bool policy_value_type(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, enum json_type type);
/* Checks an object. Unknown keys are reported, but do not make it false. */
bool policy_value_object(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, enum policy_object kind);
/* A string of 1 to max bytes without control characters, borrowed from json; NULL if not. */
const char *policy_value_string(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, size_t max);
/* A name that is use_name_valid(), or NULL; what is its word in messages. */
const char *policy_value_name(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, const char *what);
bool policy_value_heap(
	struct policy_parse *parse, const struct policy_place *place, const char *untrusted_heap);
/* The position of one of the names (ending with NULL), or -1. */
int policy_value_choice(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, const char *const *names);
bool policy_value_number(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, uint64_t min, uint64_t max, uint64_t *ret_number);
/* A size of at least min bytes; with percent also "25%" of the RAM. */
bool policy_value_size(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, uint64_t min, bool percent, uint64_t *ret_bytes);
bool policy_value_rate(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, uint64_t *ret_rate, uint64_t *ret_usec);
/* "keep" or "revoke". */
bool policy_value_reload(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, enum policy_reload *ret_reload);
/* Calls each for a value that is not a list, or for every value of a list of 1 to POLICY_LIST_MAX.
 * False when the list is empty or too long, or each returned false once. */
bool policy_value_each(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json,
	bool (*each)(struct policy_parse *parse, const struct policy_place *place,
		struct json_object *json, void *userdata),
	void *userdata);
/* The maximum number of calls by policy_value_each(). */
size_t policy_value_count(struct json_object *json);

/* policy-parse*: objects to the policy. All mistakes go to the report. */

void policy_parse_document(struct policy_parse *parse, struct json_object *json);
void policy_parse_rule(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, size_t index);
bool policy_parse_match(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, struct policy_match *ret_match);

/* policy-pattern, policy-glob */

/* Why nothing can match a value of a key, in words that follow the value; NULL if something can. */
const char *policy_pattern_reason(enum policy_text_key key, const char *text);
/* False if no unit, slice, program or cgroup can have a name that the pattern matches. */
bool policy_glob_possible(enum policy_text_key key, const char *pattern);

/* policy-heap */

/* The exposure of a heap with a well-known name; EXPOSURE_UNKNOWN for others. */
enum exposure policy_heap_well_known(const char *heap);

/* policy-link: sorts, and reports names that are defined twice. When complete (no file is missing
 * or unreadable), also reports uses that are not defined. */
void policy_link(struct policy *policy, struct policy_report *report, bool complete);

/* policy-match */

/* The first rule that applies to the use and matches; NULL for none. */
const struct policy_entry *policy_match_first(const struct policy *policy, uint32_t use,
	const struct identity *peer, enum transport transport);
bool policy_match_holds(
	const struct policy_match *match, const struct identity *peer, enum transport transport);
/* Whether the rule applies to the use at that position. */
bool policy_match_speaks(const struct policy_entry *entry, uint32_t use);
bool policy_match_pattern(
	enum policy_text_key key, const struct policy_pattern *pattern, const char *text);

/* policy-imply: what is true of matches for every peer. False means "not known". */

/* b matches every peer that a matches. */
bool policy_imply_whole(const struct policy_match *a, const struct policy_match *b);
/* The match matches nobody because of its "not"; its "not" excludes nobody. */
bool policy_imply_never(const struct policy_match *match);
bool policy_imply_needless(const struct policy_match *match);

/* policy-decide */

/* The position of a use, or -1. */
int64_t policy_decide_use(const struct policy *policy, const char *name);

/* policy-load */

/* Whether the daemon reads a file of that name in a policy folder. */
bool policy_load_name(const char *name);

/* policy-show */

/* The canonical text for the digest. The caller frees it; NULL when out of memory. */
char *policy_show_canonical(const struct policy *policy);

/* policy-new */

/* Like policy_new(), with mistakes already in the report, which the caller finishes. complete is as
 * in policy_link(). Returns 0 or -ENOMEM; there is a policy only if the report has no mistake. */
int policy_new_report(const struct policy_source *sources, size_t n_sources,
	const struct policy_env *env, struct policy_report *report, bool complete,
	struct policy **ret_policy);

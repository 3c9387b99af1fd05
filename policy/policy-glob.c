/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a pattern can match any valid name: runs the pattern and a small automaton of such names
 * side by side. It must never call a pattern impossible that can match. An unusual pattern counts
 * as possible.
 */
#include "policy-internal.h"

#define STATES_MAX   256
#define UNIT_MAX     255 /* bytes of a unit's name, as in systemd */
#define UNIT_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\"

/* --- paths --- A state is the kind of the current component. The kernel writes no empty component,
 * no "." and no "..". But in a cgroup namespace a cgroup may be above the root, and begin with
 * "/..". */

enum {
	PATH_START,
	PATH_ROOT,
	PATH_UP,
	PATH_ROOT_1,
	PATH_ROOT_2,
	PATH_SLASH,
	PATH_1,
	PATH_2,
	PATH_IN
};

static int path_step(bool cgroup, int state, unsigned char c)
{
	bool slash = c == '/', dot = c == '.';

	switch (state) {
	case PATH_START:
		return slash ? PATH_ROOT : -1;
	case PATH_ROOT:
	case PATH_UP:
		return slash ? -1 : !dot ? PATH_IN : cgroup ? PATH_ROOT_1 : PATH_1;
	case PATH_ROOT_1:
		return slash ? -1 : dot ? PATH_ROOT_2 : PATH_IN;
	case PATH_ROOT_2:
		return slash ? PATH_UP : PATH_IN;
	case PATH_SLASH:
		return slash ? -1 : dot ? PATH_1 : PATH_IN;
	case PATH_1:
		return slash ? -1 : dot ? PATH_2 : PATH_IN;
	case PATH_2:
		return slash ? -1 : PATH_IN;
	default:
		return slash ? PATH_SLASH : PATH_IN;
	}
}

static bool path_accepts(bool cgroup, int state)
{
	return state == PATH_IN || (cgroup && (state == PATH_ROOT || state == PATH_ROOT_2));
}

/* --- units and slices --- A state is the kind of the text before the last dot, and how much of the
 * suffix has been read since. */

enum {
	NAME_EMPTY,
	NAME_IN,       /* may be a whole name */
	NAME_TEMPLATE, /* ends with its first @: an instance must follow */
	NAME_INSTANCE,
	NAME_DASH, /* of a slice: more must follow */
	NAME_DASH_ONLY,
	NAME_KINDS,
};

#define KIND_MAX 8 /* longer than every kind */

static const char *const unit_kinds[] = { "service", "scope", "socket", "mount", "swap", NULL };
static const char *const slice_kinds[] = { "slice", NULL };

/* The state after one more byte; -1 when no name begins like that. */
static int name_grow(bool slice, int name, unsigned char c)
{
	if (c == '@' && !slice)
		return name == NAME_EMPTY ? -1 : name == NAME_IN ? NAME_TEMPLATE : NAME_INSTANCE;
	if (!c || !strchr(UNIT_LETTERS, c))
		return -1;
	if (slice && name == NAME_DASH_ONLY)
		return -1;
	if (slice && c == '-')
		return name == NAME_EMPTY ? NAME_DASH_ONLY : name == NAME_DASH ? -1 : NAME_DASH;
	if (name == NAME_TEMPLATE || name == NAME_INSTANCE)
		return NAME_INSTANCE;
	return NAME_IN;
}

/* A state is the name before the dot, and the place in the table of kinds: 0 where there was no
 * dot, else 1 + KIND_MAX * the first kind that begins as what was read does + its length. */
static int unit_step(bool slice, int state, unsigned char c)
{
	const char *const *kinds = slice ? slice_kinds : unit_kinds;
	int name = state % NAME_KINDS, place = state / NAME_KINDS, grown = name;

	if (place) {
		size_t kind = (size_t)(place - 1) / KIND_MAX,
		       length = (size_t)(place - 1) % KIND_MAX;

		for (size_t i = 0; kinds[i]; i++)
			if (!strncmp(kinds[i], kinds[kind], length) && c && kinds[i][length] == c)
				return name + NAME_KINDS * (int)(2 + KIND_MAX * i + length);
		/* it was not the last dot */
		grown = name_grow(slice, name, '.');
	}
	if (grown < 0)
		return -1;
	if (c == '.')
		return grown + NAME_KINDS;
	return name_grow(slice, grown, c);
}

static bool unit_accepts(bool slice, int state)
{
	const char *const *kinds = slice ? slice_kinds : unit_kinds;
	int name = state % NAME_KINDS, place = state / NAME_KINDS;

	return place && !kinds[(place - 1) / KIND_MAX][(place - 1) % KIND_MAX] &&
	       (name == NAME_IN || name == NAME_INSTANCE || name == NAME_DASH_ONLY);
}

/* --- both --- */

static int step(enum policy_text_key key, int state, unsigned char c)
{
	if (key == POLICY_EXE || key == POLICY_CGROUP)
		return path_step(key == POLICY_CGROUP, state, c);
	return unit_step(key == POLICY_SLICE, state, c);
}

static bool accepts(enum policy_text_key key, int state)
{
	if (key == POLICY_EXE || key == POLICY_CGROUP)
		return path_accepts(key == POLICY_CGROUP, state);
	return unit_accepts(key == POLICY_SLICE, state);
}

/* One byte of each sort that the automatons distinguish. All others are like 'A', or in no name. */
static const char sorts[] = "./-@aceiklmnoprstuvwA";

static unsigned char sort_of(enum policy_text_key key, unsigned char c)
{
	if (strchr(sorts, c))
		return c;
	return key == POLICY_EXE || key == POLICY_CGROUP || strchr(UNIT_LETTERS, c) ? 'A' : 0;
}

struct states {
	uint64_t bits[STATES_MAX / 64];
};

static bool add(struct states *states, int state)
{
	uint64_t bit = UINT64_C(1) << (state % 64), *bits = &states->bits[state / 64];
	bool fresh = !(*bits & bit);

	*bits |= bit;
	return fresh;
}

/* The bytes of one element of a pattern, one of each sort. */
struct set {
	unsigned char bytes[sizeof(sorts)];
	size_t count;
};

static void set_add(enum policy_text_key key, struct set *set, unsigned char c)
{
	c = c ? sort_of(key, c) : 0;
	if (c && !memchr(set->bytes, c, set->count))
		set->bytes[set->count++] = c;
}

/* Adds to `to` the states that a set leads to from `from`. Returns whether any is new. */
static bool advance(enum policy_text_key key, const struct states *from, const struct set *set,
	struct states *to)
{
	bool grown = false;

	for (int word = 0; word < STATES_MAX / 64; word++)
		for (uint64_t bits = from->bits[word]; bits; bits &= bits - 1)
			for (size_t i = 0; i < set->count; i++) {
				int state = 64 * word + __builtin_ctzll(bits);
				int next = step(key, state, set->bytes[i]);

				grown = (next >= 0 && add(to, next)) || grown;
			}
	return grown;
}

/* Reads [...] at text: the bytes that it matches, and its length. False when it is none, or too
 * unusual to judge; then sets *ret_odd. */
static bool bracket(enum policy_text_key key, const char *text, struct set *ret_set,
	size_t *ret_length, bool *ret_odd)
{
	size_t i = 1 + (text[1] == '!' || text[1] == '^'), first = i;
	bool path = key == POLICY_EXE || key == POLICY_CGROUP;
	bool negated = i == 2, set[256] = { false };

	*ret_odd = false;
	for (; text[i] && (text[i] != ']' || i == first); i++) {
		unsigned char from = (unsigned char)text[i], to = from;

		if ((from == '[' && text[i + 1] && strchr(":.=", text[i + 1])) || from == '/' ||
			from >= 0x80)
			*ret_odd = true;
		if (text[i + 1] == '-' && text[i + 2] && text[i + 2] != ']') {
			to = (unsigned char)text[i + 2];
			*ret_odd = *ret_odd || to == '[' || to == '/' || to >= 0x80;
			i += 2;
		}
		for (int c = from; c <= to; c++)
			set[c] = true;
	}
	if (!text[i] || *ret_odd)
		return false;
	for (int c = 1; c < 256; c++)
		if (set[c] != negated && !(path && c == '/'))
			set_add(key, ret_set, (unsigned char)c);
	*ret_length = i + 1;
	return true;
}

static int run(enum policy_text_key key, int state, const char *text)
{
	for (; *text && state >= 0; text++)
		state = step(key, state, (unsigned char)*text);
	return state;
}

/* Whether one simple name matches: each "*" is replaced by one text, the last one by another. */
static bool example(
	enum policy_text_key key, const char *pattern, const char *fill, const char *last_fill)
{
	const char *last = strrchr(pattern, '*');
	int state = 0;

	for (const char *p = pattern; *p && state >= 0; p++)
		if (*p == '*')
			state = run(key, state, p == last ? last_fill : fill);
		else
			state = step(key, state, *p == '?' ? 'a' : (unsigned char)*p);
	return state >= 0 && accepts(key, state);
}

/* Whether a pattern is so simple that the automaton is not needed. Most are. */
static bool is_plain(enum policy_text_key key, const char *pattern)
{
	const char *kind = key == POLICY_UNIT ? "a.service" : key == POLICY_SLICE ? "a.slice" : "a";

	return !strchr(pattern, '[') && strlen(pattern) < UNIT_MAX / 2 &&
	       (example(key, pattern, "a", "a") || example(key, pattern, "a", kind) ||
		       example(key, pattern, "", ""));
}

bool policy_glob_possible(enum policy_text_key key, const char *pattern)
{
	bool path = key == POLICY_EXE || key == POLICY_CGROUP;
	struct states now = { .bits = { 1 } };
	size_t bytes = 0;

	if (is_plain(key, pattern))
		return true;
	for (const char *p = pattern; *p;) {
		struct states next = { 0 };
		struct set set = { .count = 0 };
		size_t length = 1;
		bool odd = false;

		if (*p == '*' || *p == '?') {
			for (const char *c = sorts; *c; c++)
				if (!path || *c != '/')
					set_add(key, &set, (unsigned char)*c);
		} else if (*p != '[' || !bracket(key, p, &set, &length, &odd)) {
			if (odd)
				return true;
			set_add(key, &set, (unsigned char)*p);
		}
		if (*p == '*') {
			while (advance(key, &now, &set, &now))
				;
		} else {
			advance(key, &now, &set, &next);
			now = next;
			bytes++;
		}
		p += length;
	}
	if (!path && bytes > UNIT_MAX)
		return false;
	for (int state = 0; state < STATES_MAX; state++)
		if ((now.bits[state / 64] & (UINT64_C(1) << (state % 64))) && accepts(key, state))
			return true;
	return false;
}

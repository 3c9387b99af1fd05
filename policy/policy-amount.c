/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Amounts in a policy: sizes, shares of the memory, rates. It does not round.
 */
#include "policy-internal.h"
#include "size.h"

/* Reads "25%"; false for another form. */
static bool parse_percent(const char *text, unsigned int *ret_percent)
{
	unsigned int percent = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9' && p - text < 3; p++)
		percent = percent * 10 + (unsigned int)(*p - '0');
	if (p == text || !streq(p, "%"))
		return false;
	*ret_percent = percent;
	return true;
}

static bool parse_size_text(struct policy_parse *parse, const struct policy_place *place,
	const char *text, bool percent, uint64_t *ret_bytes)
{
	char quoted[POLICY_QUOTE_MAX];
	unsigned int share;
	uint64_t bytes;
	int r;

	if (parse_percent(text, &share)) {
		if (!percent) {
			policy_value_mistake(parse, place,
				"is %s, but a share of the memory stands only in \"limits\"; "
				"write a size such as \"256M\"",
				policy_errors_quote(quoted, text));
			return false;
		}
		if (share > 100) {
			policy_value_mistake(parse, place,
				"is %s, but must be \"0%%\" to \"100%%\" of the memory",
				policy_errors_quote(quoted, text));
			return false;
		}
		/* in this order, so that 100 % of a large memory does not overflow */
		*ret_bytes = parse->env->ram / 100 * share + parse->env->ram % 100 * share / 100;
		return true;
	}
	r = size_parse(text, &bytes);
	if (r == -ERANGE || (r >= 0 && bytes > POLICY_SIZE_MAX)) {
		policy_value_mistake(parse, place, "%s is too large; less than 8E is the most",
			policy_errors_quote(quoted, text));
		return false;
	}
	if (r < 0) {
		policy_value_mistake(parse, place,
			"%s is no size; write bytes, or a whole number with K, M, G or T "
			"(\"256M\")%s",
			policy_errors_quote(quoted, text), percent ? ", or a share (\"25%\")" : "");
		return false;
	}
	*ret_bytes = bytes;
	return true;
}

bool policy_value_size(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, uint64_t min, bool percent, uint64_t *ret_bytes)
{
	uint64_t bytes;
	const char *text;

	if (json_object_is_type(json, json_type_int)) {
		if (!policy_value_number(parse, place, json, 0, POLICY_NUMBER_MAX, &bytes))
			return false;
	} else if (json_object_is_type(json, json_type_string)) {
		text = policy_value_string(parse, place, json, 32);
		if (!text || !parse_size_text(parse, place, text, percent, &bytes))
			return false;
	} else {
		policy_value_mistake(parse, place,
			"must be a size: \"256M\", or a whole number "
			"of bytes without quotes");
		return false;
	}
	if (bytes < min) {
		policy_value_mistake(
			parse, place, "is 0, which allows nothing; raise it, or write a deny rule");
		return false;
	}
	*ret_bytes = bytes;
	return true;
}

bool policy_value_rate(struct policy_parse *parse, const struct policy_place *place,
	struct json_object *json, uint64_t *ret_rate, uint64_t *ret_usec)
{
	static const struct {
		const char *unit;
		uint64_t usec;
	} units[] = {
		{ "/s", UINT64_C(1000000) },
		{ "/min", UINT64_C(60000000) },
		{ "/h", UINT64_C(3600000000) },
	};
	char quoted[POLICY_QUOTE_MAX];
	const char *text = policy_value_string(parse, place, json, 32), *p = text;
	uint64_t rate = 0;

	if (!text)
		return false;
	for (; *p >= '0' && *p <= '9' && p - text < 9; p++)
		rate = rate * 10 + (uint64_t)(*p - '0');
	for (size_t i = 0; rate && i < ARRAY_SIZE(units); i++)
		if (streq(p, units[i].unit)) {
			*ret_rate = rate;
			*ret_usec = units[i].usec;
			return true;
		}
	policy_value_mistake(parse, place,
		"%s is no rate; write 1 to 999999999 and \"/s\", \"/min\" or \"/h\", such as "
		"\"100/s\"",
		policy_errors_quote(quoted, text));
	return false;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits: which accounts a grant is charged to, and whether it fits. It must never charge.
 */
#include <stdio.h>

#include "ledger-internal.h"
#include "size.h"
#include "util.h"

static const char *const per_names[] = {
	[POLICY_PER_RULE] = "",
	[POLICY_PER_USER] = " per user",
	[POLICY_PER_UNIT] = " per unit",
	[POLICY_PER_PROCESS] = " per process",
};

/* A process outside of any unit shares the account of "no unit". */
static int rule_key(const struct identity *peer, const struct policy_rule *rule, char **ret_key)
{
	int n = -1;

	switch (rule->limits.per) {
	case POLICY_PER_RULE:
		n = asprintf(ret_key, "rule %s", rule->name);
		break;
	case POLICY_PER_USER:
		n = asprintf(ret_key, "rule %s user %u", rule->name, peer->uid);
		break;
	case POLICY_PER_UNIT:
		n = asprintf(
			ret_key, "rule %s unit %s", rule->name, peer->unit ? peer->unit : "(none)");
		break;
	case POLICY_PER_PROCESS:
		n = asprintf(ret_key, "rule %s process %d %ju", rule->name, (int)peer->pid,
			(uintmax_t)peer->start_time);
		break;
	}
	return n < 0 ? -ENOMEM : 0;
}

static enum verdict refuse_open(int error, char reason[static LEDGER_REASON_MAX + 1])
{
	snprintf(reason, LEDGER_REASON_MAX + 1,
		error == -ENOBUFS ? "too many processes of this user are accounted for; wait until "
				    "their rates have recovered"
				  : "out of memory");
	return error == -ENOBUFS ? VERDICT_BUSY : VERDICT_INTERNAL;
}

enum verdict quota_open(struct ledger *ledger, const struct identity *peer,
	const struct decision *decision, uint64_t now_usec, struct account **ret_user,
	struct account **ret_rule, char reason[static LEDGER_REASON_MAX + 1])
{
	const struct policy_rule *rule = decision->rule;
	cleanup(cleanup_free) char *key = NULL;
	char user_key[32];
	int r;

	snprintf(user_key, sizeof(user_key), "user %u", peer->uid);
	r = accounts_get(ledger->accounts, user_key, NULL, now_usec, ret_user);
	if (r >= 0)
		r = rule_key(peer, rule, &key);
	if (r >= 0)
		r = accounts_get(ledger->accounts, key,
			rule->limits.per == POLICY_PER_PROCESS ? *ret_user : NULL, now_usec,
			ret_rule);
	return r < 0 ? refuse_open(r, reason) : VERDICT_GRANTED;
}

/* What one limit in bytes says. what names it: "rule mpi allows". */
static bool bytes_fit(const struct account *account, uint64_t limit, uint64_t bytes)
{
	return account->bytes <= limit && bytes <= limit - account->bytes;
}

static bool number_fits(uint64_t number, uint64_t limit, uint64_t count)
{
	return number <= limit && count <= limit - number;
}

static enum verdict refuse_bytes(const struct account *account, uint64_t limit, uint64_t bytes,
	const char *what, const char *per, char reason[static LEDGER_REASON_MAX + 1])
{
	char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], c[SIZE_TEXT_MAX];

	snprintf(reason, LEDGER_REASON_MAX + 1,
		"%s %s in total%s; %s is granted already and %s was asked for", what,
		size_format(limit, a), per, size_format(account->bytes, b), size_format(bytes, c));
	return VERDICT_BYTES_LIMIT;
}

enum verdict quota_check(const struct quota *quota, uint64_t now_usec, struct account **ret_full,
	char reason[static LEDGER_REASON_MAX + 1])
{
	const struct policy_rule *rule = quota->decision->rule;
	const struct policy_limits *limits = &rule->limits;
	const struct policy_settings *settings = quota->settings;
	uint64_t bytes;
	char what[POLICY_RULE_NAME_MAX + 32];

	*ret_full = NULL;
	/* More than any limit, even than none: the accounts count in 64 bits. */
	if (__builtin_mul_overflow(quota->size, quota->count, &bytes) ||
		bytes > UINT64_MAX - quota->total->bytes) {
		snprintf(reason, LEDGER_REASON_MAX + 1,
			"%ju buffers of %ju bytes cannot be counted", (uintmax_t)quota->count,
			(uintmax_t)quota->size);
		return VERDICT_BYTES_LIMIT;
	}
	snprintf(what, sizeof(what), "rule %s allows", rule->name);
	if (!bytes_fit(quota->rule, limits->total, bytes)) {
		*ret_full = (struct account *)quota->rule;
		return refuse_bytes(
			quota->rule, limits->total, bytes, what, per_names[limits->per], reason);
	}
	if (!number_fits(quota->rule->buffers, limits->buffers, quota->count)) {
		*ret_full = (struct account *)quota->rule;
		snprintf(reason, LEDGER_REASON_MAX + 1,
			"rule %s allows %ju buffers%s; %ju are granted already and %ju were asked "
			"for",
			rule->name, (uintmax_t)limits->buffers, per_names[limits->per],
			(uintmax_t)quota->rule->buffers, (uintmax_t)quota->count);
		return VERDICT_BUFFERS_LIMIT;
	}
	/* No policy says how many fds the daemon has; one user gets half of what there is. */
	if (quota->keep &&
		(!number_fits(quota->user->kept, quota->keep_max / 2, quota->count) ||
			!number_fits(quota->total->kept, quota->keep_max, quota->count))) {
		*ret_full = (struct account *)quota->user;
		snprintf(reason, LEDGER_REASON_MAX + 1,
			"the daemon can keep %ju buffers, and %ju of one user; it has %ju and %ju, "
			"and %ju were asked for",
			(uintmax_t)quota->keep_max, (uintmax_t)quota->keep_max / 2,
			(uintmax_t)quota->total->kept, (uintmax_t)quota->user->kept,
			(uintmax_t)quota->count);
		return VERDICT_BUFFERS_LIMIT;
	}
	if (!bytes_fit(quota->user, settings->per_user, bytes)) {
		*ret_full = (struct account *)quota->user;
		return refuse_bytes(quota->user, settings->per_user, bytes,
			"limits.per-user of the policy is", "", reason);
	}
	if (!bytes_fit(quota->total, settings->total, bytes)) {
		*ret_full = (struct account *)quota->total;
		return refuse_bytes(quota->total, settings->total, bytes,
			"limits.total of the policy is", "", reason);
	}
	if (!account_has_token(quota->rule, limits->rate, limits->rate_usec, now_usec)) {
		snprintf(reason, LEDGER_REASON_MAX + 1, "rule %s allows %ju requests per %s%s",
			rule->name, (uintmax_t)limits->rate,
			limits->rate_usec == 1000000	? "second"
			: limits->rate_usec == 60000000 ? "minute"
							: "hour",
			per_names[limits->per]);
		return VERDICT_RATE_LIMIT;
	}
	return VERDICT_GRANTED;
}

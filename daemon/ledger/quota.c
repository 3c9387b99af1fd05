/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits: which accounts a grant is charged to, and whether it fits. It charges nothing.
 */
#include <stdio.h>

#include "ledger/state.h"
#include "size.h"
#include "util.h"

static const char *const per_names[] = {
	[POLICY_PER_RULE] = "",
	[POLICY_PER_USER] = " per user",
	[POLICY_PER_UNIT] = " per unit",
	[POLICY_PER_PROCESS] = " per process",
};

/* A process outside of any unit shares the account of "no unit". */
static struct rule_key rule_key(const struct identity *peer, const struct policy_rule *rule)
{
	struct rule_key key = { .rule = rule->name, .per = rule->limits.per };

	if (key.per == POLICY_PER_UNIT)
		key.unit = peer->unit;
	if (key.per == POLICY_PER_PROCESS) {
		key.pid = peer->pid;
		key.start_time = peer->start_time;
	}
	return key;
}

/* A user's own accounts are charged to the user. When it can have no more, its idle ones are
 * dropped. */
static int make_own(struct user *user, const struct rule_key *key, uint64_t now_usec,
	struct rule_account **ret_account)
{
	struct rule_account *account;
	int r = user_charge(user, USER_ACCOUNTS, 1);

	if (r < 0) {
		user_uncharge(user, USER_ACCOUNTS, rule_accounts_drop_idle(&user->rules, now_usec));
		r = user_charge(user, USER_ACCOUNTS, 1);
	}
	if (r < 0)
		return r;
	account = rule_accounts_add(&user->rules, key);
	if (!account) {
		user_uncharge(user, USER_ACCOUNTS, 1);
		return -ENOMEM;
	}
	*ret_account = account;
	return 0;
}

/* Makes an account for all, or for a unit. Policies and service managers cause these, not users. */
static struct rule_account *make_common(
	struct ledger *ledger, const struct rule_key *key, uint64_t now_usec)
{
	if (ledger->rules.count >= ledger->rules_sweep) {
		rule_accounts_drop_idle(&ledger->rules, now_usec);
		ledger->rules_sweep = 2 * ledger->rules.count + 64;
	}
	return rule_accounts_add(&ledger->rules, key);
}

enum ccbuf_verdict quota_open(struct ledger *ledger, const struct identity *peer, struct user *user,
	const struct decision *decision, uint64_t now_usec, struct rule_account **ret_rule,
	char reason[static LEDGER_REASON_MAX + 1])
{
	struct rule_key key = rule_key(peer, decision->rule);
	bool own = key.per == POLICY_PER_USER || key.per == POLICY_PER_PROCESS;
	struct rule_accounts *set = own ? &user->rules : &ledger->rules;
	struct rule_account *account = rule_accounts_find(set, &key);
	char who[USER_TEXT_MAX];
	int r = 0;

	if (!account && own)
		r = make_own(user, &key, now_usec, &account);
	else if (!account)
		account = make_common(ledger, &key, now_usec);
	if (account) {
		*ret_rule = rule_account_ref(account);
		return CCBUF_GRANTED;
	}
	if (r != -EDQUOT) {
		snprintf(reason, LEDGER_REASON_MAX + 1, "out of memory");
		return CCBUF_INTERNAL;
	}
	snprintf(reason, LEDGER_REASON_MAX + 1,
		"too many processes of %s are accounted for; wait until their rates have recovered",
		user_text(user, who));
	return CCBUF_BUSY;
}

static bool fits(uint64_t have, uint64_t limit, uint64_t more)
{
	return have <= limit && more <= limit - have;
}

void quota_close(struct rule_account *rule, struct user *user, uint64_t now_usec)
{
	bool own = rule->set == &user->rules;

	if (rule_account_unref(rule, now_usec) && own)
		user_uncharge(user, USER_ACCOUNTS, 1);
}

/* Compares one limit in bytes. what names it: "rule mpi allows". */
static enum ccbuf_verdict refuse_bytes(uint64_t have, uint64_t limit, uint64_t bytes,
	const char *what, const char *per, char reason[static LEDGER_REASON_MAX + 1])
{
	char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], c[SIZE_TEXT_MAX];

	snprintf(reason, LEDGER_REASON_MAX + 1,
		"%s %s in total%s; %s is granted already and %s was asked for", what,
		size_format(limit, a), per, size_format(have, b), size_format(bytes, c));
	return CCBUF_BYTES_LIMIT;
}

enum ccbuf_verdict quota_check(const struct quota *quota, uint64_t now_usec,
	struct account **ret_full, char reason[static LEDGER_REASON_MAX + 1])
{
	const struct policy_rule *rule = quota->decision->rule;
	const struct policy_limits *limits = &rule->limits;
	const struct policy_settings *settings = quota->settings;
	struct account *user = &quota->user->account;
	char what[POLICY_RULE_NAME_MAX + 32], who[USER_TEXT_MAX];
	uint64_t bytes;

	*ret_full = NULL;
	/* Refused even without a limit: the accounts count in 64 bits. */
	if (__builtin_mul_overflow(quota->size, quota->count, &bytes) ||
		bytes > UINT64_MAX - quota->total->bytes) {
		snprintf(reason, LEDGER_REASON_MAX + 1,
			"%ju buffers of %ju bytes cannot be counted", (uintmax_t)quota->count,
			(uintmax_t)quota->size);
		return CCBUF_BYTES_LIMIT;
	}
	snprintf(what, sizeof(what), "rule %s allows", rule->name);
	if (!fits(quota->rule->bytes, limits->total, bytes)) {
		*ret_full = quota->rule;
		return refuse_bytes(quota->rule->bytes, limits->total, bytes, what,
			per_names[limits->per], reason);
	}
	if (!fits(quota->rule->buffers, limits->buffers, quota->count)) {
		*ret_full = quota->rule;
		snprintf(reason, LEDGER_REASON_MAX + 1,
			"rule %s allows %ju buffers%s; %ju are granted already and %ju were asked "
			"for",
			rule->name, (uintmax_t)limits->buffers, per_names[limits->per],
			(uintmax_t)quota->rule->buffers, (uintmax_t)quota->count);
		return CCBUF_BUFFERS_LIMIT;
	}
	/* The number of the daemon's fds is no policy's to set. */
	if (quota->count > user_left(quota->user, USER_FDS)) {
		*ret_full = user;
		snprintf(reason, LEDGER_REASON_MAX + 1,
			"%ju files are open for %s, %ju more can be: that is its share of the "
			"daemon's, and %ju were asked for",
			(uintmax_t)quota->user->used[USER_FDS], user_text(quota->user, who),
			(uintmax_t)user_left(quota->user, USER_FDS), (uintmax_t)quota->count);
		return CCBUF_BUFFERS_LIMIT;
	}
	if (!fits(user->bytes, settings->per_user, bytes)) {
		*ret_full = user;
		return refuse_bytes(user->bytes, settings->per_user, bytes,
			"limits.per-user of the policy is", "", reason);
	}
	if (!fits(quota->total->bytes, settings->total, bytes)) {
		*ret_full = quota->total;
		return refuse_bytes(quota->total->bytes, settings->total, bytes,
			"limits.total of the policy is", "", reason);
	}
	if (quota->emulated && !fits(user->emulated, settings->emulated_per_user, bytes)) {
		*ret_full = user;
		return refuse_bytes(user->emulated, settings->emulated_per_user, bytes,
			"limits.emulated-per-user of the policy is", "", reason);
	}
	if (!account_has_token(quota->rule, limits->rate, limits->rate_usec, now_usec)) {
		snprintf(reason, LEDGER_REASON_MAX + 1, "rule %s allows %ju requests per %s%s",
			rule->name, (uintmax_t)limits->rate,
			limits->rate_usec == 1000000	? "second"
			: limits->rate_usec == 60000000 ? "minute"
							: "hour",
			per_names[limits->per]);
		return CCBUF_RATE_LIMIT;
	}
	return CCBUF_GRANTED;
}

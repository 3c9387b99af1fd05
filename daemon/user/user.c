/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What each user costs. It must never let one user take what the others need to be served at all.
 */
#include "user/user.h"

#include <assert.h>
#include <search.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "util.h"

/* The minimum of users at which unused ones are freed. */
#define SWEEP_MIN 64

struct users {
	void *tree; /* of tsearch(3), by uid and namespace */
	size_t count;
	size_t sweep; /* at this number of users the unused ones are freed */
	struct {
		uint64_t max, used;
		uint64_t users; /* that have some of it */
	} resources[USER_RESOURCES_];
};

static int compare(const void *a, const void *b)
{
	const struct user *x = a, *y = b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return (x->ns > y->ns) - (x->ns < y->ns);
}

struct users *users_new(void)
{
	struct users *users = calloc(1, sizeof(*users));

	if (!users)
		return NULL;
	users->sweep = SWEEP_MIN;
	for (int i = 0; i < USER_RESOURCES_; i++)
		users->resources[i].max = UINT64_MAX;
	return users;
}

static void free_user(void *node)
{
	struct user *user = node;

	assert(user->refs == 0);
	for (int i = 0; i < USER_RESOURCES_; i++)
		assert(i == USER_ACCOUNTS || user->used[i] == 0);
	rule_accounts_done(&user->rules);
	free(user);
}

struct users *users_free(struct users *users)
{
	if (users)
		tdestroy(users->tree, free_user);
	free(users);
	return NULL;
}

void users_set_max(struct users *users, enum user_resource resource, uint64_t max)
{
	users->resources[resource].max = max;
}

/* Frees a user, and returns true, unless a bucket of its rules is not full. */
static bool drop(struct user *user, uint64_t now_usec)
{
	struct users *users = user->users;
	size_t dropped;

	dropped = rule_accounts_drop_idle(&user->rules, now_usec);
	if (dropped)
		user_uncharge(user, USER_ACCOUNTS, dropped);
	if (user->rules.count || user->account.tokens_usec > now_usec)
		return false;
	tdelete(user, &users->tree, compare);
	users->count--;
	free_user(user);
	return true;
}

struct idle {
	struct user **users;
	size_t count;
};

static void find_idle(const void *node, VISIT visit, void *closure)
{
	struct user *user = *(struct user *const *)node;
	struct idle *idle = closure;

	if ((visit == postorder || visit == leaf) && user->refs == 0)
		idle->users[idle->count++] = user;
}

static void sweep(struct users *users)
{
	cleanup(cleanup_free) struct user **found =
		reallocarray(NULL, users->count, sizeof(*found));
	struct idle idle = { .users = found };
	uint64_t now_usec = clock_usec(CLOCK_MONOTONIC);

	if (!found)
		return;
	twalk_r(users->tree, find_idle, &idle);
	for (size_t i = 0; i < idle.count; i++)
		drop(idle.users[i], now_usec);
	users->sweep = 2 * users->count + SWEEP_MIN;
}

int users_get(struct users *users, uid_t uid, ino_t ns, struct user **ret_user)
{
	struct user like = { .uid = uid, .ns = ns }, *user;
	struct user *const *found = tfind(&like, &users->tree, compare);

	if (found) {
		*ret_user = user_ref(*found);
		return 0;
	}
	if (users->count >= users->sweep)
		sweep(users);
	user = calloc(1, sizeof(*user));
	if (!user)
		return -ENOMEM;
	*user = (struct user){ .users = users, .refs = 1, .uid = uid, .ns = ns };
	if (!tsearch(user, &users->tree, compare)) {
		free(user);
		return -ENOMEM;
	}
	users->count++;
	*ret_user = user;
	return 0;
}

struct user *user_ref(struct user *user)
{
	user->refs++;
	return user;
}

struct user *user_unref(struct user *user)
{
	if (!user)
		return NULL;
	assert(user->refs > 0);
	if (--user->refs == 0)
		drop(user, clock_usec(CLOCK_MONOTONIC));
	return NULL;
}

/* --- shares --- */

/* log2(n) in 256ths, linear between powers of two: a little less than the exact value. */
static uint64_t log2_256(uint64_t n)
{
	unsigned int whole = 63 - (unsigned int)__builtin_clzll(n);

	return ((uint64_t)whole << 8) + (((n << 8) >> whole) - 256);
}

/* The share of one of n users in the last quarter. */
static uint64_t part_of(uint64_t quarter, uint64_t n)
{
	uint64_t l = log2_256(n + 1), part = quarter / (n + 1) * 65536 / (l * l);

	return part ? part : 1;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

uint64_t user_left(const struct user *user, enum user_resource resource)
{
	const struct users *users = user->users;
	uint64_t used = user->used[resource], max = users->resources[resource].max;
	uint64_t total = users->resources[resource].used, quarter = max / 4;
	uint64_t half, plenty, part, left;

	if (max == UINT64_MAX)
		return UINT64_MAX - total;
	half = less(max, total - used) / 2;
	plenty = less(half, used);
	if (plenty > less(max - quarter, total))
		plenty = less(max - quarter, total);
	part = less(part_of(quarter, users->resources[resource].users + !used), used);
	left = plenty > part ? plenty : part;
	return left < less(max, total) ? left : less(max, total);
}

void user_force(struct user *user, enum user_resource resource, uint64_t n)
{
	struct users *users = user->users;

	if (n && !user->used[resource])
		users->resources[resource].users++;
	user->used[resource] += n;
	users->resources[resource].used += n;
}

int user_charge(struct user *user, enum user_resource resource, uint64_t n)
{
	if (n > user_left(user, resource))
		return -EDQUOT;
	user_force(user, resource, n);
	return 0;
}

void user_uncharge(struct user *user, enum user_resource resource, uint64_t n)
{
	struct users *users = user->users;

	assert(user->used[resource] >= n);
	user->used[resource] -= n;
	users->resources[resource].used -= n;
	if (n && !user->used[resource])
		users->resources[resource].users--;
}

const char *user_text(const struct user *user, char text[static USER_TEXT_MAX])
{
	if (user->ns)
		snprintf(text, USER_TEXT_MAX, "user namespace %ju (of user %u)",
			(uintmax_t)user->ns, user->uid);
	else
		snprintf(text, USER_TEXT_MAX, "user %u", user->uid);
	return text;
}

/* --- connections --- */

bool user_may_connect(const struct user *user, uint64_t connections_max, uint64_t n_fds,
	char *reason, size_t size)
{
	char who[USER_TEXT_MAX];

	if (user->used[USER_CONNECTIONS] >= connections_max)
		snprintf(reason, size,
			"%s has reached the limit of %ju connections (connections-per-user)",
			user_text(user, who), (uintmax_t)user->used[USER_CONNECTIONS]);
	else if (user_left(user, USER_FDS) < n_fds)
		snprintf(reason, size,
			"%ju files are open for %s, its share of the daemon's; try again later",
			(uintmax_t)user->used[USER_FDS], user_text(user, who));
	else
		return true;
	return false;
}

void user_connect(struct user *user, uint64_t n_fds)
{
	user_force(user, USER_CONNECTIONS, 1);
	user_force(user, USER_FDS, n_fds);
}

void user_disconnect(struct user *user, uint64_t n_fds)
{
	user_uncharge(user, USER_CONNECTIONS, 1);
	user_uncharge(user, USER_FDS, n_fds);
}

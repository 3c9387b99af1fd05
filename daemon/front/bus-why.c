/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Why: the verdict that a request would get, and what decided it. It changes nothing. It must never
 * tell a caller about another process, unless the caller is an administrator.
 */
#include <stdio.h>

#include "front/bus-internal.h"
#include "grant-preflight.h"
#include "text.h"
#include "util.h"

/* The question: a request of a process, which need not exist. Strings are borrowed from the
 * message. */
struct question {
	struct request request;
	struct identity identity;
	bool other; /* it is about another process than the caller */
};

static int read_gids(sd_bus_message *message, struct identity *identity)
{
	int r;

	r = sd_bus_message_enter_container(message, 'v', "au");
	if (r >= 0)
		r = bus_read_ids(message, &identity->groups, &identity->n_groups);
	if (r < 0)
		return r;
	/* The first is the primary group. */
	identity->gid = identity->n_groups ? identity->groups[0] : (gid_t)-1;
	return sd_bus_message_exit_container(message);
}

static int read_string(sd_bus_message *message, char **ret_copy)
{
	const char *value;
	char *copy;
	int r;

	r = sd_bus_message_read(message, "v", "s", &value);
	if (r < 0)
		return r;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*ret_copy);
	*ret_copy = copy;
	return 0;
}

static int read_choice(sd_bus_message *message, const char *no, const char *yes, bool *ret_yes)
{
	const char *value;
	int r;

	r = sd_bus_message_read(message, "v", "s", &value);
	if (r < 0)
		return r;
	if (!streq(value, no) && !streq(value, yes))
		return -EINVAL;
	*ret_yes = streq(value, yes);
	return 0;
}

static int read_flag(sd_bus_message *message, bool *ret_flag)
{
	int value, r;

	r = sd_bus_message_read(message, "v", "b", &value);
	if (r >= 0)
		*ret_flag = value;
	return r;
}

/* Returns 0, -ENOENT for an unknown key, or another negative errno. */
static int read_key(sd_bus_message *message, const char *key, void *userdata)
{
	struct question *question = userdata;
	struct identity *identity = &question->identity;
	bool dbus;
	int r;

	if (streq(key, "accept-shared"))
		return read_flag(message, &question->request.accept_shared);
	if (streq(key, "read-only"))
		return read_flag(message, &question->request.read_only);
	question->other = true;
	if (streq(key, "uid"))
		return sd_bus_message_read(message, "v", "u", &identity->uid);
	if (streq(key, "gids"))
		return read_gids(message, identity);
	if (streq(key, "unit"))
		return read_string(message, &identity->unit);
	if (streq(key, "slice"))
		return read_string(message, &identity->slice);
	if (streq(key, "cgroup"))
		return read_string(message, &identity->cgroup);
	if (streq(key, "exe"))
		return read_string(message, &identity->exe);
	if (streq(key, "label"))
		return read_string(message, &identity->lsm);
	if (streq(key, "container"))
		return read_flag(message, &identity->container);
	if (streq(key, "identity"))
		return read_choice(message, "weak", "strong", &identity->strong);
	if (!streq(key, "transport"))
		return -ENOENT;
	r = read_choice(message, "socket", "dbus", &dbus);
	if (r >= 0)
		question->request.transport = dbus ? TRANSPORT_DBUS : TRANSPORT_SOCKET;
	return r;
}

#define PASSED_OVER_MAX 16 /* rules that are named */

struct passed_over {
	FILE *to;
	unsigned int count;
};

static void add_passed_over(void *userdata, const struct policy_rule *rule, const char *key)
{
	struct passed_over *passed = userdata;

	if (passed->count++ < PASSED_OVER_MAX)
		fprintf(passed->to,
			"%s%s: /rules/%zu: rule \"%s\" %s, but was passed over, as "
			"\"%s\" is not known of this process",
			passed->count > 1 ? "\n" : "", rule->path, rule->index, rule->name,
			rule->deny ? "denies" : "allows", key);
}

/* Names the earlier rules that were skipped because a key is not known; the caller frees the text,
 * "" for none. */
static char *passed_over(const struct broker *broker, const struct identity *identity,
	const struct request *request, const struct policy_rule *decided)
{
	struct passed_over passed = { 0 };
	char *text = NULL;
	size_t size;

	passed.to = open_memstream(&text, &size);
	if (!passed.to)
		return NULL;
	policy_each_passed_over(
		broker->policy, identity, request, decided, add_passed_over, &passed);
	if (fclose(passed.to)) {
		free(text);
		return NULL;
	}
	return text;
}

static int answer(sd_bus_message *message, const struct decision *decision, const char *passed)
{
	const struct policy_rule *rule = decision->rule;
	sd_bus_message *reply = NULL;
	int r = sd_bus_message_new_method_return(message, &reply);
	struct bus_dict dict = bus_dict(reply, r);

	bus_put_string(&dict, "verdict", verdict_name(decision->verdict));
	bus_put_u32(&dict, "code", (uint32_t)decision->verdict);
	bus_put_words(&dict, "reason", decision->reason);
	bus_put_string(&dict, "words", verdict_words(decision->verdict));
	if (rule) {
		bus_put_string(&dict, "rule", rule->name);
		bus_put_string(&dict, "file", rule->path);
		bus_put_u64(&dict, "index", rule->index);
	}
	if (decision->heap) {
		bus_put_string(&dict, "heap", decision->heap);
		bus_put_string(&dict, "exposure", exposure_name(decision->exposure));
	}
	bus_put_words(&dict, "passed-over", passed[0] ? passed : NULL);
	return bus_dict_send(&dict);
}

static int ask(struct bus_peer *bus_peer, sd_bus_message *message, const struct question *question)
{
	struct broker *broker = bus_peer->bus->broker;
	const struct identity *identity =
		question->other ? &question->identity : &bus_peer->peer->identity;
	cleanup(cleanup_free) char *passed = NULL;
	struct user *user = NULL;
	struct preflight preflight;
	int r;

	if (question->other && !broker_is_admin(broker, bus_peer->peer))
		return bus_refuse(bus_peer, message, NULL, CCBUF_NOT_PERMITTED,
			"only root and group " ADMIN_GROUP " may ask about other processes");
	if (question->other) {
		r = users_get(broker->users, identity->uid, 0, &user);
		if (r < 0)
			return r;
	}
	grant_preflight(broker, broker->policy, identity,
		question->other ? user : bus_peer->peer->user, &question->request, PREFLIGHT_LIMITS,
		&preflight);
	passed = passed_over(broker, identity, &question->request, preflight.decision.rule);
	user_unref(user);
	return passed ? answer(message, &preflight.decision, passed) : -ENOMEM;
}

static int refuse_key(
	struct bus_peer *bus_peer, sd_bus_message *message, int error, const char *untrusted_key)
{
	char reason[128], shown[65];

	text_fit(untrusted_key, TEXT_NAME | TEXT_VISIBLE, shown, sizeof(shown));
	snprintf(reason, sizeof(reason), "peer key \"%s\" %s", shown,
		error == -ENOENT ? "is not known" : "has a value of the wrong type");
	return bus_refuse(bus_peer, message, NULL, CCBUF_MALFORMED, reason);
}

int bus_handle_why(struct bus_peer *bus_peer, sd_bus_message *message)
{
	struct question question = {
		.request = { .count = 1, .transport = TRANSPORT_DBUS },
		.identity = { .uid = (uid_t)-1, .gid = (gid_t)-1, .strong = true },
	};
	const char *untrusted_use, *wrong_key;
	int r;

	r = sd_bus_message_read(message, "st", &untrusted_use, &question.request.size);
	if (r < 0)
		return r;
	if (!use_name_valid(untrusted_use))
		return bus_refuse(bus_peer, message, NULL, CCBUF_MALFORMED,
			"question whose use is not a name");
	copy_string(question.request.use, sizeof(question.request.use), untrusted_use);
	r = bus_read_dict(message, read_key, &question, &wrong_key);
	if (r >= 0)
		r = ask(bus_peer, message, &question);
	else if (wrong_key)
		r = refuse_key(bus_peer, message, r, wrong_key);
	identity_done(&question.identity);
	return r;
}

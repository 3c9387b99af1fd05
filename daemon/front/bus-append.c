/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The dictionaries (a{sv}) of the interface. A string from outside never makes a message fail.
 */
#include "front/bus-internal.h"
#include "text.h"
#include "util.h"

struct bus_dict bus_dict(sd_bus_message *message, int r)
{
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'a', "{sv}");
	return (struct bus_dict){ .message = message, .r = r };
}

int bus_dict_end(struct bus_dict *dict)
{
	if (dict->r >= 0)
		dict->r = sd_bus_message_close_container(dict->message);
	return dict->r;
}

int bus_dict_send(struct bus_dict *dict)
{
	if (bus_dict_end(dict) >= 0)
		dict->r = sd_bus_message_send(dict->message);
	sd_bus_message_unref(dict->message);
	return dict->r;
}

static void put_form(struct bus_dict *dict, const char *key, const char *value, unsigned int form)
{
	cleanup(cleanup_free) char *escaped = NULL;

	if (dict->r < 0 || !value)
		return;
	if (!text_stays(value, form)) {
		escaped = text_new(value, form);
		value = escaped;
	}
	dict->r = value ? sd_bus_message_append(dict->message, "{sv}", key, "s", value) : -ENOMEM;
}

void bus_put_string(struct bus_dict *dict, const char *key, const char *value)
{
	put_form(dict, key, value, TEXT_NAME);
}

void bus_put_words(struct bus_dict *dict, const char *key, const char *value)
{
	put_form(dict, key, value, TEXT_VISIBLE);
}

void bus_put_u64(struct bus_dict *dict, const char *key, uint64_t value)
{
	if (dict->r >= 0)
		dict->r = sd_bus_message_append(dict->message, "{sv}", key, "t", value);
}

void bus_put_u32(struct bus_dict *dict, const char *key, uint32_t value)
{
	if (dict->r >= 0)
		dict->r = sd_bus_message_append(dict->message, "{sv}", key, "u", value);
}

void bus_put_bool(struct bus_dict *dict, const char *key, bool value)
{
	if (dict->r >= 0)
		dict->r = sd_bus_message_append(dict->message, "{sv}", key, "b", (int)value);
}

int bus_append_grant(sd_bus_message *message, const struct grant *grant)
{
	const struct identity *identity = grant_identity(grant);
	struct bus_dict dict = bus_dict(message, 0);

	bus_put_u64(&dict, "grant", grant->id);
	bus_put_u64(&dict, "size", grant->size);
	bus_put_string(&dict, "use", grant->use);
	bus_put_string(&dict, "heap", grant->heap);
	bus_put_string(&dict, "exposure", exposure_name(grant->exposure));
	bus_put_string(&dict, "label", grant->label);
	bus_put_string(&dict, "state", grant_state_name(grant->state));
	bus_put_string(&dict, "rule", grant->rule_name);
	bus_put_u64(&dict, "inode", grant->inode);
	bus_put_u64(&dict, "since", grant->since_usec);
	bus_put_string(&dict, "transport", transport_name(grant->transport));
	bus_put_bool(&dict, "read-only", grant->read_only);
	bus_put_u32(&dict, "uid", identity->uid);
	bus_put_u32(&dict, "pid", (uint32_t)identity->pid);
	bus_put_string(&dict, "unit", identity->unit);
	bus_put_string(&dict, "exe", identity->exe);
	return bus_dict_end(&dict);
}

int bus_read_dict(
	sd_bus_message *message, bus_entry entry, void *userdata, const char **ret_wrong_key)
{
	int r = sd_bus_message_enter_container(message, 'a', "{sv}");
	const char *key;

	*ret_wrong_key = NULL;
	while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
		r = sd_bus_message_read(message, "s", &key);
		if (r < 0)
			return r;
		r = entry(message, key, userdata);
		if (r < 0)
			*ret_wrong_key = key;
		else
			r = sd_bus_message_exit_container(message);
	}
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

int bus_read_ids(sd_bus_message *message, gid_t **ret_groups, size_t *ret_count)
{
	const void *ids;
	size_t size;
	gid_t *groups;
	int r;

	r = sd_bus_message_read_array(message, 'u', &ids, &size);
	if (r < 0)
		return r;
	groups = malloc(size + 1);
	if (!groups)
		return -ENOMEM;
	if (size)
		memcpy(groups, ids, size);
	free(*ret_groups);
	*ret_groups = groups;
	*ret_count = size / sizeof(gid_t);
	return 0;
}

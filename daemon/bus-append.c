/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Entries of the a{sv} that the interface speaks in. It must never send, nor let a string fail the
 * message that it is part of.
 */
#include "bus-internal.h"
#include "text.h"
#include "util.h"

static int append_form(
	sd_bus_message *message, const char *key, const char *value, unsigned int form)
{
	cleanup(cleanup_free) char *escaped = NULL;

	if (!text_stays(value, form)) {
		escaped = text_new(value, form);
		if (!escaped)
			return -ENOMEM;
		value = escaped;
	}
	return sd_bus_message_append(message, "{sv}", key, "s", value);
}

int bus_append_string(sd_bus_message *message, const char *key, const char *value)
{
	return append_form(message, key, value, TEXT_NAME);
}

int bus_append_words(sd_bus_message *message, const char *key, const char *value)
{
	return append_form(message, key, value, TEXT_VISIBLE);
}

int bus_append_u64(sd_bus_message *message, const char *key, uint64_t value)
{
	return sd_bus_message_append(message, "{sv}", key, "t", value);
}

int bus_append_u32(sd_bus_message *message, const char *key, uint32_t value)
{
	return sd_bus_message_append(message, "{sv}", key, "u", value);
}

int bus_append_bool(sd_bus_message *message, const char *key, bool value)
{
	return sd_bus_message_append(message, "{sv}", key, "b", (int)value);
}

int bus_append_grant(sd_bus_message *message, const struct grant *grant)
{
	const struct identity *identity = grant_identity(grant);
	int r = bus_append_u64(message, "grant", grant->id);

	if (r >= 0)
		r = bus_append_u64(message, "size", grant->size);
	if (r >= 0)
		r = bus_append_string(message, "use", grant->use);
	if (r >= 0)
		r = bus_append_string(message, "heap", grant->heap);
	if (r >= 0)
		r = bus_append_string(message, "exposure", exposure_name(grant->exposure));
	if (r >= 0)
		r = bus_append_string(message, "label", grant->label);
	if (r >= 0)
		r = bus_append_string(message, "state", grant_state_name(grant->state));
	if (r >= 0)
		r = bus_append_string(message, "rule", grant->rule_name);
	if (r >= 0)
		r = bus_append_u64(message, "inode", grant->inode);
	if (r >= 0)
		r = bus_append_u64(message, "since", grant->since_usec);
	if (r >= 0)
		r = bus_append_string(message, "transport", transport_name(grant->transport));
	if (r >= 0)
		r = bus_append_bool(message, "read-only", grant->read_only);
	if (r >= 0)
		r = bus_append_u32(message, "uid", identity->uid);
	if (r >= 0)
		r = bus_append_u32(message, "pid", (uint32_t)identity->pid);
	if (r >= 0 && identity->unit)
		r = bus_append_string(message, "unit", identity->unit);
	if (r >= 0 && identity->exe)
		r = bus_append_string(message, "exe", identity->exe);
	return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ccbufd on D-Bus. It explains errors instead of showing only their names.
 */
#include "broker.h"

#include <stdio.h>

#include "client.h"
#include "output.h"
#include "verdict.h"

/* Reloading waits for the disk, a large buffer for the kernel. */
#define CALL_TIMEOUT_USEC (120 * UINT64_C(1000000))

int broker_open(sd_bus **ret_bus)
{
	const char *address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
	int r = sd_bus_open_system(ret_bus);

	address = address ? shown_name(address) : NULL;

	if (r >= 0)
		return EXIT_DONE;
	errno = -r;
	if (address)
		complain("cannot reach the bus at DBUS_SYSTEM_BUS_ADDRESS=%s: %m; unset it to use "
			 "the system bus",
			address);
	else
		complain("cannot reach the system bus: %m; start it (systemctl start dbus), or "
			 "use --transport socket for requests");
	return EXIT_FAILED;
}

sd_bus_message *broker_method(sd_bus *bus, const char *interface, const char *method)
{
	sd_bus_message *message;

	if (sd_bus_message_new_method_call(
		    bus, &message, BROKER_NAME, BROKER_PATH, interface, method) < 0)
		abort();
	return message;
}

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (streq(name, *names))
			return true;
	return false;
}

/* Reports a failure with several lines, such as the mistakes of a policy. */
static void complain_lines(const char *text)
{
	while (*text) {
		size_t length = strcspn(text, "\n");

		complain("%.*s", (int)length, text);
		text += length;
		text += *text == '\n';
	}
}

/* Reports a refusal. Its text is "REASON (rule NAME)" where a rule decided. */
static int explain_refusal(unsigned int verdict, const char *text, bool json)
{
	static const char mark[] = " (rule ";
	cleanup(cleanup_free) char *reason = strdup(text);
	char *rule = NULL;
	size_t length;

	if (!reason)
		abort();
	for (char *p = strstr(reason, mark); p; p = strstr(p + 1, mark))
		rule = p;
	length = rule ? strlen(rule) : 0;
	if (!rule || rule[length - 1] != ')')
		return say_refusal(verdict, NULL, reason, json);
	rule[length - 1] = 0;
	*rule = 0;
	return say_refusal(verdict, rule + sizeof(mark) - 1, reason, json);
}

static int explain(int r, const sd_bus_error *error, bool json)
{
	static const char *const absent[] = { SD_BUS_ERROR_SERVICE_UNKNOWN,
		SD_BUS_ERROR_NAME_HAS_NO_OWNER, NULL };
	static const char *const unknown[] = { SD_BUS_ERROR_UNKNOWN_METHOD,
		SD_BUS_ERROR_UNKNOWN_OBJECT, SD_BUS_ERROR_UNKNOWN_INTERFACE,
		SD_BUS_ERROR_INVALID_ARGS, SD_BUS_ERROR_INVALID_SIGNATURE, NULL };
	const char *name = error->name ? error->name : "";
	const char *text = error->message ? error->message : strerror(-r);

	if (strncmp(name, BROKER_ERROR, strlen(BROKER_ERROR)) == 0) {
		int verdict = verdict_from_name(name + strlen(BROKER_ERROR));

		if (verdict > 0)
			return explain_refusal((unsigned int)verdict, text, json);
		if (streq(name, BROKER_ERROR "PolicyInvalid"))
			complain("the policy files have mistakes; the old policy stays in force:");
		else
			complain("ccbufd answers %s:", name + strlen(BROKER_ERROR));
		complain_lines(text);
	} else if (is_one_of(name, absent)) {
		complain("ccbufd is not on the bus; start it (systemctl start ccbufd), or see "
			 "'ccbuf-client doctor'");
	} else if (strncmp(name, "org.freedesktop.DBus.Error.Spawn", 32) == 0 ||
		   streq(name, "org.freedesktop.systemd1.NoSuchUnit")) {
		complain("the bus could not start ccbufd: %s; 'journalctl -u ccbufd' says why",
			text);
	} else if (streq(name, SD_BUS_ERROR_ACCESS_DENIED)) {
		complain("the bus does not allow this call: %s; see that "
			 "org.ccbuf.Broker1.conf is installed in dbus-1/system.d",
			text);
	} else if (is_one_of(name, unknown)) {
		complain("ccbufd does not know this call: %s; is it of another version? (see "
			 "'ccbuf-client status' and 'ccbuf-client --version')",
			text);
	} else if (r == -ENOTCONN || r == -ECONNRESET) {
		complain("the bus ended the connection; does it admit this user, and is it of the "
			 "right address?");
	} else if (r == -ETIMEDOUT) {
		complain("ccbufd did not answer in time; 'systemctl status ccbufd' shows its "
			 "state");
	} else {
		complain(
			"the call to ccbufd failed: %s; 'journalctl -u ccbufd' may say more", text);
	}
	return finish(EXIT_FAILED);
}

int broker_call(sd_bus *bus, sd_bus_message *call, bool json, sd_bus_message **ret_reply)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int code = EXIT_DONE, r;

	r = sd_bus_call(bus, call, CALL_TIMEOUT_USEC, &error, ret_reply);
	if (r < 0)
		code = explain(r, &error, json);
	sd_bus_error_free(&error);
	return code;
}

static int read_basic(sd_bus_message *message, char type, struct json_object **ret_value)
{
	union {
		uint8_t y;
		int b;
		int16_t n;
		uint16_t q;
		int32_t i;
		uint32_t u;
		int64_t x;
		uint64_t t;
		double d;
		const char *s;
	} value;
	int r = sd_bus_message_read_basic(message, type, &value);

	if (r < 0)
		return r;
	switch (type) {
	case 'y':
		*ret_value = json_object_new_uint64(value.y);
		return 0;
	case 'b':
		*ret_value = json_object_new_boolean(value.b);
		return 0;
	case 'n':
		*ret_value = json_object_new_int64(value.n);
		return 0;
	case 'q':
		*ret_value = json_object_new_uint64(value.q);
		return 0;
	case 'i':
		*ret_value = json_object_new_int64(value.i);
		return 0;
	case 'u':
		*ret_value = json_object_new_uint64(value.u);
		return 0;
	case 'x':
		*ret_value = json_object_new_int64(value.x);
		return 0;
	case 't':
		*ret_value = json_object_new_uint64(value.t);
		return 0;
	case 'd':
		*ret_value = json_object_new_double(value.d);
		return 0;
	case 's':
	case 'o':
	case 'g':
		*ret_value = json_object_new_string(value.s);
		return 0;
	default:
		*ret_value = NULL;
		return 0;
	}
}

static int read_array(sd_bus_message *message, const char *contents, struct json_object *array)
{
	int r = sd_bus_message_enter_container(message, 'a', contents);

	while (r >= 0 && (r = sd_bus_message_at_end(message, false)) == 0) {
		struct json_object *element = NULL;

		r = broker_read(message, &element);
		if (r >= 0)
			json_object_array_add(array, element);
	}
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_dictionary(
	sd_bus_message *message, const char *contents, struct json_object *object)
{
	cleanup(cleanup_free) char *entry = strndup(contents + 1, strlen(contents) - 2);
	int r = sd_bus_message_enter_container(message, 'a', contents);

	if (!entry)
		return -ENOMEM;
	while (r >= 0 && (r = sd_bus_message_at_end(message, false)) == 0) {
		struct json_object *value = NULL;
		const char *key;

		r = sd_bus_message_enter_container(message, 'e', entry);
		if (r >= 0)
			r = sd_bus_message_read_basic(message, 's', &key);
		if (r >= 0)
			r = broker_read(message, &value);
		if (r >= 0)
			json_object_object_add(object, key, value);
		if (r >= 0)
			r = sd_bus_message_exit_container(message);
	}
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

int broker_read(sd_bus_message *message, struct json_object **ret_value)
{
	cleanup(cleanup_json) struct json_object *value = NULL;
	const char *contents;
	char type;
	int r = sd_bus_message_peek_type(message, &type, &contents);

	if (r < 0)
		return r;
	if (r == 0)
		return -EBADMSG;
	if (type == 'v') {
		r = sd_bus_message_enter_container(message, 'v', contents);
		if (r >= 0)
			r = broker_read(message, &value);
		if (r >= 0)
			r = sd_bus_message_exit_container(message);
	} else if (type == 'a' && contents[0] == '{' && contents[1] == 's') {
		value = json_object_new_object();
		r = read_dictionary(message, contents, value);
	} else if (type == 'a') {
		value = json_object_new_array();
		r = read_array(message, contents, value);
	} else if (type == 'r' || type == 'e') {
		return -EBADMSG;
	} else {
		r = read_basic(message, type, &value);
	}
	if (r < 0)
		return r;
	*ret_value = steal_pointer(&value);
	return 0;
}

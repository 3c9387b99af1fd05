/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Examines the daemon for doctor: its socket, the bus, and its properties there. It requests no
 * buffer.
 */
#include <stdio.h>

#include "broker.h"
#include "ccbuf.h"
#include "config.h"
#include "findings.h"
#include "output.h"
#include "trail.h"

static void examine_socket(struct findings *findings)
{
	const char *path = secure_getenv("CCBUF_SOCKET");
	struct ccbuf *connection = NULL;
	int r = ccbuf_connect(NULL, &connection);

	if (!path || !*path)
		path = CCBUF_SOCKET_PATH;
	path = shown_name(path);
	errno = -r;
	if (r == 0)
		found(findings, STATUS_OK, "socket", NULL, "%s accepts connections", path);
	else if (r == -ENOENT)
		found(findings, STATUS_PROBLEM, "socket",
			"start it: systemctl enable --now ccbufd.socket", "there is no %s", path);
	else if (r == -ECONNREFUSED)
		found(findings, STATUS_PROBLEM, "socket",
			"start it: systemctl enable --now ccbufd.socket", "nobody listens at %s",
			path);
	else
		found(findings, STATUS_PROBLEM, "socket",
			"see the modes of the socket and its folders",
			"%s cannot be connected to: %m", path);
	ccbuf_free(connection);
}

static void examine_properties(struct findings *findings, struct json_object *properties)
{
	const char *version = member_text(properties, "Version");
	const char *mistakes = member_text(properties, "PolicyError");

	if (streq(version, CCBUF_VERSION))
		found(findings, STATUS_OK, "daemon", NULL,
			"ccbufd %s answers on the bus, %s buffers are granted", version,
			member_text(properties, "GrantCount"));
	else
		found(findings, STATUS_WARNING, "daemon", "restart it: systemctl restart ccbufd",
			"ccbufd is of version %s, ccbuf-client of " CCBUF_VERSION, version);
	if (*mistakes)
		found(findings, STATUS_PROBLEM, "policy",
			"correct it ('ccbuf-client policy check') and reload",
			"ccbufd could not load the policy files and kept the old policy: %.*s",
			(int)strcspn(mistakes, "\n"), mistakes);
}

static void examine_bus(struct findings *findings)
{
	cleanup(cleanup_bus) sd_bus *bus = NULL;
	cleanup(cleanup_message) sd_bus_message *call = NULL, *reply = NULL;
	cleanup(cleanup_json) struct json_object *properties = NULL;
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_open_system(&bus);

	if (r < 0) {
		errno = -r;
		found(findings, STATUS_PROBLEM, "bus",
			"start it (systemctl start dbus); requests over the socket work without",
			"the system bus cannot be reached: %m");
		return;
	}
	call = broker_method(bus, "org.freedesktop.DBus.Properties", "GetAll");
	r = sd_bus_message_append(call, "s", BROKER_INTERFACE);
	if (r >= 0)
		r = sd_bus_call(bus, call, 0, &error, &reply);
	if (r >= 0)
		r = broker_read(reply, &properties);
	if (r >= 0)
		examine_properties(findings, properties);
	else
		found(findings, STATUS_PROBLEM, "daemon",
			"'systemctl status ccbufd' shows its state, 'journalctl -u ccbufd' why",
			"ccbufd does not answer on the bus: %s",
			error.message ? error.message : strerror(-r));
	sd_bus_error_free(&error);
}

/* Examines the folder of the audit trail, which the daemon must be able to write. */
static void examine_trail(struct findings *findings, const struct places *places)
{
	static const char folder[] = CCBUF_LOCALSTATEDIR "/log/ccbufd";
	int r;

	if (access(folder, F_OK) < 0) {
		found(findings, STATUS_WARNING, "audit",
			"run 'systemd-tmpfiles --create' after installation, or name another file "
			"by "
			"--audit",
			"there is no %s for the audit trail", folder);
		return;
	}
	examine_way(findings, places, folder, "audit");
	r = daemon_user_access(places->user, folder, W_OK | X_OK);
	if (r == 0 && access(TRAIL_PATH, F_OK) == 0)
		r = daemon_user_access(places->user, TRAIL_PATH, R_OK | W_OK);
	if (r < 0)
		found(findings, STATUS_PROBLEM, "audit",
			"'systemd-tmpfiles --create' gives it to user ccbufd",
			"the audit trail in %s cannot be written by %s: %s", folder,
			places->user->words, strerror(-r));
}

/* A client must be able to reach the socket and write to it. */
static void examine_socket_of_others(struct findings *findings, const struct places *places)
{
	struct daemon_user other = { .uid = 65534, .gid = 65534, .words = "ordinary users" };
	const char *path = secure_getenv("CCBUF_SOCKET");
	cleanup(cleanup_free) char *folder = NULL;
	char *slash;
	int r;

	if (!path || !*path)
		path = CCBUF_SOCKET_PATH;
	if (access(path, F_OK) < 0)
		return;
	folder = strdup(path);
	slash = folder ? strrchr(folder, '/') : NULL;
	if (slash && slash != folder) {
		*slash = 0;
		examine_way(findings, places, folder, "socket");
		if (access(folder, F_OK) == 0)
			examine_folder(findings, places, folder, "socket");
	}
	if (geteuid() != 0)
		return;
	r = daemon_user_access(&other, path, W_OK);
	if (r < 0)
		found(findings, STATUS_WARNING, "socket",
			"see the modes of the socket and its folders, unless that is meant",
			"%s cannot be connected to by ordinary users: %s", shown_name(path),
			strerror(-r));
}

void examine_daemon(struct findings *findings, const struct places *places)
{
	examine_socket(findings);
	if (places->user) {
		examine_socket_of_others(findings, places);
		examine_trail(findings, places);
	}
	examine_bus(findings);
}

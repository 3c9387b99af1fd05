/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A method that returns a fresh memfd, served with sd-bus and nothing else.
 */
#include "bare.h"

#include <systemd/sd-bus.h>

#include "util.h"

static int method_request(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	cleanup(cleanup_fd) int fd = -1;
	const char *use;
	uint64_t size;
	int r;

	(void)userdata, (void)error;
	r = sd_bus_message_read(message, "st", &use, &size);
	if (r < 0)
		return r;
	r = sd_bus_message_skip(message, "a{sv}");
	if (r < 0)
		return r;
	fd = bare_memfd(size);
	if (fd < 0)
		return fd;
	return sd_bus_reply_method_return(message, "htt", fd, UINT64_C(1), size);
}

static const sd_bus_vtable vtable[] = { SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Request", "sta{sv}", "htt", method_request, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END };

void bare_bus_serve(void *userdata)
{
	sd_bus *bus = NULL;
	int r;

	setenv("DBUS_SYSTEM_BUS_ADDRESS", userdata, 1);
	r = sd_bus_open_system(&bus);
	if (r >= 0)
		r = sd_bus_add_object_vtable(bus, NULL, BARE_BUS_PATH, BARE_BUS_NAME, vtable, NULL);
	if (r >= 0)
		r = sd_bus_request_name(bus, BARE_BUS_NAME, 0);
	while (r >= 0) {
		r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = sd_bus_wait(bus, UINT64_MAX);
	}
	sd_bus_unref(bus);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A service that does nothing: an sd-event loop with a connection to the system bus. What memory
 * and start of ccbufd are held against.
 */
#include <stdlib.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

int main(void)
{
	const char *name;
	sd_event *loop;
	sd_bus *bus;

	if (sd_event_default(&loop) < 0)
		return EXIT_FAILURE;
	if (sd_bus_open_system(&bus) >= 0 &&
		(sd_bus_attach_event(bus, loop, SD_EVENT_PRIORITY_NORMAL) < 0 ||
			sd_bus_get_unique_name(bus, &name) < 0))
		return EXIT_FAILURE;
	sd_notify(0, "READY=1");
	return sd_event_loop(loop) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

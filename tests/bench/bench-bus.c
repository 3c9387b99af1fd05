/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One grant over D-Bus against a bare sd-bus service, over the same dbus-daemon, from the same
 * client connection.
 */
#include "groups.h"

#include <stdio.h>
#include <systemd/sd-bus.h>

#include "bare.h"
#include "util.h"

#define ROUNDS	     250
#define ROUNDS_QUICK 2
#define GOAL	     1.4
#define BROKER	     "org.ccbuf.Broker1"

struct client {
	sd_bus *bus;
	unsigned int n_grants;
	uint64_t grants[BENCH_BLOCK];
};

static int ask(sd_bus *bus, const char *name, const char *path, uint64_t *ret_grant)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	uint64_t size;
	int r, fd;

	r = sd_bus_call_method(bus, name, path, name, "Request", &error, &reply, "sta{sv}", "bench",
		BENCH_SIZE, 0);
	if (r < 0)
		fprintf(stderr, "ccbuf-bench: %s: %s\n", name, error.message);
	else
		r = sd_bus_message_read(reply, "htt", &fd, ret_grant, &size);
	sd_bus_error_free(&error);
	sd_bus_message_unref(reply); /* closes the fd */
	return r;
}

static int ask_bare(void *userdata)
{
	struct client *client = userdata;
	uint64_t grant;

	return ask(client->bus, BARE_BUS_NAME, BARE_BUS_PATH, &grant);
}

static int ask_broker(void *userdata)
{
	struct client *client = userdata;
	int r = ask(client->bus, BROKER, "/org/ccbuf/Broker1", &client->grants[client->n_grants]);

	if (r >= 0)
		client->n_grants++;
	return r;
}

static int release(void *userdata)
{
	struct client *client = userdata;
	int r = 0;

	while (r >= 0 && client->n_grants)
		r = sd_bus_call_method(client->bus, BROKER, "/org/ccbuf/Broker1", BROKER, "Release",
			NULL, NULL, "t", client->grants[--client->n_grants]);
	return r;
}

/* Until the bare service has its name. */
static int wait_for_name(sd_bus *bus)
{
	for (int left = 5000; left > 0; left--) {
		if (sd_bus_get_name_creds(bus, BARE_BUS_NAME, 0, NULL) >= 0)
			return 0;
		usleep(1000);
	}
	return -ETIMEDOUT;
}

static int measure(const struct setting *setting, struct client *client)
{
	static const char *const bare[] = { "bare D-Bus call that returns a memfd, 64 KiB: median",
		"bare D-Bus call that returns a memfd, 64 KiB: p99" };
	static const char *const grant[] = { "grant over D-Bus, 64 KiB, written: median",
		"grant over D-Bus, 64 KiB, written: p99" };
	struct side a = { .run = ask_bare, .userdata = client };
	struct side b = { .run = ask_broker, .rest = release, .userdata = client };
	int r = bench_pair(&a, &b, setting->report->quick ? ROUNDS_QUICK : ROUNDS);

	if (r >= 0)
		report_pair(setting->report, &a, bare, &b, grant, GOAL);
	samples_done(&a.samples);
	samples_done(&b.samples);
	return r;
}

static int run(const struct setting *setting, struct place *place)
{
	struct client client = { 0 };
	struct service service = { 0 };
	pid_t bare;
	int r;

	if (!place->bus[0]) {
		fputs("ccbuf-bench: no dbus-daemon here: D-Bus is not measured\n", stderr);
		return 0;
	}
	bare = child_start(bare_bus_serve, place->bus);
	if (bare < 0)
		return bare;
	r = service_start_ccbufd(place, setting->ccbufd, &service);
	if (r >= 0) {
		setenv("DBUS_SYSTEM_BUS_ADDRESS", place->bus, 1);
		r = sd_bus_open_system(&client.bus);
	}
	if (r >= 0)
		r = wait_for_name(client.bus);
	if (r >= 0)
		r = measure(setting, &client);
	sd_bus_flush_close_unref(client.bus);
	service_stop(&service);
	child_stop(bare);
	return r;
}

int bench_bus(const struct setting *setting)
{
	struct place place;
	int r = place_new(setting->folder, "written", &place);

	if (r < 0)
		return r;
	r = run(setting, &place);
	place_done(&place);
	return r;
}

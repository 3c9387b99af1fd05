/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests buffers over the socket or D-Bus, and releases them over the same. It never falls back
 * from one to the other, because rules can depend on the transport.
 */
#include "holding.h"

#include <fcntl.h>

#include "broker.h"
#include "client.h"
#include "output.h"

void holding_done(struct holding *holding)
{
	for (size_t i = 0; i < holding->n_buffers; i++)
		close_fd(&holding->buffers[i].fd);
	holding->n_buffers = 0;
	holding->socket = ccbuf_free(holding->socket);
	holding->bus = sd_bus_flush_close_unref(holding->bus);
}

static int explain_connect(int r)
{
	const char *path = secure_getenv("CCBUF_SOCKET");
	const char *whence = path && *path ? " (named by CCBUF_SOCKET)" : "";

	if (!path || !*path)
		path = CCBUF_SOCKET_PATH;
	path = shown_name(path);
	errno = -r;
	switch (r) {
	case -ENOENT:
		complain("there is no socket %s%s; start it (systemctl start ccbufd.socket), or "
			 "ask over the bus (--transport dbus)",
			path, whence);
		break;
	case -ECONNREFUSED:
		complain("nobody listens at %s%s; start ccbufd (systemctl start ccbufd.socket)",
			path, whence);
		break;
	case -EACCES:
		complain("no permission to connect to %s%s; its mode and those of its folders "
			 "say who may",
			path, whence);
		break;
	default:
		complain("cannot connect to %s%s: %m", path, whence);
	}
	return EXIT_FAILED;
}

static int explain_socket(const struct holding *holding, int r, bool json)
{
	if (r > 0)
		return say_refusal((unsigned int)r, ccbuf_rule(holding->socket),
			ccbuf_reason(holding->socket), json);
	errno = -r;
	switch (r) {
	case -ECONNRESET:
		complain("ccbufd ended the connection; 'journalctl -u ccbufd' may say why");
		break;
	case -EBADMSG:
		complain("ccbufd gave a malformed answer; is it of another version? "
			 "(see 'ccbuf-client status')");
		break;
	case -EMFILE:
		complain("no room for so many fds; raise the limit (ulimit -n) or ask for fewer");
		break;
	default:
		complain("the request failed: %m");
	}
	return EXIT_FAILED;
}

int obtain_by_socket(const struct asking *asking, struct holding *holding)
{
	int r;

	r = ccbuf_connect(NULL, &holding->socket);
	if (r < 0)
		return explain_connect(r);
	r = ccbuf_request(holding->socket, &asking->request, holding->buffers);
	if (r != 0)
		return explain_socket(holding, r, asking->json);
	holding->n_buffers = asking->request.count;
	return EXIT_DONE;
}

/* One call for each buffer, as a D-Bus request is for one. */
static int obtain_one_by_bus(
	const struct asking *asking, sd_bus *bus, struct ccbuf_buffer *ret_buffer)
{
	const struct ccbuf_request *request = &asking->request;
	cleanup(cleanup_message) sd_bus_message *call =
		broker_method(bus, BROKER_INTERFACE, "Request");
	cleanup(cleanup_message) sd_bus_message *reply = NULL;
	int code, fd, r;

	r = sd_bus_message_append(call, "st", request->use, request->size);
	if (r >= 0)
		r = sd_bus_message_open_container(call, 'a', "{sv}");
	if (r >= 0 && (request->flags & CCBUF_ACCEPT_SHARED))
		r = sd_bus_message_append(call, "{sv}", "accept-shared", "b", 1);
	if (r >= 0 && (request->flags & CCBUF_READ_ONLY))
		r = sd_bus_message_append(call, "{sv}", "read-only", "b", 1);
	if (r >= 0 && request->label)
		r = sd_bus_message_append(call, "{sv}", "label", "s", request->label);
	if (r >= 0)
		r = sd_bus_message_close_container(call);
	if (r < 0)
		goto failed;
	code = broker_call(bus, call, asking->json, &reply);
	if (code != EXIT_DONE)
		return code;
	r = sd_bus_message_read(reply, "htt", &fd, &ret_buffer->grant, &ret_buffer->size);
	if (r < 0)
		goto failed;
	/* The message keeps its own fd. */
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0) {
		r = -errno;
		goto failed;
	}
	ret_buffer->fd = fd;
	ret_buffer->exposure = 0;
	return EXIT_DONE;

failed:
	errno = -r;
	complain("the request over D-Bus failed: %m");
	return EXIT_FAILED;
}

int obtain_by_bus(const struct asking *asking, struct holding *holding)
{
	int code = broker_open(&holding->bus);

	while (code == EXIT_DONE && holding->n_buffers < asking->request.count) {
		code = obtain_one_by_bus(
			asking, holding->bus, &holding->buffers[holding->n_buffers]);
		if (code == EXIT_DONE)
			holding->n_buffers++;
	}
	return code;
}

static int give_back_by_bus(sd_bus *bus, uint64_t grant, bool *ret_still_held)
{
	cleanup(cleanup_message) sd_bus_message *call =
		broker_method(bus, BROKER_INTERFACE, "Release");
	cleanup(cleanup_message) sd_bus_message *reply = NULL;
	int code, held, r;

	r = sd_bus_message_append(call, "t", grant);
	if (r >= 0) {
		code = broker_call(bus, call, false, &reply);
		if (code != EXIT_DONE)
			return code;
		r = sd_bus_message_read(reply, "b", &held);
	}
	if (r < 0) {
		errno = -r;
		complain("the release over D-Bus failed: %m");
		return EXIT_FAILED;
	}
	*ret_still_held = held;
	return EXIT_DONE;
}

int give_back(struct holding *holding, size_t index, bool *ret_still_held)
{
	struct ccbuf_buffer *buffer = &holding->buffers[index];
	int r;

	close_fd(&buffer->fd);
	if (holding->bus)
		return give_back_by_bus(holding->bus, buffer->grant, ret_still_held);
	r = ccbuf_release(holding->socket, buffer->grant, ret_still_held);
	return r == 0 ? EXIT_DONE : explain_socket(holding, r, false);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads and writes the connection to the bus, instead of sd_bus_attach_event(). sd-bus would
 * receive the file descriptors of any message and close them in the event loop; such a close may
 * sleep for as long as the sender likes. A bus sends file descriptors with the first byte of their
 * message, and sd-bus reads up to the end of one. So this file checks what comes next before sd-bus
 * reads: the closer takes off a message with file descriptors, unless it is from the bus itself.
 *
 * The daemon must never receive a file descriptor that a client sent, nor be the last to close a
 * connection that has some in its queue.
 */
#include <endian.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "front/bus-internal.h"
#include "front/closer.h"
#include "util.h"

#define HEADER_MAX 8192 /* bytes of a message that are checked */

enum { FIELD_SENDER = 7, FIELD_UNIX_FDS = 9, FLAG_NO_REPLY = 1 };

/* What is known of a message before it is read. */
struct next {
	uint8_t type, flags;
	uint32_t cookie, n_fds;
	char sender[256];
};

struct bus_io {
	struct bus *bus;
	int fd;		       /* a duplicate, so that sd-bus is not the last to close it */
	ino_t inode;	       /* of it */
	bool connected;	       /* the socket does not change any more */
	sd_event_source *io;   /* off while the closer reads */
	sd_event_source *time; /* always on: a source that is off does not prepare */
	bool taking;
	void (*lost)(struct bus *bus);
	struct next next;
};

/* --- the next message --- */

struct cursor {
	const uint8_t *data;
	size_t at, size;
	bool swap;
};

static bool align(struct cursor *cursor, size_t size)
{
	cursor->at = (cursor->at + size - 1) & ~(size - 1);
	return cursor->at <= cursor->size;
}

static bool get_u32(struct cursor *cursor, uint32_t *ret_value)
{
	uint32_t value;

	if (!align(cursor, 4) || cursor->size - cursor->at < 4)
		return false;
	memcpy(&value, cursor->data + cursor->at, 4);
	cursor->at += 4;
	*ret_value = cursor->swap ? __builtin_bswap32(value) : value;
	return true;
}

/* Gets a string and checks its NUL. */
static bool get_string(struct cursor *cursor, size_t length, const char **ret_string)
{
	if (length >= cursor->size - cursor->at || cursor->data[cursor->at + length])
		return false;
	*ret_string = (const char *)cursor->data + cursor->at;
	cursor->at += length + 1;
	return true;
}

static bool get_byte(struct cursor *cursor, uint8_t *ret_byte)
{
	if (cursor->at >= cursor->size)
		return false;
	*ret_byte = cursor->data[cursor->at++];
	return true;
}

static bool get_field(struct cursor *cursor, struct next *next)
{
	const char *signature, *value;
	uint8_t code, length;
	uint32_t number;

	if (!align(cursor, 8) || !get_byte(cursor, &code) || !get_byte(cursor, &length) ||
		!get_string(cursor, length, &signature))
		return false;
	if (streq(signature, "s") || streq(signature, "o")) {
		if (!get_u32(cursor, &number) || !get_string(cursor, number, &value))
			return false;
		if (code == FIELD_SENDER)
			copy_string(next->sender, sizeof(next->sender), value);
		return true;
	}
	if (streq(signature, "g"))
		return get_byte(cursor, &length) && get_string(cursor, length, &value);
	if (!streq(signature, "u") || !get_u32(cursor, &number))
		return false;
	if (code == FIELD_UNIX_FDS)
		next->n_fds = number;
	return true;
}

/* False where that is not possible. */
static bool parse(const uint8_t *data, size_t size, struct next *next)
{
	struct cursor cursor = { data, 4, size, false };
	uint32_t length;

	if (size < 16)
		return false;
	cursor.swap = data[0] != (__BYTE_ORDER == __LITTLE_ENDIAN ? 'l' : 'B');
	next->type = data[1];
	next->flags = data[2];
	if (!get_u32(&cursor, &length) || !get_u32(&cursor, &next->cookie) ||
		!get_u32(&cursor, &length) || length > size - 16)
		return false;
	cursor.size = 16 + length;
	while (cursor.at < cursor.size)
		if (!get_field(&cursor, next))
			return false;
	return true;
}

static ssize_t peek(int fd, void *buffer, size_t size, int *ret_flags)
{
	struct iovec iov = { buffer, size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n = recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT);

	*ret_flags = message.msg_flags;
	return n;
}

enum coming { NOTHING, SOMETHING, FDS };

/* Returns FDS when a message with a client's file descriptors begins. */
static enum coming look(int fd, struct next *ret_next)
{
	uint8_t header[HEADER_MAX];
	struct next next = { 0 };
	int flags;
	ssize_t n;

	n = peek(fd, header, 1, &flags);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return NOTHING;
	if (n <= 0 || !(flags & MSG_CTRUNC))
		return SOMETHING;
	n = peek(fd, header, sizeof(header), &flags);
	if (n > 0 && parse(header, (size_t)n, &next) &&
		(next.n_fds == 0 || streq(next.sender, "org.freedesktop.DBus")))
		return SOMETHING;
	*ret_next = next;
	return FDS;
}

/* --- messages for the closer --- */

static int handle_fds(struct bus_peer *bus_peer, sd_bus_message *message)
{
	return bus_refuse(bus_peer, message, NULL, CCBUF_MALFORMED,
		"message with file descriptors, which no call of this interface has");
}

/* Makes a call in place of the one that the closer took, to be refused in its turn. */
static int refuse(struct bus *bus, const struct next *next)
{
	sd_bus_message *message = NULL;
	int r;

	r = sd_bus_message_new_method_call(
		bus->connection, &message, BUS_NAME, BUS_PATH, BUS_INTERFACE, "Refused");
	if (r >= 0)
		r = sd_bus_message_set_sender(message, next->sender);
	if (r >= 0 && (next->type != SD_BUS_MESSAGE_METHOD_CALL || next->flags & FLAG_NO_REPLY))
		r = sd_bus_message_set_expect_reply(message, false);
	if (r >= 0)
		r = sd_bus_message_seal(message, next->cookie, 0);
	if (r >= 0)
		r = bus_identify(bus, message, handle_fds, false);
	sd_bus_message_unref(message);
	return r;
}

static void on_taken(void *userdata)
{
	struct bus_io *io = userdata;

	io->taking = false;
	if (!io->next.sender[0] || refuse(io->bus, &io->next) < 0)
		broker_record_refusal(io->bus->broker, NULL, NULL, CCBUF_MALFORMED,
			"message of the bus with file descriptors");
}

/* --- the event loop's side --- */

/* sd-bus does one thing in a call, and reads when there is nothing else to do. An unchecked message
 * may come in that moment, so sd-bus is called only when it has something else to do. */
static bool has_to_do(const struct bus_io *io, uint32_t events)
{
	sd_bus *connection = io->bus->connection;
	uint64_t until, queued = 0;

	if (sd_bus_is_ready(connection) <= 0)
		return true; /* what comes now is from the bus itself */
	if (sd_bus_get_timeout(connection, &until) > 0 && until <= clock_usec(CLOCK_MONOTONIC))
		return true;
	sd_bus_get_n_queued_write(connection, &queued);
	return queued > 0 && events & EPOLLOUT;
}

static int process(struct bus_io *io, uint32_t events)
{
	enum coming coming;
	int r;

	if (io->taking)
		return 0;
	coming = look(io->fd, &io->next);
	if (coming == NOTHING && !has_to_do(io, events))
		return 0;
	if (coming == FDS) {
		r = closer_take(io->bus->broker->closer, io->fd, on_taken, io);
		io->taking = r != -EPIPE;
		if (r < 0 && r != -EPIPE)
			io->lost(io->bus);
	}
	if (!io->taking && sd_bus_process(io->bus->connection, NULL) < 0)
		io->lost(io->bus);
	return 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source, (void)fd;
	return process(userdata, events);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source, (void)usec;
	return process(userdata, 0);
}

/* Until it is connected, sd-bus may try another address, with a socket of the same number. */
static int follow(struct bus_io *io)
{
	int fd = sd_bus_get_fd(io->bus->connection), copy, r;
	struct stat info;

	if (fd < 0 || io->connected)
		return fd < 0 ? fd : 0;
	io->connected = sd_bus_is_ready(io->bus->connection) > 0;
	if (fstat(fd, &info) < 0)
		return -errno;
	if (io->io && info.st_ino == io->inode)
		return 0;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return -errno;
	r = io->io ? sd_event_source_set_io_fd(io->io, copy)
		   : sd_event_add_io(io->bus->broker->loop, &io->io, copy, 0, on_io, io);
	if (r < 0) {
		close_fd(&copy);
		return r;
	}
	/* One message, one turn: a bus that is flooded must not come before all turns. */
	(void)sd_event_source_set_priority(io->io, TURNS_PRIORITY);
	close_fd(&io->fd);
	io->fd = copy;
	io->inode = info.st_ino;
	return 0;
}

static int prepare(sd_event_source *source, void *userdata)
{
	struct bus_io *io = userdata;
	uint64_t until = UINT64_MAX;
	int events = -EBUSY;

	(void)source;
	if (!io->taking) {
		events = follow(io);
		if (events >= 0)
			events = sd_bus_get_events(io->bus->connection);
		(void)sd_bus_get_timeout(io->bus->connection, &until);
	}
	if (events >= 0)
		sd_event_source_set_io_events(io->io, (uint32_t)events);
	sd_event_source_set_enabled(io->io, events >= 0 ? SD_EVENT_ON : SD_EVENT_OFF);
	return sd_event_source_set_time(io->time, until);
}

int bus_io_new(struct bus *bus, void (*lost)(struct bus *bus), struct bus_io **ret_io)
{
	struct bus_io *io = calloc(1, sizeof(*io));
	int r;

	if (!io)
		return -ENOMEM;
	io->bus = bus;
	io->lost = lost;
	io->fd = -1;
	r = follow(io);
	if (r >= 0)
		r = sd_event_add_time(
			bus->broker->loop, &io->time, CLOCK_MONOTONIC, UINT64_MAX, 1, on_time, io);
	if (r >= 0)
		r = sd_event_source_set_priority(io->time, TURNS_PRIORITY);
	if (r >= 0)
		r = sd_event_source_set_prepare(io->time, prepare);
	if (r >= 0)
		r = sd_event_source_set_enabled(io->time, SD_EVENT_ON);
	if (r < 0) {
		bus_io_free(io);
		return r;
	}
	*ret_io = io;
	return 0;
}

struct bus_io *bus_io_free(struct bus_io *io)
{
	if (!io)
		return NULL;
	sd_event_source_disable_unref(io->io);
	sd_event_source_disable_unref(io->time);
	closer_forget(io->bus->broker->closer, io);
	if (io->fd >= 0) {
		(void)shutdown(io->fd, SHUT_RDWR);
		closer_close(io->bus->broker->closer, 0, &io->fd, NULL, NULL);
	}
	free(io);
	return NULL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libccbuf: requests memory that a confidential guest shares with its host, or keeps private, from
 * the broker ccbufd over its socket.
 *
 *	struct ccbuf_request request = { .use = "rdma", .size = 65536,
 *		.flags = CCBUF_ACCEPT_SHARED };
 *	struct ccbuf_buffer buffer;
 *	struct ccbuf *broker;
 *	void *memory;
 *	int r;
 *
 *	r = ccbuf_connect(NULL, &broker);
 *	if (r == 0)
 *		r = ccbuf_request(broker, &request, &buffer);
 *	if (r > 0)
 *		fprintf(stderr, "refused: %s\n", ccbuf_reason(broker));
 *	else if (r == 0)
 *		r = ccbuf_map(buffer.fd, buffer.size, CCBUF_READ_WRITE, &memory);
 *
 * Results. Functions that return int return 0 when done, a negative errno value when something
 * failed, and, where they ask the broker, a positive enum ccbuf_verdict when it refused. A refusal
 * is an answer, not an error: ccbuf_verdict(), ccbuf_rule() and ccbuf_reason() return the details,
 * and the connection stays usable. Outputs are last, named ret_..., and untouched unless 0 is
 * returned.
 *
 * Ownership. A buffer is a file descriptor, close-on-exec, that belongs to the caller. It outlives
 * the connection, may be mapped, duplicated, passed on over a socket or given to a device, and is
 * closed with close(2). It stays charged to the requesting process until nobody holds it in any of
 * these ways. The use, which the administrator maps to a heap, determines the kind of fd: a
 * dma-buf, or a memfd where the machine has no heap and the policy says "emulated".
 *
 * Threads. A connection may be used by one thread at a time; different connections are
 * independent. ccbuf_map() and the functions after it need no connection and no lock.
 *
 * Processes. The broker knows a client by what it was when it connected. After fork(2) the child
 * makes its own connection. A shared connection gets the refusal CCBUF_IDENTITY_CHANGED, or replies
 * that belong to the other process.
 *
 * Trust. Sizes, grants and exposure come from the broker, which is trusted like root. The form of
 * each reply is still checked: for a malformed reply the library closes every fd that came with it
 * and ends the connection (-EBADMSG). "Exposure" is what the broker's policy and the kernel's heaps
 * say; only attestation of the guest proves it to somebody else.
 *
 * C99 and C++. The library needs the C library only.
 */
#ifndef CCBUF_H
#define CCBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CCBUF_SOCKET_PATH   "/run/ccbufd/ccbufd.sock"
#define CCBUF_USE_MAX	    63 /* bytes of a use's name, the NUL not counted */
#define CCBUF_LABEL_MAX	    31 /* bytes of a label, likewise */
#define CCBUF_COUNT_MAX	    64 /* buffers in one request */
#define CCBUF_IN_FLIGHT_MAX 16 /* requests of a connection that wait for their reply */

/* The outcome of a request. The numbers are stable, and new ones are added at the end: treat an
 * unknown number as a refusal. */
enum ccbuf_verdict {
	CCBUF_GRANTED = 0,
	CCBUF_MALFORMED = 1,	     /* the request could not be understood */
	CCBUF_UNKNOWN_USE = 2,	     /* no use of that name that this process may have */
	CCBUF_DENIED = 3,	     /* a deny rule matched */
	CCBUF_NO_RULE = 4,	     /* no rule matched: default deny */
	CCBUF_CONSENT_REQUIRED = 5,  /* host-visible memory, without CCBUF_ACCEPT_SHARED */
	CCBUF_BAD_SIZE = 6,	     /* size or count is zero or overflows */
	CCBUF_BUFFER_LIMIT = 7,	     /* one buffer is larger than the rule allows */
	CCBUF_BYTES_LIMIT = 8,	     /* the bytes of a rule, a user or in total exceed a limit */
	CCBUF_BUFFERS_LIMIT = 9,     /* the number of buffers exceeds such a limit */
	CCBUF_RATE_LIMIT = 10,	     /* too many requests a second */
	CCBUF_HEAP_UNAVAILABLE = 11, /* the heap of this use is missing */
	CCBUF_OUT_OF_MEMORY = 12,    /* the heap does not have that amount now */
	CCBUF_AUDIT_FAILED = 13,     /* the record could not be written, nothing was handed out */
	CCBUF_IDENTITY_CHANGED = 14, /* the process is another program than at connect */
	CCBUF_BUSY = 15,	     /* too many requests are in flight */
	CCBUF_UNSUPPORTED = 16,	     /* the heap cannot do what is requested */
	CCBUF_UNKNOWN_GRANT = 17,    /* release: this process has no live grant of that number */
	CCBUF_NOT_PERMITTED = 18,    /* for root and group ccbuf-admin only */
	CCBUF_INTERNAL = 19	     /* the daemon failed; its journal says why */
};

/* What the host can do with the memory of a buffer. */
enum ccbuf_exposure {
	CCBUF_SHARED = 1,    /* the host reads and writes it, at any time */
	CCBUF_PRIVATE = 2,   /* in a confidential guest the host sees ciphertext at most */
	CCBUF_PROTECTED = 3, /* not even the guest's CPU reads it: it cannot be mapped */
	CCBUF_EMULATED = 4   /* ordinary memory (memfd) of a machine without a heap */
};

enum ccbuf_flags {
	/* Consent: the buffer may be memory that the host reads and writes. Without this flag such
	 * memory is refused, never handed out. */
	CCBUF_ACCEPT_SHARED = 1u << 0,
	/* The fd is read-only (a shared mapping for writing fails with -EACCES). */
	CCBUF_READ_ONLY = 1u << 1
};

enum ccbuf_access { CCBUF_READ = 1u << 0, CCBUF_WRITE = 1u << 1, CCBUF_READ_WRITE = 3u };

/* A request. Zero the members that you do not set. Borrowed for the call. */
struct ccbuf_request {
	const char *use;   /* a name that the policy defines: letters, digits, '.', '_', '-' */
	const char *label; /* shown in listings and in the audit trail: printable ASCII, NULL for
			      none */
	uint64_t size;	   /* bytes of each buffer; rounded up to whole pages */
	uint32_t count;	   /* buffers, at most CCBUF_COUNT_MAX; 0 stands for 1 */
	uint32_t flags;	   /* enum ccbuf_flags; unknown ones are -EINVAL */
};

struct ccbuf_buffer {
	uint64_t grant;	   /* its number in listings, in the audit trail and for a release */
	uint64_t size;	   /* bytes as allocated: whole pages, at least the request */
	int fd;		   /* yours; close-on-exec */
	uint32_t exposure; /* enum ccbuf_exposure */
};

/* A connection to the broker. */
struct ccbuf;

/*
 * Connects to the broker's socket: to path, or, if path is NULL, to the socket that the environment
 * variable CCBUF_SOCKET names (set-user-ID programs ignore it), or else to CCBUF_SOCKET_PATH.
 * 0; -ENOENT: no such socket; -ECONNREFUSED: nobody listens; -EACCES; -ENAMETOOLONG: path is too
 * long for a socket; -EPROTOTYPE: the socket is of another kind; -ENOMEM, -EMFILE.
 */
int ccbuf_connect(const char *path, struct ccbuf **ret_connection);

/* Closes the connection and frees it. Buffers stay. Takes NULL, returns NULL. */
struct ccbuf *ccbuf_free(struct ccbuf *connection);

/*
 * Requests buffers and waits for the answer. Grants all of request->count or none: ret_buffers is
 * an array of at least that many. 0; a verdict; -EINVAL: use, label, count or flags do not have the
 * form described above; -EBUSY: replies to ccbuf_request_send() or ccbuf_release_send() have not
 * been received yet; -EMFILE: the process has no room for so many fds, and those that came are
 * closed again (the connection stays usable); -ECONNRESET: the broker ended the connection;
 * -EBADMSG: its reply was malformed. After the last two the connection is no longer usable. Signals
 * do not end the wait; where they must, see ccbuf_request_send().
 */
int ccbuf_request(struct ccbuf *connection, const struct ccbuf_request *request,
	struct ccbuf_buffer *ret_buffers);

/*
 * Asks the broker to check a grant now instead of at its next regular check. Unmap the buffer and
 * close its fd first. ret_still_held (may be NULL) is false when the grant is gone and no longer
 * charged, and true while somebody (including this process) still holds the buffer. Returns the
 * same values as ccbuf_request(); the verdict is CCBUF_UNKNOWN_GRANT when this process has no such
 * grant.
 */
int ccbuf_release(struct ccbuf *connection, uint64_t grant, bool *ret_still_held);

/*
 * The last verdict on this connection (CCBUF_GRANTED before the first), and, for a refusal, the
 * name of the rule that decided (empty when none did) and the reason in words (UTF-8, one line; it
 * may quote names that other people chose, so handle control characters before you print it). The
 * strings belong to the connection and are valid until the next answer. Never NULL.
 */
unsigned int ccbuf_verdict(const struct ccbuf *connection);
const char *ccbuf_rule(const struct ccbuf *connection);
const char *ccbuf_reason(const struct ccbuf *connection);

/* The name of a verdict, such as "unknown-use", and a sentence that says what it means and what to
 * do. For a number that this version does not know, "unknown" and a general sentence. Constant,
 * never NULL. */
const char *ccbuf_verdict_name(unsigned int verdict);
const char *ccbuf_verdict_words(unsigned int verdict);
/* "shared", "private", "protected", "emulated"; "unknown" otherwise. Constant, never NULL. */
const char *ccbuf_exposure_name(unsigned int exposure);

/*
 * Several requests at a time. Send up to CCBUF_IN_FLIGHT_MAX, poll ccbuf_fd() for POLLIN, and
 * receive the replies. Replies may come in another order and are matched by id. None of these
 * functions waits.
 */

/* The connection's fd, only for poll(2) and similar calls. It belongs to the connection. */
int ccbuf_fd(const struct ccbuf *connection);

/* Like ccbuf_request() and ccbuf_release(), but these return once the question is sent. ret_id is
 * never 0. -EBUSY: CCBUF_IN_FLIGHT_MAX questions already wait; -EAGAIN: the socket takes no more
 * now, poll for POLLOUT. */
int ccbuf_request_send(
	struct ccbuf *connection, const struct ccbuf_request *request, uint64_t *ret_id);
int ccbuf_release_send(struct ccbuf *connection, uint64_t grant, uint64_t *ret_id);

struct ccbuf_reply {
	uint64_t id;	    /* of the question; 0 for a refusal of the connection as a whole */
	uint32_t verdict;   /* enum ccbuf_verdict */
	uint32_t n_buffers; /* 0 unless a request was granted */
	bool still_held;    /* of a release, as in ccbuf_release() */
	struct ccbuf_buffer buffers[CCBUF_COUNT_MAX];
};

/*
 * Receives one reply. Its fds belong to the caller. 0, with the verdict in the reply (also for
 * refusals); -EAGAIN: no reply has come yet; -EMFILE, -ECONNRESET, -EBADMSG as in ccbuf_request()
 * (after -EMFILE the question whose reply was lost counts as answered).
 */
int ccbuf_receive(struct ccbuf *connection, struct ccbuf_reply *ret_reply);

/*
 * Maps size bytes of a buffer from its beginning, shared. access is enum ccbuf_access. 0; -EACCES:
 * writing to a read-only buffer; -EINVAL: size is 0 or larger than the buffer, or access is
 * unknown; -ENODEV or -EPERM: the heap allows no mapping (protected memory); -ENOMEM.
 * Memory of exposure shared can change at any time: copy it, check the copy, then use the copy.
 */
int ccbuf_map(int fd, uint64_t size, unsigned int access, void **ret_address);
/* Unmaps a mapping of ccbuf_map(), with the same size. 0 or -EINVAL. */
int ccbuf_unmap(void *address, uint64_t size);

/*
 * These bracket access by the CPU to a mapped buffer while a device uses it too
 * (DMA_BUF_IOCTL_SYNC): ccbuf_begin() makes the device's writes visible to the CPU, ccbuf_end()
 * makes the CPU's writes visible to the device. access is what the CPU does between the two, the
 * same in both calls. 0, at once for an emulated buffer; -EINVAL, -ENOTTY: the fd is not a buffer;
 * or another negative errno of the exporter. Never -EINTR or -EAGAIN.
 */
int ccbuf_begin(int fd, unsigned int access);
int ccbuf_end(int fd, unsigned int access);

#ifdef __cplusplus
}
#endif

#endif

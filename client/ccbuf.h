/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libccbuf: memory that a confidential guest shares with its host, or keeps from it, asked for
 * from the broker ccbufd over its socket.
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
 * is an answer, not an error: ccbuf_verdict(), ccbuf_rule() and ccbuf_reason() tell it in full, and
 * the connection goes on. Outputs are last, named ret_..., and untouched unless 0 is returned.
 *
 * Ownership. A buffer is a file descriptor, close-on-exec, that belongs to the caller: it outlives
 * the connection, may be mapped, duplicated, passed on over a socket or given to a device, and is
 * closed with close(2). It stays charged to the process that asked for it until nobody holds it in
 * any of these ways. What the fd itself is (a dma-buf, or a memfd where the machine has no heap and
 * the policy says "emulated") follows from the use, which the administrator maps to a heap.
 *
 * Threads. A connection may be used by one thread at a time; different connections are
 * independent. ccbuf_map() and what follows it need no connection and no lock.
 *
 * Processes. The broker knows a client by what it was when it connected. After fork(2) the child
 * makes a connection of its own; one that is shared gets the refusal CCBUF_IDENTITY_CHANGED or
 * replies that belong to the other.
 *
 * Whence the facts. Sizes, grants and exposure come from the broker, which is trusted as root is;
 * the form of each reply is checked nevertheless, and a reply that is not in order closes every fd
 * that came with it and ends the connection (-EBADMSG). "Exposure" is what the broker's policy and
 * the kernel's heaps say; only attestation of the guest proves it to somebody else.
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

/* The outcome of a request. The numbers are stable, new ones are added at the end: treat one that
 * you do not know as a refusal. */
enum ccbuf_verdict {
	CCBUF_GRANTED = 0,
	CCBUF_MALFORMED = 1,	     /* the request could not be understood */
	CCBUF_UNKNOWN_USE = 2,	     /* no use of that name that this process may have */
	CCBUF_DENIED = 3,	     /* a deny rule matched */
	CCBUF_NO_RULE = 4,	     /* no rule matched: default deny */
	CCBUF_CONSENT_REQUIRED = 5,  /* host-visible memory, without CCBUF_ACCEPT_SHARED */
	CCBUF_BAD_SIZE = 6,	     /* size or count is zero or overflows */
	CCBUF_BUFFER_LIMIT = 7,	     /* one buffer is larger than the rule allows */
	CCBUF_BYTES_LIMIT = 8,	     /* the bytes of a rule, user or of all would exceed a limit */
	CCBUF_BUFFERS_LIMIT = 9,     /* likewise the number of buffers */
	CCBUF_RATE_LIMIT = 10,	     /* too many requests a second */
	CCBUF_HEAP_UNAVAILABLE = 11, /* the heap of this use is not there */
	CCBUF_OUT_OF_MEMORY = 12,    /* the heap has no such amount of memory now */
	CCBUF_AUDIT_FAILED = 13,     /* the record could not be written, nothing was handed out */
	CCBUF_IDENTITY_CHANGED = 14, /* the process is another program than at connect */
	CCBUF_BUSY = 15,	     /* too many requests are in flight */
	CCBUF_UNSUPPORTED = 16,	     /* the heap cannot do what is asked */
	CCBUF_UNKNOWN_GRANT = 17,    /* release: no live grant of that number is this process's */
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
	/* Consent: the buffer may be memory that the host reads and writes. Without it such memory
	 * is refused, never handed out. */
	CCBUF_ACCEPT_SHARED = 1u << 0,
	/* The fd allows reading only (a shared mapping for writing fails with -EACCES). */
	CCBUF_READ_ONLY = 1u << 1
};

enum ccbuf_access { CCBUF_READ = 1u << 0, CCBUF_WRITE = 1u << 1, CCBUF_READ_WRITE = 3u };

/* What to ask for. Zero the members that you do not set. Borrowed for the call. */
struct ccbuf_request {
	const char *use;   /* a name that the policy defines: letters, digits, '.', '_', '-' */
	const char *label; /* shown in listings and in the audit trail: printable ASCII, NULL for
			      none */
	uint64_t size;	   /* bytes of each buffer; rounded up to whole pages */
	uint32_t count;	   /* buffers, at most CCBUF_COUNT_MAX; 0 stands for 1 */
	uint32_t flags;	   /* enum ccbuf_flags; unknown ones are -EINVAL */
};

struct ccbuf_buffer {
	uint64_t grant;	   /* the number by which listings, audit trail and release know it */
	uint64_t size;	   /* bytes as allocated, a multiple of the page size, at least as asked */
	int fd;		   /* yours; close-on-exec */
	uint32_t exposure; /* enum ccbuf_exposure */
};

/* A connection to the broker. */
struct ccbuf;

/*
 * Connects to the broker's socket: to path, or, if it is NULL, to what the environment variable
 * CCBUF_SOCKET names (not heeded in set-user-ID programs), or to CCBUF_SOCKET_PATH.
 * 0; -ENOENT: no such socket; -ECONNREFUSED: nobody listens; -EACCES; -ENAMETOOLONG: path is
 * longer than a socket's may be; -EPROTOTYPE: it is a socket of another kind; -ENOMEM, -EMFILE.
 */
int ccbuf_connect(const char *path, struct ccbuf **ret_connection);

/* Closes the connection and frees it. Buffers stay. Takes NULL, returns NULL. */
struct ccbuf *ccbuf_free(struct ccbuf *connection);

/*
 * Asks for buffers and waits for the answer. All of request->count, or none: ret_buffers is an
 * array of at least that many. 0; a verdict; -EINVAL: use, label, count or flags are not of the
 * form described; -EBUSY: replies to ccbuf_request_send() or ccbuf_release_send() are still to be
 * received; -EMFILE: the process has no room for so many fds, those that came are closed again
 * (the connection goes on); -ECONNRESET: the broker ended the connection; -EBADMSG: its reply was
 * not in order. After the last two the connection is of no more use. Waits are not ended by
 * signals: for that, see ccbuf_request_send().
 */
int ccbuf_request(struct ccbuf *connection, const struct ccbuf_request *request,
	struct ccbuf_buffer *ret_buffers);

/*
 * Asks the broker to look at a grant now, instead of when it next comes by. Unmap the buffer and
 * close its fd first. ret_still_held (may be NULL) is false when the grant is gone and no longer
 * charged, true while somebody (this process too) still holds the buffer. Returns as
 * ccbuf_request(); the verdict is CCBUF_UNKNOWN_GRANT when this process has no such grant.
 */
int ccbuf_release(struct ccbuf *connection, uint64_t grant, bool *ret_still_held);

/*
 * The last verdict that this connection brought (CCBUF_GRANTED before the first), and, of a
 * refusal, the name of the rule that decided (empty when none did) and the reason in words (UTF-8,
 * one line; it may quote names that other people chose: mind control characters before you print
 * it). Strings belong to the connection and hold until the next answer. Never NULL.
 */
unsigned int ccbuf_verdict(const struct ccbuf *connection);
const char *ccbuf_rule(const struct ccbuf *connection);
const char *ccbuf_reason(const struct ccbuf *connection);

/* "unknown-use"; and a sentence on what it means and what to do. "unknown" and a general sentence
 * for a number that this version does not know. Constant, never NULL. */
const char *ccbuf_verdict_name(unsigned int verdict);
const char *ccbuf_verdict_words(unsigned int verdict);
/* "shared", "private", "protected", "emulated"; "unknown" otherwise. Constant, never NULL. */
const char *ccbuf_exposure_name(unsigned int exposure);

/*
 * Several requests at a time. Send up to CCBUF_IN_FLIGHT_MAX, poll ccbuf_fd() for POLLIN, receive
 * what has come. Replies may come in another order and are matched by id. None of these waits.
 */

/* The connection's fd, for poll(2) and its kin only. It belongs to the connection. */
int ccbuf_fd(const struct ccbuf *connection);

/* As ccbuf_request() and ccbuf_release(), but they return once the question is sent. ret_id is
 * never 0. -EBUSY: CCBUF_IN_FLIGHT_MAX wait already; -EAGAIN: the socket takes no more now, poll
 * for POLLOUT. */
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
 * Receives one reply. Its fds belong to the caller. 0, with the verdict in the reply (refusals
 * too); -EAGAIN: none has come yet; -EMFILE, -ECONNRESET, -EBADMSG as in ccbuf_request() (after
 * -EMFILE the question that was lost is answered: it is no longer waited for).
 */
int ccbuf_receive(struct ccbuf *connection, struct ccbuf_reply *ret_reply);

/*
 * Maps size bytes of a buffer from its beginning, shared. access is enum ccbuf_access. 0; -EACCES:
 * writing asked of a read-only buffer; -EINVAL: size is 0, or larger than the buffer, or an access
 * unknown; -ENODEV or -EPERM: the heap allows no mapping (protected memory); -ENOMEM.
 * Memory of exposure shared can change under the reader at any time: copy, then check, then use.
 */
int ccbuf_map(int fd, uint64_t size, unsigned int access, void **ret_address);
/* Unmaps what ccbuf_map() gave, with the same size. 0 or -EINVAL. */
int ccbuf_unmap(void *address, uint64_t size);

/*
 * Brackets access by the CPU to a mapped buffer while a device uses it too: makes what the device
 * wrote visible before, and what the CPU wrote visible after (DMA_BUF_IOCTL_SYNC). access is what
 * the CPU does between the two, the same in both. 0, at once for an emulated buffer; -EINVAL,
 * -ENOTTY: the fd is no buffer, or another negative errno of the exporter. -EINTR and -EAGAIN are
 * never returned.
 */
int ccbuf_begin(int fd, unsigned int access);
int ccbuf_end(int fd, unsigned int access);

#ifdef __cplusplus
}
#endif

#endif

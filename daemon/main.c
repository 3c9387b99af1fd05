/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Start, signals and stop: makes the parts in the order of their dependencies, and frees them in
 * the reverse order. It knows nothing of requests.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "audit/trouble.h"
#include "base/log.h"
#include "broker.h"
#include "config.h"
#include "front/bus.h"
#include "front/closer.h"
#include "front/socket.h"
#include "lease.h"
#include "notify.h"
#include "options.h"
#include "reload.h"
#include "review.h"
#include "revoke.h"
#include "sandbox.h"
#include "user/turns.h"
#include "util.h"
#include "ways.h"

#define EXIT_USAGE   2
#define AUDIT_ROTATE (UINT64_C(64) << 20) /* bytes */
#define AUDIT_KEEP   64			  /* rotated files: 4 GiB with the above */
#define FOLD_AFTER   8
#define FOLD_USEC    60000000
#define DRAIN_USEC   5000000 /* how long a stop waits for requests under way */

struct daemon {
	const struct options *options;
	struct broker broker;
	struct socket_server *socket;
	struct bus *bus;
	struct notify *notify;
	struct helper_settings helper_settings;
	bool ready, loaded, stopping;
	int result; /* of the first load, or of a part that the daemon cannot do without */
};

static void tell_ready(void *userdata)
{
	struct daemon *daemon = userdata;

	if (daemon->ready)
		return;
	daemon->ready = true;
	notify_ready(daemon->notify, daemon->broker.policy_error
					     ? "The policy has mistakes; see the journal"
					     : "Serving");
}

static void on_reloaded(void *userdata, int result)
{
	struct daemon *daemon = userdata;

	notify_ready(daemon->notify,
		result < 0 ? "The policy has mistakes, the former one is kept; see the journal"
			   : "Serving");
	if (result >= 0)
		log_info("policy: reloaded");
}

static int on_hup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct daemon *daemon = userdata;
	int r;

	(void)source, (void)info;
	r = reload_policy(&daemon->broker, on_reloaded, daemon);
	if (r > 0)
		return 0; /* the service manager hears once of many */
	notify_reloading(daemon->notify);
	if (r < 0)
		on_reloaded(daemon, -ENOMEM);
	return 0;
}

static int on_terminate(
	sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct daemon *daemon = userdata;

	(void)source, (void)info;
	daemon->stopping = true;
	return 0;
}

static int add_signals(struct daemon *daemon)
{
	sd_event *loop = daemon->broker.loop;
	sigset_t signals;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	/* A file that is too large must be an errno, not a signal that kills. Nor must somebody who
	 * opens a file with a lease of ours kill the daemon. */
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	r = sd_event_add_signal(loop, NULL, SIGTERM, on_terminate, daemon);
	if (r >= 0)
		r = sd_event_add_signal(loop, NULL, SIGINT, on_terminate, daemon);
	if (r >= 0)
		r = sd_event_add_signal(loop, NULL, SIGHUP, on_hup, daemon);
	return r;
}

static int open_audit(struct daemon *daemon)
{
	const struct options *options = daemon->options;
	struct audit_settings settings = {
		.path = options->audit,
		.rotate_bytes = AUDIT_ROTATE,
		.keep = AUDIT_KEEP,
		.journal = !options->no_journal,
		.fold_after = FOLD_AFTER,
		.fold_usec = FOLD_USEC,
	};
	struct audit_event start = { .kind = AUDIT_START, .reason = "version " CCBUF_VERSION };
	char lease[LEASE_WORDS_MAX], words[AUDIT_TROUBLE_TEXT];
	int r;

	if (lease_words(AT_FDCWD, options->audit, lease))
		log_warning("audit: waiting for %s: %s", options->audit, lease);
	r = audit_new(daemon->broker.loop, &settings, &daemon->broker.audit);
	if (r == -EINTR) {
		daemon->stopping = true; /* a stop was requested meanwhile */
		return 0;
	}
	if (r < 0) {
		audit_trouble_words(options->audit, r, words, sizeof(words));
		log_error("audit: %s", words);
	}
	return r < 0 ? r : audit_append(daemon->broker.audit, &start, NULL, NULL);
}

static int open_socket(struct daemon *daemon)
{
	int fd, r, n = sd_listen_fds(1);

	if (n > 1 || (n == 1 && sd_is_socket_unix(
					SD_LISTEN_FDS_START, SOCK_SEQPACKET, 1, NULL, 0) <= 0)) {
		log_error("socket: systemd must pass one listening sequential-packet socket");
		return -EINVAL;
	}
	if (n == 1) {
		fd = SD_LISTEN_FDS_START;
	} else {
		r = socket_listen(daemon->options->socket, &fd);
		if (r < 0) {
			log_error("socket: cannot listen on %s: %s%s", daemon->options->socket,
				strerror(-r),
				r == -ENOENT	   ? "; its folder must exist"
				: r == -EADDRINUSE ? "; is ccbufd running already?"
				: r == -ENOTSOCK   ? "; remove the file that is there"
						   : "");
			return r;
		}
	}
	r = socket_server_new(&daemon->broker, &fd, &daemon->socket);
	if (r < 0)
		log_error("socket: cannot be served: %s", strerror(-r));
	return r;
}

static int open_bus(struct daemon *daemon)
{
	int r;

	if (daemon->options->no_bus) {
		tell_ready(daemon);
		return 0;
	}
	r = bus_new(&daemon->broker, tell_ready, daemon, &daemon->bus);
	if (r < 0)
		log_error("bus: %s", strerror(-r));
	return r;
}

static void on_helper_lost(void *userdata)
{
	struct daemon *daemon = userdata;

	log_error("the helper process is gone; ccbufd cannot serve requests");
	daemon->result = -ECHILD;
	daemon->stopping = true;
}

/* Before there are threads, files and signal handlers that it would inherit. */
static int start_helper(struct daemon *daemon)
{
	int r;

	daemon->helper_settings = (struct helper_settings){
		.policy_dirs = daemon->options->policy_dirs,
		.policy_named = daemon->options->own_policy,
		.policy_trusted_uid = daemon->options->own_policy ? geteuid() : 0,
		.admin_group = ADMIN_GROUP,
		.no_filter = daemon->options->no_seccomp,
	};
	r = helper_new(&daemon->helper_settings, &daemon->broker.helper);
	return r < 0 ? r : sandbox_drop_rights();
}

static void on_first_load(void *userdata, int result)
{
	struct daemon *daemon = userdata;

	daemon->loaded = true;
	if (result < 0 && !daemon->stopping)
		daemon->result = result;
}

/* Nothing is served yet: waits for the load, or a stop. */
static int load_policy(struct daemon *daemon)
{
	struct broker *broker = &daemon->broker;
	int r = reload_policy(broker, on_first_load, daemon);

	while (r >= 0 && !daemon->stopping &&
		!(daemon->loaded && inspections_ready(broker->inspections)))
		r = sd_event_run(broker->loop, UINT64_MAX);
	if (r < 0 || daemon->result < 0) {
		log_error("start: there is no valid policy, so there is nothing to serve");
		return r < 0 ? r : daemon->result;
	}
	return 0;
}

static void raise_fd_limit(void)
{
	struct rlimit fds;

	if (getrlimit(RLIMIT_NOFILE, &fds) < 0)
		return;
	fds.rlim_cur = fds.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &fds);
}

static int start(struct daemon *daemon)
{
	struct broker *broker = &daemon->broker;
	int r;

	/* Before anything uses the folder. */
	if (heaps_may_hang(daemon->options->heaps)) {
		log_error("heaps: %s lies on a file system that may not answer (FUSE, a network); "
			  "heap nodes lie on devtmpfs or tmpfs",
			daemon->options->heaps);
		return -EINVAL;
	}
	policy_facts_detect(0, &broker->facts);
	ways_warn(daemon->options);
	/* Buffers and connections are fds. The soft limit is meant for programs that use
	 * select(). */
	raise_fd_limit();
	/* Before there is a thread, or anything that these processes must not have. */
	r = closer_new(&broker->closer);
	if (r >= 0)
		r = start_helper(daemon);
	if (r >= 0)
		r = sd_event_default(&broker->loop);
	if (r >= 0)
		r = helper_attach(broker->helper, broker->loop, on_helper_lost, daemon);
	if (r >= 0)
		r = closer_attach(broker->closer, broker->loop);
	if (r >= 0)
		r = add_signals(daemon);
	if (r >= 0)
		r = notify_new(broker->loop, &daemon->notify);
	if (r < 0) {
		log_error("start: %s", strerror(-r));
		return r;
	}
	r = broker_new_users(broker);
	if (r >= 0)
		r = inspections_new(
			broker->helper, broker->loop, broker->users, &broker->inspections);
	if (r < 0)
		return r;
	broker->heaps = heaps_new(daemon->options->heaps);
	if (!broker->heaps)
		return -ENOMEM;
	r = open_audit(daemon);
	if (r < 0 || daemon->stopping)
		return r;
	r = turns_new(broker->loop, &broker->turns);
	if (r >= 0)
		r = workers_new(broker->loop, &broker->workers);
	if (r < 0) {
		log_error("start: %s", strerror(-r));
		return r;
	}
	r = load_policy(daemon);
	if (r < 0 || daemon->stopping)
		return r;
	r = ledger_new(broker->loop, broker->audit, &broker->ledger);
	if (r >= 0)
		r = heap_events_new(broker->loop, broker->heaps, broker->ledger, broker->audit,
			&broker->heap_events);
	if (r >= 0)
		r = review_new(broker, &broker->review);
	if (r < 0) {
		log_error("start: %s", strerror(-r));
		return r;
	}
	ledger_set_workers(broker->ledger, broker->workers);
	r = open_socket(daemon);
	if (r >= 0)
		r = open_bus(daemon);
	if (r >= 0 && !daemon->options->no_seccomp) {
		r = sandbox_enter();
		if (r < 0)
			log_error("sandbox: the system call filter cannot be loaded: %s",
				strerror(-r));
	}
	return r;
}

/* Waits a limited time for the requests under way. */
static void drain(struct daemon *daemon)
{
	struct broker *broker = &daemon->broker;
	uint64_t now, end;

	sd_event_now(broker->loop, CLOCK_MONOTONIC, &now);
	for (end = now + DRAIN_USEC; broker->n_requests > 0 && now < end;) {
		if (sd_event_run(broker->loop, end - now) < 0)
			break;
		sd_event_now(broker->loop, CLOCK_MONOTONIC, &now);
	}
}

static void stop(struct daemon *daemon)
{
	struct audit_event event = { .kind = AUDIT_STOP };
	struct broker *broker = &daemon->broker;

	notify_stopping(daemon->notify);
	if (daemon->socket)
		socket_server_stop(daemon->socket);
	if (daemon->bus)
		bus_stop(daemon->bus);
	reload_stop(broker);
	if (broker->inspections)
		inspections_stop(broker->inspections);
	drain(daemon);
	/* Requests still under way find their connection gone, and are undone as undelivered. */
	socket_server_free(daemon->socket);
	bus_free(daemon->bus);
	if (broker->ledger)
		ledger_set_workers(broker->ledger, NULL);
	broker->workers = workers_free(broker->workers);
	broker->inspections = inspections_free(broker->inspections);
	broker->helper = helper_free(broker->helper);
	/* Their records are appended while the trail is still open. */
	drain(daemon);
	if (broker->ledger)
		ledger_record_rest(broker->ledger);
	if (broker->audit)
		audit_append(broker->audit, &event, NULL, NULL);
	if (broker->audit && audit_close(broker->audit) < 0)
		log_error("audit: the file system of %s does not answer; records that were not "
			  "written are lost, including that of this stop",
			daemon->options->audit);
	audit_free(broker->audit);
	revoke_stop(broker);
	review_free(broker->review);
	heap_events_free(broker->heap_events);
	ledger_free(broker->ledger);
	closer_free(broker->closer);
	turns_free(broker->turns);
	users_free(broker->users);
	heaps_free(broker->heaps);
	policy_unref(broker->policy);
	free(broker->policy_error);
	notify_free(daemon->notify);
	sd_event_unref(broker->loop);
}

/* No file that is opened later may get the number of a standard one. */
static void open_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	close_fd(&fd);
}

int main(int argc, char **argv)
{
	struct options options;
	struct daemon daemon = { .options = &options };
	int r;

	open_standard_files();
	r = options_parse(argc, argv, &options);
	if (r <= 0)
		return r < 0 ? EXIT_USAGE : EXIT_SUCCESS;
	r = start(&daemon);
	if (r < 0) {
		/* The cause has usually been logged; its errno would only confuse. */
		log_error("cannot start: %s", r == -ENOMEM ? "out of memory" : "see above");
	} else {
		while (r >= 0 && !daemon.stopping)
			r = sd_event_run(daemon.broker.loop, UINT64_MAX);
		if (r < 0)
			log_error("the event loop failed: %s", strerror(-r));
	}
	stop(&daemon);
	return r < 0 || daemon.result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

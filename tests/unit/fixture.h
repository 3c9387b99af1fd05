/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of the daemon's parts share: a folder that goes away, an event loop, an audit
 * trail and what it says, a policy of a text, this process and its children as peers, and a count
 * of the fds that are open.
 */
#pragma once

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "audit/audit.h"
#include "helper/helper.h"
#include "peer/peer.h"
#include "policy.h"
#include "runner.h"
#include "util.h"

#if defined __SANITIZE_ADDRESS__
#define UNDER_SANITIZER 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER 0
#endif

struct fixture {
	char folder[64];
	char trail[96]; /* audit.jsonl in it */
	sd_event *loop;
	struct audit *audit;
	struct helper *helper;
	struct inspections *inspections;
	struct users *users;	/* nothing is limited unless a test does so */
	size_t fds;		/* open before */
	char why[PEER_WHY_MAX]; /* of the last look */
};
extern struct fixture fixture;

/* For struct test_hooks. The second fails when fds are open that were not before: what a
 * test opens it closes, or its own fixture does, which is added after this one. */
void fixture_set_up(void);
void fixture_tear_down(void);
/* Ends the trail before the tear-down, so that every done() has been called. */
void fixture_end_audit(void);

/* Why a test cannot run here; it passes. */
#define fixture_skip(...)                                                                          \
	do {                                                                                       \
		fprintf(stderr, "skipped: " __VA_ARGS__);                                          \
		fputc('\n', stderr);                                                               \
		return;                                                                            \
	} while (0)

size_t fixture_fds(void);

/* Runs the loop until a condition holds; fails after 10 s without an event. */
#define fixture_run_until(condition)                                                               \
	do {                                                                                       \
		while (!(condition))                                                               \
			ck_assert_int_gt(sd_event_run(fixture.loop, 10000000), 0);                 \
	} while (0)

/* Runs the loop as long as something is ready, or a process is being looked at. */
void fixture_settle(void);

/* Waits until everything that was appended so far is recorded, or failed. */
void fixture_audit_wait(void);
/* The lines of the trail that contain a text; NULL for all lines. */
size_t fixture_trail_count(const char *part);
/* The last line that does, without newline; the caller frees it. NULL when none does. */
char *fixture_trail_last(const char *part);
/* From now on no record can be written, and from then on they can. */
void fixture_audit_fail(void);
void fixture_audit_heal(void);

struct policy *fixture_policy(const char *text);

/* This process, strong where the kernel can say so. */
struct peer *fixture_self(void);

/* What peer_identify() and peer_recheck() come to, why in fixture.why. */
int fixture_identify(struct peer_claim *claim, struct peer **ret_peer);
int fixture_recheck(struct peer *peer);

/* A child that does what it is told and then waits: call returns in the child after each word. */
struct child {
	pid_t pid;
	int fd; /* the parent's end of a seqpacket socket pair */
};
void child_start(struct child *child, void (*run)(int fd, void *userdata), void *userdata);
/* As a peer, from its end of the socket. */
struct peer *child_peer(const struct child *child);
void child_say(const struct child *child, char word);
char child_hear(const struct child *child);
/* Waits for its end; the status of waitpid(). */
int child_wait(struct child *child);
void child_kill(struct child *child);

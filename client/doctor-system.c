/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Examines the guest, the kernel and the policy files for doctor. It tries features instead of
 * trusting version numbers.
 */
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "findings.h"
#include "output.h"
#include "platform.h"
#include "policy-files.h"

/* Both are newer than the headers that this may be built with. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
struct pidfd_information {
	uint64_t mask;
	char rest[56];
};
#define PIDFD_INFORMATION _IOWR(0xff, 11, struct pidfd_information)

void examine_platform(struct findings *findings)
{
	struct platform platform;

	platform_detect(&platform);
	if (streq(platform.name, "none"))
		found(findings, STATUS_WARNING, "platform",
			"the host can read all memory here, whatever the heap",
			"not a confidential guest (%s)", platform.evidence);
	else if (!platform.certain)
		found(findings, STATUS_WARNING, "platform",
			"run doctor as root with module msr loaded to be sure",
			"confidential guest of type %s, as %s", platform.name, platform.evidence);
	else
		found(findings, STATUS_OK, "platform", NULL,
			"confidential guest of type %s: %s; only attestation proves it",
			platform.name, platform.evidence);
}

static bool has_peer_pidfd(void)
{
	int pair[2], pidfd = -1;
	socklen_t size = sizeof(pidfd);
	bool has;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	has = getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0;
	close_fd(&pidfd);
	close(pair[0]);
	close(pair[1]);
	return has;
}

static bool has_pidfd_information(void)
{
	struct pidfd_information information = { 0 };
	cleanup(cleanup_fd) int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	return pidfd >= 0 && ioctl(pidfd, PIDFD_INFORMATION, &information) == 0;
}

static bool has_memfd(void)
{
	cleanup(cleanup_fd) int fd = memfd_create("doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd >= 0;
}

void examine_kernel(struct findings *findings)
{
	struct utsname name;

	if (uname(&name) < 0)
		copy_string(name.release, sizeof(name.release), "unknown");
	if (has_peer_pidfd())
		found(findings, STATUS_OK, "kernel", NULL,
			"Linux %s names the peer of a socket by a pidfd: identities are strong",
			name.release);
	else
		found(findings, STATUS_WARNING, "kernel",
			"run Linux 6.5 or later, or write no rule with \"identity\": \"strong\"",
			"Linux %s has no SO_PEERPIDFD: identities on the socket are weak",
			name.release);
	if (has_pidfd_information())
		found(findings, STATUS_OK, "kernel", NULL, "PIDFD_GET_INFO is there");
	else
		found(findings, STATUS_OK, "kernel", NULL,
			"PIDFD_GET_INFO is not there (Linux 6.13 has it); /proc is read instead");
	if (has_memfd())
		found(findings, STATUS_OK, "kernel", NULL,
			"memfd_create works: uses on the emulated heap can be served");
	else
		found(findings, STATUS_WARNING, "kernel",
			"enable CONFIG_MEMFD_CREATE if a use maps to it",
			"memfd_create does not work: no emulated heap");
}

#define WARNINGS_MAX 10 /* of the policy; a last one says how many more there are */

/* Reports uses of missing heaps: their requests are refused. */
static void examine_uses(
	struct findings *findings, const struct places *places, struct json_object *uses)
{
	json_object_object_foreach(uses, use, value)
	{
		const char *heap = member_text(value, "heap");
		cleanup(cleanup_free) char *path = NULL;

		if (streq(heap, "emulated"))
			continue;
		if (asprintf(&path, "%s/%s", places->heaps, heap) < 0)
			abort();
		if (access(path, F_OK) < 0 && errno == ENOENT)
			found(findings, STATUS_WARNING, "policy", NULL,
				"use \"%s\" is for heap \"%s\", which is not here: requests for it "
				"are "
				"refused",
				use, heap);
	}
}

static void examine_warnings(struct findings *findings, struct json_object *warnings)
{
	size_t n = json_object_array_length(warnings);

	for (size_t i = 0; i < n && i < WARNINGS_MAX; i++)
		found(findings, STATUS_WARNING, "policy", NULL, "%s",
			json_object_get_string(json_object_array_get_idx(warnings, i)));
	if (n > WARNINGS_MAX)
		found(findings, STATUS_WARNING, "policy", "'ccbuf-client policy check' lists them",
			"and %zu more warnings", n - WARNINGS_MAX);
}

void examine_policy(struct findings *findings, const struct places *places)
{
	cleanup(cleanup_json) struct json_object *object = NULL;
	struct daemon_user caller = { .as_caller = true, .words = "you" };
	const struct daemon_user *user = places->user ? places->user : &caller;
	struct json_object *mistakes, *shown = NULL;
	size_t rules, n;

	object = policy_files_examine((const char *const *)places->policy, places->n_policy, user);
	if (!object) {
		found(findings, STATUS_PROBLEM, "policy", NULL,
			"the policy could not be examined for %s", user->words);
		return;
	}
	mistakes = json_object_object_get(object, "mistakes");
	n = json_object_array_length(mistakes);
	if (n)
		found(findings, STATUS_PROBLEM, "policy", "'ccbuf-client policy check' lists them",
			"%zu mistake%s in the policy files, the first: %s", n, n == 1 ? "" : "s",
			json_object_get_string(json_object_array_get_idx(mistakes, 0)));
	if (json_object_object_get_ex(object, "shown", &shown) && !n) {
		rules = json_object_array_length(json_object_object_get(shown, "rules"));
		if (rules)
			found(findings, STATUS_OK, "policy", NULL, "%zu rule%s, digest %s", rules,
				rules == 1 ? "" : "s", member_text(shown, "digest"));
		else
			found(findings, STATUS_WARNING, "policy",
				"allow somebody something: ccbuf-policy(5)",
				"no rules, so every request is refused");
	}
	examine_warnings(findings, json_object_object_get(object, "warnings"));
	if (shown)
		examine_uses(findings, places, json_object_object_get(shown, "uses"));
}

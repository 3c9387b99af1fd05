/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an inspecting process can know of processes on this machine. It relies on no version number:
 * it checks what the kernel shows of existing processes.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>

#include "policy-internal.h"
#include "policy-load.h"

#define CAP_SYS_PTRACE_BIT 19

/* The path of a process in the cgroup v2 hierarchy; NULL when the text has none. */
static const char *unified(const char *cgroups, size_t *ret_length)
{
	for (const char *line = cgroups; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, "0::", 3)) {
			*ret_length = strcspn(line + 3, "\n");
			return line + 3;
		}
	}
	return NULL;
}

/* Whether the process is in a unit there. Every process is, where systemd uses that hierarchy. */
static bool in_unit(const char *cgroups)
{
	static const char *const kinds[] = { ".service", ".scope" };
	size_t length = 0;
	const char *path = unified(cgroups, &length);

	for (const char *p = path; p && p < path + length; p += strcspn(p, "/\n")) {
		size_t part = strcspn(++p, "/\n");

		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
			size_t kind = strlen(kinds[i]);

			if (part > kind && !strncmp(p + part - kind, kinds[i], kind))
				return true;
		}
	}
	return false;
}

static bool is_below(const char *cgroups)
{
	size_t length = 0;

	return unified(cgroups, &length) && length > 1;
}

static bool has_other_hierarchy(const char *cgroups)
{
	return strstr(cgroups, ":name=systemd:") != NULL;
}

void policy_facts_judge(const struct policy_view *view, struct policy_facts *ret_facts)
{
	struct policy_facts facts = { 0 };
	size_t length;
	bool shown = unified(view->own_cgroups, &length) || unified(view->init_cgroups, &length);
	bool other =
		has_other_hierarchy(view->own_cgroups) || has_other_hierarchy(view->init_cgroups);
	bool units = in_unit(view->own_cgroups) || in_unit(view->init_cgroups);
	bool used = is_below(view->own_cgroups) || is_below(view->init_cgroups);

	if (!shown)
		facts.unknown[POLICY_FACT_CGROUP] =
			"the kernel shows no control group of version 2";
	else if (!used && other)
		facts.unknown[POLICY_FACT_CGROUP] =
			"the control groups of version 1 are used here, not those of version 2 "
			"(systemd.unified_cgroup_hierarchy=1 on the kernel's command line)";
	facts.unknown[POLICY_FACT_UNIT] = facts.unknown[POLICY_FACT_CGROUP];
	if (!units && !facts.unknown[POLICY_FACT_UNIT])
		facts.unknown[POLICY_FACT_UNIT] =
			"systemd does not run here, or not with control groups of version 2";
	if (!(view->capabilities & (UINT64_C(1) << CAP_SYS_PTRACE_BIT)))
		facts.unknown[POLICY_FACT_EXE] = facts.unknown[POLICY_FACT_CONTAINER] =
			"ccbufd may not look at processes of other users (it lacks CAP_SYS_PTRACE)";
	if (!view->labels)
		facts.unknown[POLICY_FACT_LABEL] =
			"no security module gives sockets a label (SELinux, AppArmor, Smack)";
	*ret_facts = facts;
}

static void read_text(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "re");
	size_t length = 0;

	if (file) {
		length = fread(text, 1, size - 1, file);
		fclose(file);
	}
	text[length] = 0;
}

static bool has_labels(void)
{
	char label[1024];
	socklen_t size = sizeof(label);
	int pair[2];
	bool has;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	has = getsockopt(pair[0], SOL_SOCKET, SO_PEERSEC, label, &size) == 0 || errno == ERANGE;
	close(pair[0]);
	close(pair[1]);
	return has;
}

/* The permitted capabilities of a process. False when they cannot be read. */
static bool permitted(pid_t pid, uint64_t *ret_capabilities)
{
	char status[8192], path[64];
	const char *line;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	read_text(path, status, sizeof(status));
	line = strstr(status, "\nCapPrm:");
	return line && sscanf(line, "\nCapPrm: %" SCNx64, ret_capabilities) == 1;
}

/* The same for a process and its children, one of which may inspect for it. */
static uint64_t permitted_in_all(pid_t pid)
{
	char children[1024], path[64], *p = children, *end;
	uint64_t all, one;

	if (!permitted(pid, &all))
		return ~UINT64_C(0);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	read_text(path, children, sizeof(children));
	for (; (pid = (pid_t)strtol(p, &end, 10)) > 0 && end != p; p = end)
		if (permitted(pid, &one))
			all |= one;
	return all;
}

void policy_facts_detect(pid_t looks, struct policy_facts *ret_facts)
{
	char own[4096], init[4096];
	struct policy_view view = { .own_cgroups = own, .init_cgroups = init };

	read_text("/proc/self/cgroup", own, sizeof(own));
	read_text("/proc/1/cgroup", init, sizeof(init));
	view.capabilities = looks < 0 ? ~UINT64_C(0) : permitted_in_all(looks ? looks : getpid());
	view.labels = has_labels();
	policy_facts_judge(&view, ret_facts);
}

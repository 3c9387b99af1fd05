/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as policy files (a NUL byte ends one and begins the next), and decisions of whatever
 * policy comes of it. With FUZZ_REPLAY it is an ordinary program that runs files, or all files of
 * folders, once. It must never accept what breaks a promise of policy.h: it aborts.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "policy-internal.h"

#define FILES_MAX 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As assert(), in release builds too. */
static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "broken promise: %s\n", what);
	abort();
}

static int resolve(void *userdata, const char *name, uint32_t *ret_id)
{
	(void)userdata;
	if (name[0] == 'n')
		return -ENOENT;
	if (name[0] == 'e')
		return -EIO;
	*ret_id = (uint32_t)strlen(name);
	return 0;
}

static void check_errors(struct policy_errors *errors)
{
	check(errors->count > 0, "a refused policy has a mistake");
	for (size_t i = 0; i < errors->count; i++)
		for (const char *p = errors->lines[i]; *p; p++)
			check((unsigned char)*p >= 0x20 && *p != 0x7f, "a mistake is one line");
	policy_errors_done(errors);
}

static const struct policy_entry *scan(const struct policy *policy, uint32_t use,
	const struct identity *peer, enum transport transport)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (policy_match_speaks(&policy->rules[i], use) &&
			policy_match_holds(&policy->rules[i].match, peer, transport))
			return &policy->rules[i];
	return NULL;
}

static void check_passed(void *userdata, const struct policy_rule *rule, const char *key)
{
	(void)userdata;
	check(rule && key, "a rule is passed over for a key");
}

static void check_decision(const struct policy *policy, const struct identity *peer,
	const char *use, enum transport transport)
{
	struct request request = { .size = 65536, .count = 2, .transport = transport };
	struct decision decision;
	const struct policy_entry *entry = NULL;
	int64_t position = policy_decide_use(policy, use);

	copy_string(request.use, sizeof(request.use), use);
	policy_decide(policy, peer, &request, &decision);
	check(memchr(decision.reason, 0, sizeof(decision.reason)) != NULL, "a reason ends");
	check((decision.verdict == CCBUF_GRANTED) == !decision.reason[0],
		"every refusal has a reason");
	if (position >= 0) {
		entry = scan(policy, (uint32_t)position, peer, transport);
		check(decision.heap != NULL, "a known use has a heap");
	}
	check(decision.rule == (entry ? &entry->rule : NULL), "the first rule decides");
	policy_each_passed_over(policy, peer, &request, decision.rule, check_passed, NULL);
	if (decision.verdict != CCBUF_GRANTED)
		return;
	check(entry && !entry->rule.deny, "no grant without a rule that allows");
	check(decision.exposure != EXPOSURE_UNKNOWN, "no grant of unknown exposure");
	check(decision.exposure != EXPOSURE_SHARED, "no shared memory without consent");
}

/* What is said of matches without a peer is true of every peer. */
static void check_implied(const struct policy *policy, const struct identity *peer)
{
	for (size_t i = 0; i < policy->n_rules && i < 16; i++) {
		const struct policy_match *a = &policy->rules[i].match;
		bool holds = policy_match_holds(a, peer, TRANSPORT_SOCKET);

		check(!holds || !policy_imply_never(a), "who matches nobody matches nobody");
		for (size_t j = 0; holds && j < policy->n_rules && j < 16; j++)
			check(!policy_imply_whole(a, &policy->rules[j].match) ||
					policy_match_holds(
						&policy->rules[j].match, peer, TRANSPORT_SOCKET),
				"whoever one matches, the other does");
	}
}

static void check_remarks(const struct policy *policy)
{
	static const struct policy_facts none = {
		.unknown = { "no", "no", "no", "no", "no" },
	};
	struct policy_errors lines = { 0 };

	check(policy_remarks(policy, &lines) == 0, "remarks are made");
	if (lines.count)
		check_errors(&lines);
	check(policy_unknowable(policy, &none, false, &lines) == 0, "it is told what is not known");
	if (lines.count)
		check_errors(&lines);
}

static void check_policy(const struct policy *policy)
{
	static gid_t groups[] = { 1, 2, 3, 100 };
	char unit[] = "a@1.service", exe[] = "/usr/bin/a", slice[] = "a.slice", label[] = "a",
	     cgroup[] = "/a.slice/a@1.service";
	const struct identity peers[] = {
		{ .uid = 0 },
		{ .uid = 3,
			.gid = 4,
			.groups = groups,
			.n_groups = 4,
			.exe = exe,
			.unit = unit,
			.slice = slice,
			.cgroup = cgroup,
			.lsm = label,
			.strong = true },
		{ .uid = 1000, .gid = 1000, .container = true, .cgroup = cgroup },
	};
	char *shown = policy_show(policy);

	check(shown != NULL, "a policy can be shown");
	free(shown);
	check_remarks(policy);
	for (size_t i = 0; i < ARRAY_SIZE(peers); i++) {
		check_implied(policy, &peers[i]);
		check_decision(policy, &peers[i], "undefined-use", TRANSPORT_SOCKET);
		for (size_t use = 0; use < policy->n_uses && use < 16; use++) {
			check_decision(policy, &peers[i], policy->uses[use].name, TRANSPORT_SOCKET);
			check_decision(policy, &peers[i], policy->uses[use].name, TRANSPORT_DBUS);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[FILES_MAX] = { "a.json", "b.json", "c.json", "d.json" };
	struct policy_env env = { .user = resolve, .group = resolve, .ram = UINT64_C(1) << 33 };
	struct policy_source sources[FILES_MAX];
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;
	size_t n = 0, at = 0;
	int r;

	while (at <= size && n < FILES_MAX) {
		const char *text = (const char *)data + at;
		const char *end =
			n + 1 < FILES_MAX && at < size ? memchr(text, 0, size - at) : NULL;
		size_t length = end ? (size_t)(end - text) : size - at;

		sources[n] = (struct policy_source){ paths[n], length ? text : "", length };
		n++;
		at += length + 1;
	}
	r = policy_new(sources, n, &env, &errors, &policy);
	check(r == 0 || r == -EINVAL, "a policy is good or has mistakes");
	check((r == 0) == (policy != NULL), "a policy comes with success only");
	if (r < 0)
		check_errors(&errors);
	else
		check_policy(policy);
	policy_unref(policy);
	return 0;
}

#ifdef FUZZ_REPLAY
static int replay(const char *path)
{
	FILE *from = fopen(path, "re");
	uint8_t *data = NULL;
	void *grown = NULL;
	size_t size = 0, capacity = 0;
	int c;

	if (!from) {
		perror(path);
		return 1;
	}
	while ((c = fgetc(from)) != EOF) {
		if (!policy_pool_grow(&grown, size, &capacity, 1))
			break;
		data = grown;
		data[size++] = (uint8_t)c;
	}
	fclose(from);
	/* a copy of the exact size, so that reading past its end is seen */
	data = malloc(size ? size : 1);
	if (data && size)
		memcpy(data, grown, size);
	if (data)
		LLVMFuzzerTestOneInput(data, size);
	free(data);
	free(grown);
	return c == EOF ? 0 : 1;
}

static int replay_all(const char *path)
{
	struct dirent *entry;
	struct stat st;
	int failed = 0, n = 0;
	DIR *dir;

	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return replay(path);
	dir = opendir(path);
	if (!dir) {
		perror(path);
		return 1;
	}
	while ((entry = readdir(dir))) {
		char *file = NULL;

		if (entry->d_name[0] == '.')
			continue;
		if (asprintf(&file, "%s/%s", path, entry->d_name) < 0)
			break;
		failed |= replay(file);
		free(file);
		n++;
	}
	closedir(dir);
	printf("%s: %d files\n", path, n);
	return failed || !n;
}

int main(int argc, char *argv[])
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= replay_all(argv[i]);
	return failed;
}
#endif

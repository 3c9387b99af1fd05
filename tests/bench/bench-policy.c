/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cost of a decision, with 10 rules and with 100, and with rules that ask for everything there
 * is. Each kind of rule is one that operators write; each peer has what a service really has, a
 * dozen groups included. It must never measure a refusal.
 */
#include "bench-policy.h"

#include <stdio.h>
#include <time.h>

#include "policy.h"
#include "util.h"

#define PEERS	  10
#define ROUNDS	  501 /* measured; the median counts */
#define DECISIONS 200 /* in each round: clock_gettime() is then a small part */

struct peer {
	struct identity identity;
	char unit[64], exe[64], cgroup[128], slice[32], label[32];
	gid_t groups[12];
};

static int resolve(void *userdata, const char *name, uint32_t *ret_id)
{
	(void)userdata;
	*ret_id = (uint32_t)strtoul(name + strcspn(name, "0123456789"), NULL, 10);
	return 0;
}

/* Ten kinds of rule in turn. */
static void write_rule(FILE *to, size_t i)
{
	fprintf(to, "%s{\"name\":\"r%zu\",\"match\":{", i ? "," : "", i);
	switch (i % PEERS) {
	case 0:
	case 1:
	case 2:
		fprintf(to, "\"unit\":\"app-%zu.service\",\"user\":\"u%zu\"", i, i);
		break;
	case 3:
	case 4:
		fprintf(to, "\"user\":\"u%zu\"", i);
		break;
	case 5:
		fprintf(to, "\"group\":[\"g%zu\",\"g%zu\"]", i, i + 1000000);
		break;
	case 6:
		fprintf(to, "\"exe\":\"/opt/app-%zu/bin/run\",\"user\":\"u%zu\"", i, i);
		break;
	case 7:
		fprintf(to, "\"unit\":\"job-%zu@*.service\",\"identity\":\"strong\"", i);
		break;
	case 8:
		fprintf(to, "\"exe\":\"/srv/tool-%zu/*/worker\",\"container\":false", i);
		break;
	default:
		fprintf(to, "\"cgroup\":\"/system.slice/pool-%zu.service\",\"not\":{\"user\":0}",
			i);
		break;
	}
	fprintf(to, "},\"allow\":{\"use\":[\"%s\",\"scratch\"],\"buffer\":\"256M\"}}",
		i % 2 ? "rdma" : "video");
}

/* Asks for all keys, and only the last that is looked at says whether it is the one. */
static void write_full_rule(FILE *to, size_t i)
{
	fprintf(to,
		"%s{\"name\":\"r%zu\",\"match\":{\"user\":[\"u1\",\"u2\",\"u3\"],"
		"\"group\":[\"g7\",\"g2000000\"],\"unit\":\"app-*.service\","
		"\"slice\":\"system.slice\",\"exe\":\"/opt/*/bin/run\",\"label\":\"unconfined\","
		"\"cgroup\":\"/system.slice\",\"container\":false,\"identity\":\"strong\","
		"\"transport\":\"socket\"%s},\"allow\":{\"use\":[\"rdma\",\"scratch\"]}}",
		i ? "," : "", i, i < PEERS - 1 ? ",\"not\":{\"unit\":\"app-1.service\"}" : "");
}

/* A process that exactly rule i is for. */
static void make_peer(struct peer *peer, size_t i)
{
	size_t kind = i % PEERS;

	snprintf(peer->unit, sizeof(peer->unit),
		kind == 7   ? "job-%zu@3.service"
		: kind == 9 ? "pool-%zu.service"
			    : "app-%zu.service",
		i);
	snprintf(peer->exe, sizeof(peer->exe),
		kind == 8 ? "/srv/tool-%zu/v2/worker" : "/opt/app-%zu/bin/run", i);
	snprintf(peer->cgroup, sizeof(peer->cgroup), "/system.slice/%s", peer->unit);
	copy_string(peer->slice, sizeof(peer->slice), "system.slice");
	copy_string(peer->label, sizeof(peer->label), "unconfined");
	for (size_t g = 0; g < ARRAY_SIZE(peer->groups); g++)
		peer->groups[g] = (gid_t)(2000000 + g);
	if (kind == 5)
		peer->groups[7] = (gid_t)i;
	peer->identity = (struct identity){
		.pid = 1000,
		.uid = kind == 5 || kind >= 7 ? 3000000 : (uid_t)i,
		.gid = 2000000,
		.groups = peer->groups,
		.n_groups = ARRAY_SIZE(peer->groups),
		.exe = peer->exe,
		.unit = peer->unit,
		.slice = peer->slice,
		.lsm = peer->label,
		.cgroup = peer->cgroup,
		.strong = true,
	};
}

static int make_policy(size_t rules, void (*write)(FILE *to, size_t i), struct policy **ret_policy)
{
	struct policy_env env = { .user = resolve, .group = resolve, .ram = UINT64_C(16) << 30 };
	struct policy_source source = { .path = "bench.json" };
	struct policy_errors errors = { 0 };
	cleanup(cleanup_free) char *text = NULL;
	FILE *to = open_memstream(&text, &source.size);
	int r;

	if (!to)
		return -ENOMEM;
	fputs("{\"version\":1,\"uses\":{\"rdma\":{\"heap\":\"system_cc_shared\"},"
	      "\"video\":{\"heap\":\"system\"},\"scratch\":{\"heap\":\"emulated\"}},\"rules\":[",
		to);
	for (size_t i = 0; i < rules; i++)
		write(to, i);
	fputs("]}", to);
	if (fclose(to))
		return -ENOMEM;
	source.text = text;
	r = policy_new(&source, 1, &env, &errors, ret_policy);
	for (size_t i = 0; i < errors.count; i++)
		fprintf(stderr, "%s\n", errors.lines[i]);
	policy_errors_done(&errors);
	return r;
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct bench {
	struct policy *policy;
	struct peer peers[PEERS];
	struct request requests[PEERS];
	uint64_t times[ROUNDS];
};

static void cleanup_bench(struct bench **bench)
{
	if (*bench)
		policy_unref((*bench)->policy);
	free(*bench);
}

static int bench_new(
	size_t rules, void (*write)(FILE *to, size_t i), bool one_peer, struct bench **ret_bench)
{
	static const char *const uses[] = { "video", "rdma" };
	cleanup(cleanup_bench) struct bench *bench = calloc(1, sizeof(*bench));
	int r;

	if (!bench)
		return -ENOMEM;
	r = make_policy(rules, write, &bench->policy);
	if (r < 0)
		return r;
	for (size_t i = 0; i < PEERS; i++) {
		/* one of each kind, spread from the first rule to the last */
		size_t rule = one_peer ? 1 : i * (rules / PEERS) / PEERS * PEERS + i;

		make_peer(&bench->peers[i], rule);
		bench->requests[i].size = 65536;
		bench->requests[i].count = 1;
		bench->requests[i].accept_shared = true;
		copy_string(bench->requests[i].use, sizeof(bench->requests[i].use), uses[rule % 2]);
	}
	*ret_bench = steal_pointer(&bench);
	return 0;
}

static int bench_round(struct bench *bench, size_t round)
{
	uint64_t begun = now();

	for (size_t i = 0; i < DECISIONS; i++) {
		struct decision decision;

		policy_decide(bench->policy, &bench->peers[i % PEERS].identity,
			&bench->requests[i % PEERS], &decision);
		if (decision.verdict != CCBUF_GRANTED)
			return -EINVAL;
	}
	bench->times[round] = now() - begun;
	return 0;
}

static uint64_t bench_median(struct bench *bench)
{
	qsort(bench->times, ROUNDS, sizeof(*bench->times), compare);
	return (bench->times[ROUNDS / 2] + DECISIONS / 2) / DECISIONS;
}

int bench_policy(struct bench_policy *ret_policy)
{
	cleanup(cleanup_bench) struct bench *few = NULL, *many = NULL, *full = NULL;
	int r;

	r = bench_new(10, write_rule, false, &few);
	if (r < 0)
		return r;
	r = bench_new(100, write_rule, false, &many);
	if (r < 0)
		return r;
	r = bench_new(PEERS, write_full_rule, true, &full);
	if (r < 0)
		return r;
	/* in turn, so that what else the machine does falls on all */
	for (size_t round = 0; round < ROUNDS; round++) {
		r = bench_round(few, round);
		if (r == 0)
			r = bench_round(many, round);
		if (r == 0)
			r = bench_round(full, round);
		if (r < 0)
			return r;
	}
	*ret_policy = (struct bench_policy){
		.ns_10 = bench_median(few),
		.ns_100 = bench_median(many),
		.ns_full = bench_median(full),
	};
	return 0;
}

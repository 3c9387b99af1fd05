/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of decisions: every match key, precedence, the order of the checks and their words, and the
 * index against a plain scan of all rules.
 */
#include "test-policy.h"

#define USES                                                                                       \
	"'uses':{'u':{'heap':'emulated'},'rdma':{'heap':'system_cc_shared'},"                      \
	"'odd':{'heap':'vendor'}}"
#define RULES(text) "{'version':1," USES ",'rules':[" text "]}"

static gid_t groups[] = { 20, 30, 40 };
static char exe[] = "/usr/bin/ib_write_bw", unit[] = "mpi@3.service", slice[] = "mpi.slice",
	    label[] = "/usr/bin/ib_write_bw (enforce)", cgroup[] = "/mpi.slice/mpi@3.service/sub",
	    odd_unit[] = "a\\x2db.service";

static const struct identity somebody = {
	.uid = 1001,
	.gid = 10,
	.groups = groups,
	.n_groups = 3,
	.exe = exe,
	.unit = unit,
	.slice = slice,
	.cgroup = cgroup,
	.lsm = label,
	.strong = true,
};
/* Of whom the kernel tells little. */
static const struct identity shadow = { .uid = 7, .gid = 7, .container = true };

static struct decision decide(const struct policy *policy, const struct identity *peer,
	const char *use, uint64_t size, uint32_t count, bool accept_shared)
{
	struct request request = { .size = size, .count = count, .accept_shared = accept_shared };
	struct decision decision;

	copy_string(request.use, sizeof(request.use), use);
	memset(&decision, 0xaa, sizeof(decision));
	policy_decide(policy, peer, &request, &decision);
	return decision;
}

/* Whether one rule with that match allows; asked of the index and of the match itself. */
static bool holds(const char *match, const struct identity *peer, enum transport transport)
{
	struct request request = { .use = "u", .size = 1, .count = 1, .transport = transport };
	struct decision decision;
	struct policy *policy;
	char *text = NULL;
	bool result;

	ck_assert_int_ge(
		asprintf(&text, RULES("{'name':'r','match':{%s},'allow':{'use':'u'}}"), match), 0);
	policy = test_policy(text);
	policy_decide(policy, peer, &request, &decision);
	result = policy_match_holds(&policy->rules[0].match, peer, transport);
	ck_assert_msg(result == (decision.verdict == CCBUF_GRANTED), "%s", match);
	policy_unref(policy);
	free(text);
	return result;
}

START_TEST(keys)
{
	static const char *const good[] = {
		"",
		"'user':'hpc'",
		"'user':1001",
		"'user':['root','alice','hpc','bob']",
		"'group':10",
		"'group':30",
		"'group':[1,2,40]",
		"'unit':'mpi@3.service'",
		"'unit':'mpi@*.service'",
		"'unit':'mpi@[0-9].service'",
		"'unit':'mpi@?.service'",
		"'unit':'*'",
		"'unit':['x.service','mpi@3.service']",
		"'unit':['*t','*e']",
		"'slice':'mpi.slice'",
		"'slice':'m*'",
		"'exe':'/usr/bin/ib_write_bw'",
		"'exe':'/usr/bin/ib_*'",
		"'exe':'/*/bin/ib_write_bw'",
		"'exe':'/usr/*/*'",
		"'label':'/usr/bin/ib_write_bw (enforce)'",
		"'cgroup':'/mpi.slice/mpi@3.service/sub'",
		"'cgroup':'/mpi.slice/mpi@3.service'",
		"'cgroup':'/mpi.slice'",
		"'cgroup':'/mpi.slice/*'",
		"'cgroup':'/*/mpi@*'",
		"'cgroup':'/*/*/sub'",
		"'container':false",
		"'identity':'strong'",
		"'identity':['weak','strong']",
		"'transport':'socket'",
		"'transport':['dbus','socket']",
		"'not':{'user':'root'}",
		"'not':{'user':'hpc','group':99}",
		"'not':{'not':{'user':'hpc'}}",
		"'user':'hpc','group':20,'unit':'mpi@*','slice':'mpi.slice','exe':'/usr/bin/*',"
		"'label':'/usr/bin/ib_write_bw (enforce)','cgroup':'/mpi.slice','container':false,"
		"'identity':'strong','transport':'socket','not':{'user':0}",
	};
	static const char *const bad[] = {
		"'user':'root'",
		"'user':['root','alice']",
		"'group':11",
		"'group':[1,50]",
		"'unit':'mpi@4.service'",
		"'unit':'mpi@3?.service'",
		"'unit':'mpi@3.*t'",
		"'unit':'pi@3.service'",
		"'slice':'system.slice'",
		"'exe':'/usr/bin/ib_write_b?w'",
		"'exe':'/usr/*'",
		"'exe':'/*'",
		"'exe':'/usr/bin/ib_write_bw2'",
		"'exe':'/usr/bin/ib_write'",
		"'label':'/usr/bin/*'",
		"'label':'/usr/bin/ib_write_bw'",
		"'cgroup':'/mpi.slice/mpi@3.service/sub/sub'",
		"'cgroup':'/mpi'",
		"'cgroup':'/'",
		"'cgroup':'/*/sub'",
		"'container':true",
		"'identity':'weak'",
		"'transport':'dbus'",
		"'not':{'user':'hpc'}",
		"'not':{'unit':'mpi@*.service','user':'hpc'}",
		"'not':{'not':{'user':'root'}}",
		"'user':'hpc','unit':'x.service'",
		"'user':'root','unit':'mpi@3.service'",
	};
	/* what the kernel does not tell holds for no key, and so does hold for its "not" */
	static const char *const unknown[] = { "'unit':'*'", "'slice':'*'", "'exe':'/*'",
		"'label':'x'", "'cgroup':'/*'", "'cgroup':'/'" };
	struct identity at_root = { .cgroup = (char[]){ "/" } };
	char *not_text = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert_msg(holds(good[i], &somebody, TRANSPORT_SOCKET), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(!holds(bad[i], &somebody, TRANSPORT_SOCKET), "%s", bad[i]);
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		ck_assert_msg(!holds(unknown[i], &shadow, TRANSPORT_SOCKET), "%s", unknown[i]);
		ck_assert_int_ge(asprintf(&not_text, "'not':{%s}", unknown[i]), 0);
		ck_assert_msg(holds(not_text, &shadow, TRANSPORT_SOCKET), "%s", not_text);
		free(not_text);
	}
	ck_assert(holds("'container':true", &shadow, TRANSPORT_DBUS));
	ck_assert(!holds("'container':false", &shadow, TRANSPORT_DBUS));
	ck_assert(holds("'identity':'weak'", &shadow, TRANSPORT_DBUS));
	ck_assert(!holds("'identity':'strong'", &shadow, TRANSPORT_DBUS));
	ck_assert(holds("'transport':'dbus'", &shadow, TRANSPORT_DBUS));
	ck_assert(holds("'cgroup':'/'", &at_root, TRANSPORT_DBUS));
	ck_assert(!holds("'cgroup':'/a'", &at_root, TRANSPORT_DBUS));
}
END_TEST

START_TEST(escaped_units)
{
	struct identity peer = { .unit = odd_unit };

	ck_assert(holds("'unit':'a\\\\x2db.service'", &peer, TRANSPORT_SOCKET));
	ck_assert(holds("'unit':'a\\\\x2d*.service'", &peer, TRANSPORT_SOCKET));
	ck_assert(!holds("'unit':'a-b.service'", &peer, TRANSPORT_SOCKET));
}
END_TEST

START_TEST(precedence)
{
	struct policy *policy = test_policy(
		RULES("{'name':'first','match':{'group':20},'deny':'not now','use':'rdma'},"
		      "{'name':'second','match':{'user':'hpc'},'allow':{'use':'u','buffer':'1M'}},"
		      "{'name':'third','match':{},'allow':{'use':['u','rdma'],'buffer':'2M'}},"
		      "{'name':'fourth','match':{'unit':'mpi@3.service'},'deny':'too late'},"
		      "{'name':'fifth','match':{},'allow':{'use':'odd'}}"));
	struct decision decision = decide(policy, &somebody, "u", 4096, 1, false);

	ck_assert_verdict(decision.verdict, CCBUF_GRANTED);
	ck_assert_str_eq(decision.rule->name, "second");
	ck_assert_str_eq(decision.heap, "emulated");
	ck_assert_int_eq(decision.exposure, EXPOSURE_EMULATED);
	ck_assert_str_eq(decision.reason, "");
	decision = decide(policy, &shadow, "u", 4096, 1, false);
	ck_assert_str_eq(decision.rule->name, "third");
	decision = decide(policy, &somebody, "rdma", 4096, 1, true);
	ck_assert_verdict(decision.verdict, CCBUF_DENIED);
	ck_assert_str_eq(decision.rule->name, "first");
	ck_assert_str_eq(decision.reason, "rule \"first\" denies use \"rdma\": not now");
	/* an allow rule that does not list the use says nothing, a deny rule without list does */
	decision = decide(policy, &somebody, "odd", 4096, 1, true);
	ck_assert_verdict(decision.verdict, CCBUF_DENIED);
	ck_assert_str_eq(decision.rule->name, "fourth");
	decision = decide(policy, &shadow, "odd", 4096, 1, true);
	ck_assert_verdict(decision.verdict, CCBUF_HEAP_UNAVAILABLE);
	ck_assert_str_eq(decision.rule->name, "fifth");
	policy_unref(policy);
}
END_TEST

START_TEST(order_of_checks)
{
	struct policy *policy = test_policy(
		RULES("{'name':'r','match':{'user':'hpc'},'allow':{'use':['rdma','odd'],"
		      "'buffer':'1M'}},{'name':'d','match':{'user':7},'deny':'no','use':'u'}"));
	struct decision decision;

	decision = decide(policy, &somebody, "none", 0, 0, false);
	ck_assert_verdict(decision.verdict, CCBUF_BAD_SIZE);
	ck_assert_ptr_null(decision.rule);
	ck_assert_ptr_null(decision.heap);
	ck_assert_int_eq(decision.exposure, EXPOSURE_UNKNOWN);
	ck_assert_str_eq(decision.reason, "a buffer of 0 bytes was asked for; the least is 1 byte");
	decision = decide(policy, &somebody, "none", 1, 0, false);
	ck_assert_verdict(decision.verdict, CCBUF_BAD_SIZE);
	ck_assert_str_eq(
		decision.reason, "0 buffers were asked for; one request may ask for 1 to 64");
	decision = decide(policy, &somebody, "none", 1, 65, false);
	ck_assert_str_eq(
		decision.reason, "65 buffers were asked for; one request may ask for 1 to 64");
	decision = decide(policy, &somebody, "none", UINT64_MAX, 1, false);
	ck_assert_verdict(decision.verdict, CCBUF_BAD_SIZE);
	ck_assert_str_eq(decision.reason, "1 of 18446744073709551615 were asked for; one request "
					  "may ask for 4E at most");
	decision = decide(policy, &somebody, "none", UINT64_C(1) << 60, 64, false);
	ck_assert_verdict(decision.verdict, CCBUF_BAD_SIZE);
	decision = decide(policy, &somebody, "none", 1, 1, false);
	ck_assert_verdict(decision.verdict, CCBUF_UNKNOWN_USE);
	ck_assert_str_eq(
		decision.reason, "use \"none\" is not defined; this process may have: odd, rdma");
	decision = decide(policy, &shadow, "none", 1, 1, false);
	ck_assert_str_eq(decision.reason,
		"use \"none\" is not defined; the policy gives this process no use");
	decision = decide(policy, &somebody, "u", 2 << 20, 1, false);
	ck_assert_verdict(decision.verdict, CCBUF_NO_RULE);
	ck_assert_ptr_null(decision.rule);
	ck_assert_str_eq(decision.heap, "emulated");
	ck_assert_str_eq(decision.reason, "no rule of the policy allows this process use \"u\"");
	decision = decide(policy, &somebody, "odd", 2 << 20, 1, false);
	ck_assert_verdict(decision.verdict, CCBUF_BUFFER_LIMIT);
	ck_assert_str_eq(decision.reason, "a buffer of 2M was asked for; rule \"r\" allows 1M at "
					  "most for use \"odd\"");
	decision = decide(policy, &somebody, "odd", 1 << 20, 1, false);
	ck_assert_verdict(decision.verdict, CCBUF_HEAP_UNAVAILABLE);
	ck_assert_str_eq(decision.reason,
		"use \"odd\" is for heap \"vendor\", of which nobody has said what the host can "
		"see; declare its exposure in \"heaps\" of the policy");
	decision = decide(policy, &somebody, "rdma", 1 << 20, 1, false);
	ck_assert_verdict(decision.verdict, CCBUF_CONSENT_REQUIRED);
	ck_assert_str_eq(decision.heap, "system_cc_shared");
	ck_assert_int_eq(decision.exposure, EXPOSURE_SHARED);
	ck_assert_str_eq(decision.reason,
		"the host reads and writes the memory of use \"rdma\" (heap \"system_cc_shared\"); "
		"ask again with accept-shared if that is meant");
	decision = decide(policy, &somebody, "rdma", 1 << 20, 64, true);
	ck_assert_verdict(decision.verdict, CCBUF_GRANTED);
	policy_unref(policy);
}
END_TEST

START_TEST(empty_policy)
{
	struct policy *policy = test_policies(NULL, 0);
	struct decision decision = decide(policy, &somebody, "u", 1, 1, true);

	ck_assert_verdict(decision.verdict, CCBUF_UNKNOWN_USE);
	ck_assert_str_eq(
		decision.reason, "use \"u\" is not defined; the policy gives this process no use");
	policy_unref(policy);
	policy = test_policy(RULES(""));
	decision = decide(policy, &somebody, "u", 1, 1, true);
	ck_assert_verdict(decision.verdict, CCBUF_NO_RULE);
	policy_unref(policy);
}
END_TEST

START_TEST(long_reasons)
{
	char reason[POLICY_DENY_MAX + 1] = "", name[POLICY_RULE_NAME_MAX + 1] = "";
	char heap[POLICY_HEAP_MAX + 1] = "", *text = NULL;
	struct policy *policy;
	struct decision decision;

	/* the longest of everything: all words still fit */
	memset(reason, 'x', sizeof(reason) - 1);
	memset(name, 'n', sizeof(name) - 1);
	memset(heap, 'h', sizeof(heap) - 1);
	ck_assert_int_ge(asprintf(&text,
				 "{'version':1,'uses':{'%s':{'heap':'%s'}},'heaps':{'%s':{"
				 "'exposure':'shared'}},'rules':[{'name':'%s','match':{'user':7},"
				 "'deny':'%s'},{'name':'a','match':{},'allow':{'use':'%s','buffer':"
				 "9007199254740990}}]}",
				 name, heap, heap, name, reason, name),
		0);
	policy = test_policy(text);
	decision = decide(policy, &shadow, name, 1, 1, true);
	ck_assert_verdict(decision.verdict, CCBUF_DENIED);
	ck_assert_str_eq(decision.reason + strlen(decision.reason) - POLICY_DENY_MAX, reason);
	decision = decide(policy, &somebody, name, 1, 1, false);
	ck_assert_verdict(decision.verdict, CCBUF_CONSENT_REQUIRED);
	decision = decide(policy, &somebody, name, (UINT64_C(1) << 60) + 1, 1, false);
	ck_assert_verdict(decision.verdict, CCBUF_BUFFER_LIMIT);
	policy_unref(policy);
	free(text);
	text = NULL;
	ck_assert_int_ge(asprintf(&text,
				 "{'version':1,'uses':{'%s':{'heap':'%s'}},'rules':[{'name':'a',"
				 "'match':{},'allow':{'use':'%s'}}]}",
				 name, heap, name),
		0);
	policy = test_policy(text);
	decision = decide(policy, &shadow, name, 1, 1, true);
	ck_assert_verdict(decision.verdict, CCBUF_HEAP_UNAVAILABLE);
	policy_unref(policy);
	free(text);
}
END_TEST

START_TEST(many_uses)
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);
	struct policy *policy;
	struct decision decision;

	fputs("{'version':1,'rules':[{'name':'r','match':{},'allow':{'use':['long-name-000'", to);
	for (int i = 1; i < 300; i++)
		fprintf(to, ",'long-name-%03d'", i);
	fputs("]}}],'uses':{'x':{'heap':'system'}", to);
	for (int i = 0; i < 300; i++)
		fprintf(to, ",'long-name-%03d':{'heap':'system'}", i);
	fputs("}}", to);
	fclose(to);
	policy = test_policy(text);
	decision = decide(policy, &somebody, "none", 1, 1, true);
	ck_assert_verdict(decision.verdict, CCBUF_UNKNOWN_USE);
	ck_assert_ptr_nonnull(strstr(decision.reason, "long-name-000, long-name-001"));
	ck_assert_str_eq(decision.reason + strlen(decision.reason) - 5, ", ...");
	policy_unref(policy);
	free(text);
}
END_TEST

/* Random policies and peers over few values, so that much collides and matches. */

static uint64_t state = 1;

static unsigned int pick(unsigned int below)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned int)(state >> 33) % below;
}

static const char *const units[] = { "a.service", "ab.service", "a@1.service", "b.scope",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.service" };
static const char *const unit_globs[] = { "a*", "a@*.service", "*.service", "[ab].s*", "?b*",
	"a.s*", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa*" };
static const char *const exes[] = { "/a", "/a/b", "/a/c", "/ab/c", "/b" };
static const char *const exe_globs[] = { "/*", "/a/*", "/a*/c", "/[ab]", "/a?/c" };
static const char *const cgroups[] = { "/", "/a.slice", "/a.slice/a.service", "/a.slice/b/c" };
static const char *const cgroup_globs[] = { "/*", "/a*", "/a.slice/*", "/*/b", "/?" };
static const char *const slices[] = { "a.slice", "b.slice" };
static const char *const slice_globs[] = { "a*", "*.slice" };
static const char *const labels[] = { "x", "y" };

static void write_texts(FILE *to, const char *key, const char *const *literals, size_t n,
	const char *const *globs, size_t n_globs)
{
	unsigned int count = 1 + pick(3);

	fprintf(to, "'%s':[", key);
	for (unsigned int i = 0; i < count; i++)
		fprintf(to, "%s'%s'", i ? "," : "",
			n_globs && pick(2) ? globs[pick((unsigned int)n_globs)]
					   : literals[pick((unsigned int)n)]);
	fputs("],", to);
}

#define WRITE(key, name)                                                                           \
	write_texts(to, key, name##s, ARRAY_SIZE(name##s), name##_globs, ARRAY_SIZE(name##_globs))

/* All keys but "container", each with a comma after it. */
static void write_match(FILE *to, int depth)
{
	if (!pick(3))
		WRITE("unit", unit);
	if (!pick(4))
		WRITE("exe", exe);
	if (!pick(5))
		WRITE("cgroup", cgroup);
	if (!pick(6))
		WRITE("slice", slice);
	if (!pick(8))
		write_texts(to, "label", labels, ARRAY_SIZE(labels), NULL, 0);
	if (depth > 1 && !pick(3))
		fprintf(to, "'user':[%u,%u],", pick(4), pick(4));
	if (!pick(4))
		fprintf(to, "'group':[%u,%u],", pick(5), pick(5));
	if (!pick(8))
		fprintf(to, "'transport':'%s',", pick(2) ? "dbus" : "socket");
	if (!pick(8))
		fprintf(to, "'identity':'%s',", pick(2) ? "strong" : "weak");
	if (depth < 3 && !pick(4)) {
		fputs("'not':{", to);
		write_match(to, depth + 1);
		fprintf(to, "'container':%s},", pick(2) ? "true" : "false");
	}
}

static struct policy *random_policy(unsigned int rules)
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);
	struct policy *policy;

	fputs("{'version':1,'uses':{'a':{'heap':'system'},'b':{'heap':'system'},"
	      "'c':{'heap':'system'}},'rules':[",
		to);
	for (unsigned int i = 0; i < rules; i++) {
		fprintf(to, "%s{'name':'r%u','match':{'not':{'not':{", i ? "," : "", i);
		write_match(to, 1);
		fputs("'user':[0,1,2,3]}},", to);
		/* outside of "not", where the index sees it */
		if (pick(2))
			WRITE("unit", unit);
		if (pick(2))
			WRITE("exe", exe);
		if (!pick(3))
			WRITE("cgroup", cgroup);
		if (!pick(3))
			WRITE("slice", slice);
		if (!pick(3))
			fprintf(to, "'group':[%u,%u],", pick(5), pick(5));
		if (!pick(5))
			write_texts(to, "label", labels, ARRAY_SIZE(labels), NULL, 0);
		if (pick(3))
			fprintf(to, "'user':[%u,%u,%u]},", pick(4), pick(4), pick(4));
		else
			fprintf(to, "'container':%s},", pick(2) ? "true" : "false");
		if (!pick(5))
			fputs("'deny':'x'}", to);
		else if (!pick(5))
			fprintf(to, "'deny':'x','use':'%c'}", 'a' + (int)pick(3));
		else
			fprintf(to, "'allow':{'use':['%c','%c']}}", 'a' + (int)pick(3),
				'a' + (int)pick(3));
	}
	fputs("]}", to);
	fclose(to);
	policy = test_policy(text);
	free(text);
	return policy;
}

static char *maybe(const char *const *texts, size_t n)
{
	return pick(6) ? strdup(texts[pick((unsigned int)n)]) : NULL;
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

START_TEST(first_rule_decides)
{
	unsigned int found = 0, later = 0;

	state = (uint64_t)_i + 1;
	for (int round = 0; round < 40; round++) {
		struct policy *policy = random_policy(1 + pick(60));

		for (int i = 0; i < 100; i++) {
			gid_t some[] = { pick(5), pick(5) };
			struct identity peer = {
				.uid = pick(4),
				.gid = pick(5),
				.groups = some,
				.n_groups = pick(3),
				.exe = maybe(exes, ARRAY_SIZE(exes)),
				.unit = maybe(units, ARRAY_SIZE(units)),
				.slice = maybe(slices, ARRAY_SIZE(slices)),
				.cgroup = maybe(cgroups, ARRAY_SIZE(cgroups)),
				.lsm = maybe(labels, ARRAY_SIZE(labels)),
				.container = pick(2),
				.strong = pick(2),
			};
			struct request request = { .size = 1, .count = 1, .accept_shared = true };
			const struct policy_entry *entry;
			struct decision decision;
			uint32_t use = pick(3);

			request.transport = pick(2) ? TRANSPORT_DBUS : TRANSPORT_SOCKET;
			copy_string(request.use, sizeof(request.use), policy->uses[use].name);
			policy_decide(policy, &peer, &request, &decision);
			entry = scan(policy, use, &peer, request.transport);
			ck_assert_ptr_eq(decision.rule, entry ? &entry->rule : NULL);
			found += entry != NULL;
			later += entry && entry != policy->rules;
			peer.groups = NULL;
			identity_done(&peer);
		}
		policy_unref(policy);
	}
	/* the test must not pass for want of matches */
	ck_assert_uint_gt(found, 400);
	ck_assert_uint_gt(later, 200);
}
END_TEST

START_TEST(wide_rules)
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);
	struct identity peer = { .uid = 900 };
	struct policy *policy;
	struct decision decision;

	/* more uses times users than a rule may have entries */
	fputs("{'version':1,'uses':{'x':{'heap':'system'}", to);
	for (int i = 0; i < 100; i++)
		fprintf(to, ",'u%d':{'heap':'system'}", i);
	fputs("},'rules':[{'name':'r','match':{'user':[0", to);
	for (int i = 1; i < 1000; i++)
		fprintf(to, ",%d", i);
	fputs("]},'allow':{'use':['x'", to);
	for (int i = 0; i < 100; i++)
		fprintf(to, ",'u%d'", i);
	fputs("]}}]}", to);
	fclose(to);
	policy = test_policy(text);
	decision = decide(policy, &peer, "u77", 1, 1, true);
	ck_assert_verdict(decision.verdict, CCBUF_GRANTED);
	peer.uid = 1000;
	decision = decide(policy, &peer, "u77", 1, 1, true);
	ck_assert_verdict(decision.verdict, CCBUF_NO_RULE);
	policy_unref(policy);
	free(text);
}
END_TEST

int main(int argc, char *argv[])
{
	const struct test tests[] = {
		{ keys },
		{ escaped_units },
		{ precedence },
		{ order_of_checks },
		{ empty_policy },
		{ long_reasons },
		{ many_uses },
		{ first_rule_decides, .times = 5 },
		{ wide_rules },
		{ NULL },
	};

	return run_tests(argc, argv, "policy-decide", NULL, tests);
}

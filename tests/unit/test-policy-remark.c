/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tests of what is said about a policy that is no mistake: rules that nothing reaches or matches,
 * limits that let nothing through, keys that cannot be known. Each is said where it is so, and
 * nowhere else.
 */
#include "test-policy.h"

#define USES "'uses':{'u':{'heap':'emulated'},'v':{'heap':'system'},'w':{'heap':'system'}}"

/* The lines of a call that fills errors, each with a newline. */
static char *join(struct policy_errors *errors)
{
	char *all = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&all, &size);

	ck_assert_ptr_nonnull(to);
	for (size_t i = 0; i < errors->count; i++)
		fprintf(to, "%s\n", errors->lines[i]);
	fclose(to);
	policy_errors_done(errors);
	return all;
}

static char *remarks_of(const char *rules, const char *more)
{
	struct policy_errors errors = { 0 };
	struct policy *policy;
	char *text = NULL;

	ck_assert_int_ge(asprintf(&text, "{'version':1," USES "%s,'rules':[%s]}", more, rules), 0);
	policy = test_policy(text);
	free(text);
	ck_assert_int_eq(policy_remarks(policy, &errors), 0);
	policy_unref(policy);
	return join(&errors);
}

static void expect(const char *rules, const char *more, const char *wanted)
{
	char *lines = remarks_of(rules, more);

	ck_assert_msg(*wanted ? strstr(lines, wanted) != NULL : !*lines, "%s\n%s", rules, lines);
	free(lines);
}

#define A(name, match, use) "{'name':'" name "','match':{" match "},'allow':{'use':" use "}}"
#define D(name, match)	    "{'name':'" name "','match':{" match "},'deny':'x'}"

/* Two rules, and whether the second is never reached. */
static const struct {
	const char *first, *second;
	bool hidden;
} orders[] = {
	{ A("a", "", "'u'"), A("b", "'user':1", "'u'"), true },
	{ A("a", "", "'u'"), A("b", "'user':1", "'v'"), false },
	{ A("a", "", "['u','v']"), A("b", "", "'v'"), true },
	{ A("a", "", "'u'"), A("b", "", "['u','v']"), false },
	{ D("a", ""), A("b", "'user':1", "['u','v']"), true },
	{ D("a", ""), D("b", ""), true },
	{ A("a", "", "['u','v','w']"), D("b", ""), true },
	{ A("a", "", "['u','v']"), D("b", ""), false },
	{ "{'name':'a','match':{},'deny':'x','use':'u'}", A("b", "", "'u'"), true },
	{ A("a", "'user':[1,2,3]", "'u'"), A("b", "'user':[3,1]", "'u'"), true },
	{ A("a", "'user':[1,2]", "'u'"), A("b", "'user':[1,3]", "'u'"), false },
	{ A("a", "'user':1", "'u'"), A("b", "", "'u'"), false },
	{ A("a", "'group':[1,2]", "'u'"), A("b", "'group':2", "'u'"), true },
	{ A("a", "'user':1", "'u'"), A("b", "'group':1", "'u'"), false },
	{ A("a", "'user':1,'group':1", "'u'"), A("b", "'user':1", "'u'"), false },
	{ A("a", "'user':1", "'u'"), A("b", "'user':1,'group':1", "'u'"), true },
	{ A("a", "'unit':'a*.service'", "'u'"), A("b", "'unit':'ab.service'", "'u'"), true },
	{ A("a", "'unit':'a*.service'", "'u'"), A("b", "'unit':'b.service'", "'u'"), false },
	{ A("a", "'unit':'a*.service'", "'u'"), A("b", "'unit':'a*.service'", "'u'"), true },
	{ A("a", "'unit':'a*.service'", "'u'"), A("b", "'unit':'ab*.service'", "'u'"), false },
	{ A("a", "'unit':'*'", "'u'"), A("b", "'unit':'ab*.service'", "'u'"), true },
	{ A("a", "'unit':'*'", "'u'"), A("b", "'user':1", "'u'"), false },
	{ A("a", "'exe':'/a/*'", "'u'"), A("b", "'exe':'/a/b'", "'u'"), true },
	{ A("a", "'exe':'/a/*'", "'u'"), A("b", "'exe':'/a/b/c'", "'u'"), false },
	{ A("a", "'cgroup':'/a'", "'u'"), A("b", "'cgroup':'/a/b'", "'u'"), true },
	{ A("a", "'cgroup':'/a'", "'u'"), A("b", "'cgroup':'/ab'", "'u'"), false },
	{ A("a", "'cgroup':'/a/b'", "'u'"), A("b", "'cgroup':'/a'", "'u'"), false },
	{ A("a", "'label':'x'", "'u'"), A("b", "'label':'x'", "'u'"), true },
	{ A("a", "'container':true", "'u'"), A("b", "'container':true,'user':1", "'u'"), true },
	{ A("a", "'container':true", "'u'"), A("b", "'container':false", "'u'"), false },
	{ A("a", "'identity':['weak','strong']", "'u'"), A("b", "'user':1", "'u'"), true },
	{ A("a", "'transport':'dbus'", "'u'"), A("b", "'user':1", "'u'"), false },
	{ A("a", "'transport':['dbus','socket']", "'u'"), A("b", "'transport':'dbus'", "'u'"),
		true },
	/* "not" */
	{ A("a", "'not':{'user':1}", "'u'"), A("b", "'user':2", "'u'"), true },
	{ A("a", "'not':{'user':1}", "'u'"), A("b", "'user':1", "'u'"), false },
	{ A("a", "'not':{'user':1}", "'u'"), A("b", "", "'u'"), false },
	{ A("a", "'not':{'user':1}", "'u'"), A("b", "'not':{'user':[1,2]}", "'u'"), true },
	{ A("a", "'not':{'user':[1,2]}", "'u'"), A("b", "'not':{'user':1}", "'u'"), false },
	{ A("a", "'user':1", "'u'"), A("b", "'user':1,'not':{'group':2}", "'u'"), true },
	{ A("a", "'not':{'not':{'user':1}}", "'u'"), A("b", "'user':1,'group':2", "'u'"), true },
	/* a process has several groups */
	{ A("a", "'not':{'group':1}", "'u'"), A("b", "'group':2", "'u'"), false },
	/* a key of which nothing is known does not hold, and its "not" does */
	{ A("a", "'not':{'exe':'/a'}", "'u'"), A("b", "'exe':'/b'", "'u'"), true },
	{ A("a", "'not':{'exe':'/a'}", "'u'"), A("b", "'not':{'exe':'/a*'}", "'u'"), true },
	{ A("a", "'not':{'exe':'/a*'}", "'u'"), A("b", "'not':{'exe':'/a'}", "'u'"), false },
};

START_TEST(rules_never_reached)
{
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		char *rules = NULL, *lines;

		ck_assert_int_ge(asprintf(&rules, "%s,%s", orders[i].first, orders[i].second), 0);
		lines = remarks_of(rules, "");
		ck_assert_msg((strstr(lines, "/rules/1: rule \"b\" is never reached: rule \"a\" "
					     "(a.json: /rules/0) decides all") != NULL) ==
				      orders[i].hidden,
			"%s\n%s", rules, lines);
		free(lines);
		free(rules);
	}
	expect(A("a", "", "'u'") "," A("b", "", "'v'") "," A("c", "'user':1", "['u','v']"), "",
		"a.json: /rules/2: rule \"c\" is never reached: rule \"a\" (a.json: /rules/0), or "
		"for other uses another one before it, decides all that it could decide\n");
}
END_TEST

START_TEST(nots)
{
	static const struct {
		const char *match;
		bool never, needless;
	} cases[] = {
		{ "'user':1,'not':{'user':1}", true, false },
		{ "'user':1,'not':{'user':[2,1]}", true, false },
		{ "'user':[1,2],'not':{'user':1}", false, false },
		{ "'user':1,'not':{'user':1,'group':2}", false, false },
		{ "'not':{'transport':['socket','dbus']}", true, false },
		{ "'not':{'identity':['weak','strong']}", true, false },
		{ "'not':{'transport':'socket'}", false, false },
		{ "'unit':'a.service','not':{'unit':'a*'}", true, false },
		{ "'unit':'a*','not':{'unit':'a.service'}", false, false },
		{ "'exe':'/a/b','not':{'exe':'/a/*'}", true, false },
		{ "'cgroup':'/a/b','not':{'cgroup':'/a'}", true, false },
		{ "'container':true,'not':{'container':true}", true, false },
		{ "'user':1,'not':{'user':2}", false, true },
		{ "'user':1,'not':{'user':[2,3],'group':1}", false, true },
		{ "'container':true,'not':{'container':false}", false, true },
		{ "'unit':'a.service','not':{'unit':'b*'}", false, true },
		{ "'unit':'a*','not':{'unit':'b*'}", false, true },
		{ "'unit':'*a.service','not':{'unit':'b*'}", false, false },
		{ "'cgroup':'/a','not':{'cgroup':'/a/b'}", false, false },
		{ "'cgroup':'/a','not':{'cgroup':'/a/*'}", false, false },
		{ "'cgroup':'/a','not':{'cgroup':'/b'}", false, true },
		{ "'transport':'dbus','not':{'transport':'socket'}", false, true },
		{ "'group':1,'not':{'group':2}", false, false },
		{ "'not':{'user':1,'not':{'user':1}}", false, true },
		{ "'not':{'exe':'/a'}", false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *rule = NULL, *lines;

		ck_assert_int_ge(asprintf(&rule, "{'name':'r','match':{%s},'allow':{'use':'u'}}",
					 cases[i].match),
			0);
		lines = remarks_of(rule, "");
		ck_assert_msg(
			(strstr(lines, "/rules/0/match: matches nobody") != NULL) == cases[i].never,
			"%s: %s", cases[i].match, lines);
		ck_assert_msg((strstr(lines, "/rules/0/match: \"not\" leaves out nobody") !=
				      NULL) == cases[i].needless,
			"%s: %s", cases[i].match, lines);
		free(lines);
		free(rule);
	}
}
END_TEST

#define ALLOW(more)    "{'name':'r','match':{},'allow':{'use':'v'," more "}}"
#define EMULATED(more) "{'name':'r','match':{},'allow':{'use':'u'," more "}}"

START_TEST(limits)
{
	expect(ALLOW("'total':4095"), "",
		"a.json: /rules/0/allow: \"total\" is 4095, less than a page of memory");
	expect(ALLOW("'total':4096"), "", "");
	expect(ALLOW("'buffer':'2G','total':'1G'"), "",
		"a.json: /rules/0/allow: \"buffer\" is 2G, but no buffer of more than 1G can be "
		"granted, as its \"total\" says");
	expect(ALLOW("'buffer':'1G','total':'1G'"), "", "");
	expect(ALLOW("'buffer':'3G'"), "", "as \"total\" in \"limits\" says");
	expect(ALLOW("'buffer':'2G'"), "", "");
	expect(ALLOW("'buffer':'2G'"), ",'limits':{'per-user':'1G'}",
		"as \"per-user\" in \"limits\" says");
	expect(ALLOW("'buffer':'1G'"), ",'limits':{'emulated-per-user':'1M'}", "");
	expect(EMULATED("'buffer':'1G'"), "", "as \"emulated-per-user\" in \"limits\" says");
	expect(EMULATED("'buffer':'64M'"), "", "");
	expect("{'name':'r','match':{},'allow':{'use':['u','v'],'buffer':'1G'}}", "", "");
	expect("", ",'limits':{'total':0}",
		"a.json: /limits/total: is 0, less than a page of memory, so no buffer is ever "
		"granted\n");
	expect("", ",'limits':{'per-user':'0%'}", "/limits/per-user: is 0");
	expect("", ",'limits':{'emulated-per-user':100}",
		"/limits/emulated-per-user: is 100, less than a page of memory, so no buffer of "
		"the heap emulated is");
	expect("", ",'limits':{'total':'25%','per-user':4096,'emulated-per-user':4096}", "");
}
END_TEST

START_TEST(characters)
{
	static const struct {
		const char *match, *words; /* empty: nothing is said */
	} cases[] = {
		{ "'exe':'/opt/**/x'", "holds \"**\"" },
		{ "'exe':'/opt/x '", "blank" },
		{ "'exe':'/opt/{a,b}/x'", "\"{\" and \"}\"" },
		{ "'exe':'/opt/$USER/x'", "\"$\"" },
		{ "'exe':'/run/user/%U/x'", "specifiers" },
		{ "'exe':'/opt/a%20b'", "" },
		{ "'exe':'/opt/[x'", "\"[\"" },
		{ "'exe':'/opt/[]x'", "\"[\"" },
		{ "'exe':'/opt/[ab]x'", "" },
		{ "'exe':'/opt/x (deleted)'", "replaced" },
		{ "'exe':'/opt/My Program/x'", "" },
		{ "'exe':'/opt/x\\\\*'", "backslash" },
		{ "'unit':'a\\\\x2d*.service'", "" },
		{ "'unit':'a\\\\*.service'", "backslash" },
		{ "'cgroup':'/a/**'", "holds \"**\"" },
		{ "'label':'unconfined'", "" },
		{ "'label':'/usr/bin/* (enforce)'", "compared whole" },
		{ "'label':'{a,b}'", "compared whole" },
		{ "'label':' x'", "blank" },
		{ "'slice':'-.slice'", "root slice" },
		{ "'slice':'a-b.slice'", "" },
		{ "'not':{'exe':'/opt/x '}", "blank" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *rule = NULL;

		ck_assert_int_ge(asprintf(&rule, "{'name':'r','match':{%s},'allow':{'use':'v'}}",
					 cases[i].match),
			0);
		expect(rule, "", cases[i].words);
		free(rule);
	}
	expect(D("r", "'exe':'/a'"), "", "a.json: /rules/0/match: denies by \"exe\", which");
	expect(D("r", "'not':{'exe':'/a'}"), "", "");
}
END_TEST

/* What the shipped examples say of themselves. */
START_TEST(nothing_to_say)
{
	expect(D("c", "'container':true") "," A("m", "'unit':'mpi@*.service','user':'hpc'", "'v'"),
		"", "");
}
END_TEST

/* --- what cannot be known --- */

static const struct policy_facts no_units = {
	.unknown = { [POLICY_FACT_UNIT] = "no units", [POLICY_FACT_CGROUP] = "no cgroups" }
};
static const struct policy_facts no_look = {
	.unknown = { [POLICY_FACT_EXE] = "no right", [POLICY_FACT_CONTAINER] = "no right" }
};

static void expect_unknowable(const char *rules, const struct policy_facts *facts, const char *all,
	const char *let_through)
{
	struct policy_errors errors = { 0 };
	struct policy *policy;
	char *text = NULL, *lines;

	ck_assert_int_ge(asprintf(&text, "{'version':1," USES ",'rules':[%s]}", rules), 0);
	policy = test_policy(text);
	free(text);
	ck_assert_int_eq(policy_unknowable(policy, facts, false, &errors), 0);
	lines = join(&errors);
	ck_assert_str_eq(lines, all);
	free(lines);
	ck_assert_int_eq(policy_unknowable(policy, facts, true, &errors), 0);
	lines = join(&errors);
	ck_assert_str_eq(lines, let_through);
	free(lines);
	policy_unref(policy);
}

#define LINE(what, key, why)                                                                       \
	"a.json: /rules/0: rule \"r\" " what " here, as \"" key "\" is not known: " why "\n"

START_TEST(unknowable)
{
	static const struct policy_facts none;
	static const struct {
		const char *match, *key, *why;
		const struct policy_facts *facts;
	} keys[] = {
		{ "'unit':'a.service'", "unit", "no units", &no_units },
		{ "'slice':'a.slice'", "slice", "no units", &no_units },
		{ "'cgroup':'/a'", "cgroup", "no cgroups", &no_units },
		{ "'exe':'/a'", "exe", "no right", &no_look },
		{ "'container':false", "container", "no right", &no_look },
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		char *deny = NULL, *allow = NULL, *line = NULL;

		ck_assert_int_ge(asprintf(&deny, "{'name':'r','match':{'user':1,%s},'deny':'x'}",
					 keys[i].match),
			0);
		ck_assert_int_ge(asprintf(&allow, "{'name':'r','match':{%s},'allow':{'use':'u'}}",
					 keys[i].match),
			0);
		ck_assert_int_ge(asprintf(&line, LINE("denies nobody", "%s", "%s"), keys[i].key,
					 keys[i].why),
			0);
		expect_unknowable(deny, keys[i].facts, line, line);
		expect_unknowable(deny, &none, "", "");
		expect_unknowable(deny, keys[i].facts == &no_units ? &no_look : &no_units, "", "");
		free(line);
		ck_assert_int_ge(asprintf(&line, LINE("allows nobody", "%s", "%s"), keys[i].key,
					 keys[i].why),
			0);
		expect_unknowable(allow, keys[i].facts, line, "");
		free(line);
		free(deny);
		free(allow);
	}
	/* "not" turns it round */
	expect_unknowable(A("r", "'not':{'unit':'a.service'}", "'u'"), &no_units,
		LINE("allows more than it says", "unit", "no units"),
		LINE("allows more than it says", "unit", "no units"));
	expect_unknowable(D("r", "'not':{'unit':'a.service'}"), &no_units,
		LINE("denies more than it says", "unit", "no units"), "");
	expect_unknowable(D("r", "'not':{'not':{'exe':'/a'}}"), &no_look,
		LINE("denies less than it says", "exe", "no right"),
		LINE("denies less than it says", "exe", "no right"));
	/* what is not seen counts as a container */
	expect_unknowable(D("r", "'container':true"), &no_look,
		LINE("denies more than it says", "container", "no right"), "");
	expect_unknowable(A("r", "'container':true", "'u'"), &no_look,
		LINE("allows more than it says", "container", "no right"),
		LINE("allows more than it says", "container", "no right"));
	/* everybody is in the uppermost group */
	expect_unknowable(D("r", "'cgroup':'/'"), &no_units, "", "");
	expect_unknowable("{'name':'r','match':{},'allow':{'use':'u','per':'unit'}}", &no_units,
		LINE("counts all processes together", "unit", "no units"), "");
}
END_TEST

#define UNIFIED "0::/system.slice/ccbufd.service\n"

START_TEST(facts)
{
	static const struct {
		const char *own, *init;
		bool units, cgroups;
	} cases[] = {
		{ UNIFIED, "0::/init.scope\n", true, true },
		{ "0::/user.slice/user-0.slice/session-1.scope\n", "", true, true },
		{ "0::/\n", "0::/init.scope\n", true, true },
		{ "2:cpu:/\n1:name=systemd:/x\n" UNIFIED, "0::/init.scope", true, true },
		/* version 1 alone, and with version 2 that nobody uses */
		{ "2:cpu:/\n1:name=systemd:/system.slice/ccbufd.service\n",
			"1:name=systemd:/init.scope\n", false, false },
		{ "2:cpu:/\n1:name=systemd:/system.slice/ccbufd.service\n0::/\n",
			"1:name=systemd:/init.scope\n0::/\n", false, false },
		{ "0::/\n1:name=systemd:/system.slice/x.service\n", "0::/\n", false, false },
		/* another service manager */
		{ "0::/openrc.ccbufd\n", "0::/\n", false, true },
		{ "0::/\n", "0::/\n", false, true },
		{ "", "", false, false },
		{ "0::/service\n", "0::/.service\n", false, true },
	};
	struct policy_facts got;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct policy_view view = {
			.own_cgroups = cases[i].own,
			.init_cgroups = cases[i].init,
			.capabilities = UINT64_C(1) << 19,
			.labels = true,
		};

		policy_facts_judge(&view, &got);
		ck_assert_msg(!got.unknown[POLICY_FACT_UNIT] == cases[i].units, "%s", cases[i].own);
		ck_assert_msg(
			!got.unknown[POLICY_FACT_CGROUP] == cases[i].cgroups, "%s", cases[i].own);
		ck_assert_ptr_null(got.unknown[POLICY_FACT_EXE]);
		ck_assert_ptr_null(got.unknown[POLICY_FACT_CONTAINER]);
		ck_assert_ptr_null(got.unknown[POLICY_FACT_LABEL]);
		view.capabilities = ~(UINT64_C(1) << 19);
		view.labels = false;
		policy_facts_judge(&view, &got);
		ck_assert_ptr_nonnull(strstr(got.unknown[POLICY_FACT_EXE], "CAP_SYS_PTRACE"));
		ck_assert_ptr_nonnull(got.unknown[POLICY_FACT_CONTAINER]);
		ck_assert_ptr_nonnull(got.unknown[POLICY_FACT_LABEL]);
	}
}
END_TEST

/* --- of one process --- */

static void see(void *userdata, const struct policy_rule *rule, const char *key)
{
	char *text = userdata;

	sprintf(text + strlen(text), "%s:%s ", rule->name, key);
}

START_TEST(passed_over)
{
	struct policy *policy = test_policy(
		"{'version':1," USES ",'rules':["
		"{'name':'unit','match':{'unit':'a.service'},'deny':'x'},"
		"{'name':'other','match':{'unit':'a.service'},'deny':'x','use':'v'},"
		"{'name':'user','match':{'unit':'a.service','user':7},'deny':'x'},"
		"{'name':'not','match':{'not':{'exe':'/a'},'transport':'dbus'},'deny':'x'},"
		"{'name':'both','match':{'not':{'exe':'/a','user':7}},'allow':{'use':'v'}},"
		"{'name':'all','match':{},'allow':{'use':'u'}},"
		"{'name':'late','match':{'unit':'a.service'},'deny':'x'}]}");
	struct request request = { .use = "u", .size = 4096, .count = 1 };
	struct identity peer = { .uid = 5 };
	char unit[] = "b.service", exe[] = "/b", text[256] = "";
	struct decision decision;

	policy_decide(policy, &peer, &request, &decision);
	ck_assert_str_eq(decision.rule->name, "all");
	policy_each_passed_over(policy, &peer, &request, decision.rule, see, text);
	ck_assert_str_eq(text, "unit:unit ");
	/* all that is not known, where no rule decided */
	text[0] = 0;
	peer.uid = 7;
	policy_each_passed_over(policy, &peer, &request, NULL, see, text);
	ck_assert_str_eq(text, "unit:unit user:unit late:unit ");
	text[0] = 0;
	request.transport = TRANSPORT_DBUS;
	copy_string(request.use, sizeof(request.use), "v");
	policy_each_passed_over(policy, &peer, &request, NULL, see, text);
	ck_assert_str_eq(text, "unit:unit other:unit user:unit not:exe both:exe late:unit ");
	text[0] = 0;
	peer.unit = unit;
	peer.exe = exe;
	policy_each_passed_over(policy, &peer, &request, NULL, see, text);
	ck_assert_str_eq(text, "");
	copy_string(request.use, sizeof(request.use), "nonesuch");
	policy_each_passed_over(policy, &peer, &request, NULL, see, text);
	ck_assert_str_eq(text, "");
	policy_unref(policy);
}
END_TEST

/* --- right or silent: matches at random, held against every peer of a small world --- */

static uint32_t state = 4711;

static uint32_t pick(uint32_t n)
{
	state = state * 1103515245 + 12345;
	return (state >> 16) % n;
}

static void put_match(FILE *to, int depth)
{
	static const char *const keys[][6] = {
		{ "'user':1", "'user':2", "'user':[1,2]" },
		{ "'group':1", "'group':2", "'group':[1,2]" },
		{ "'unit':'a.service'", "'unit':'a*'", "'unit':'*'", "'unit':['a.service','b*']" },
		{ "'exe':'/a'", "'exe':'/*'", "'exe':'/a/*'", "'exe':'/[ab]'" },
		{ "'cgroup':'/'", "'cgroup':'/a'", "'cgroup':'/a/b'", "'cgroup':'/*'",
			"'cgroup':'/a/*'", "'cgroup':'/b'" },
		{ "'container':true", "'container':false" },
		{ "'transport':'dbus'", "'transport':['dbus','socket']" },
	};
	const char *comma = "";

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		uint32_t n = 0;

		if (pick(4))
			continue;
		while (n < 6 && keys[i][n])
			n++;
		fprintf(to, "%s%s", comma, keys[i][pick(n)]);
		comma = ",";
	}
	if (!depth || pick(2)) {
		if (!*comma)
			fputs("'user':1", to);
		return;
	}
	fprintf(to, "%s'not':{", comma);
	put_match(to, depth - 1);
	fputc('}', to);
}

static void each_peer(void (*visit)(void *userdata, const struct identity *peer, enum transport t),
	void *userdata)
{
	static char *const units[] = { NULL, (char *)"a.service", (char *)"b.service" };
	static char *const exes[] = { NULL, (char *)"/a", (char *)"/b", (char *)"/a/b" };
	static char *const cgroups[] = { NULL, (char *)"/", (char *)"/a", (char *)"/a/b",
		(char *)"/b" };

	for (unsigned int i = 0; i < 3 * 4 * 4 * 5 * 3 * 2 * 2; i++) {
		gid_t groups[2] = { 1, 2 };
		unsigned int n = i;
		struct identity peer = { .gid = 9, .groups = groups };

		peer.uid = 1 + n % 3;
		n /= 3;
		peer.exe = exes[n % 4];
		n /= 4;
		peer.n_groups = n % 4 ? 1 + n % 4 / 3 : 0;
		groups[0] = n % 4 == 2 ? 2 : 1;
		n /= 4;
		peer.cgroup = cgroups[n % 5];
		n /= 5;
		peer.unit = units[n % 3];
		n /= 3;
		peer.container = n % 2;
		visit(userdata, &peer, n / 2 ? TRANSPORT_DBUS : TRANSPORT_SOCKET);
	}
}

struct world {
	const struct policy_match *a, *b;
	bool whole, never, needless, wrong;
};

static void hold_against(void *userdata, const struct identity *peer, enum transport transport)
{
	struct world *world = userdata;
	struct policy_match base = *world->a;
	bool a = policy_match_holds(world->a, peer, transport);

	base.except = NULL;
	if ((world->whole && a && !policy_match_holds(world->b, peer, transport)) ||
		(world->never && a) ||
		(world->needless && !a && policy_match_holds(&base, peer, transport)))
		world->wrong = true;
}

START_TEST(right_or_silent)
{
	unsigned int whole = 0, never = 0, needless = 0;

	for (int round = 0; round < 3000; round++) {
		struct world world;
		struct policy *policy;
		char *text = NULL;
		size_t size = 0;
		FILE *to = open_memstream(&text, &size);

		fputs("{'version':1,'rules':[{'name':'a','deny':'x','match':{", to);
		put_match(to, 2);
		fputs("}},{'name':'b','deny':'x','match':{", to);
		put_match(to, 2);
		fputs("}}]}", to);
		fclose(to);
		policy = test_policy(text);
		world.a = &policy->rules[0].match;
		world.b = &policy->rules[1].match;
		whole += world.whole = policy_imply_whole(world.a, world.b);
		never += world.never = policy_imply_never(world.a);
		needless += world.needless = policy_imply_needless(world.a);
		world.wrong = false;
		each_peer(hold_against, &world);
		ck_assert_msg(!world.wrong, "%s", text);
		policy_unref(policy);
		free(text);
	}
	ck_assert_uint_gt(whole, 100);
	ck_assert_uint_gt(never, 20);
	ck_assert_uint_gt(needless, 20);
}
END_TEST

/* Many rules cost no more than a while. */
START_TEST(many_rules)
{
	struct policy_errors errors = { 0 };
	struct policy *policy = NULL;
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);
	struct policy_source source = { .path = "a.json" };

	fputs("{\"version\":1,\"rules\":[", to);
	for (int i = 0; i < 20000; i++)
		fprintf(to,
			"%s{\"name\":\"r%d\",\"match\":{\"unit\":\"a%d.service\"},\"deny\":\"x\"}",
			i ? "," : "", i, i);
	fputs("]}", to);
	fclose(to);
	source.text = text;
	source.size = size;
	ck_assert_int_eq(policy_new(&source, 1, &test_env, &errors, &policy), 0);
	ck_assert_int_eq(policy_remarks(policy, &errors), 0);
	ck_assert_uint_eq(errors.count, 0);
	policy_unref(policy);
	free(text);
}
END_TEST

int main(int argc, char *argv[])
{
	const struct test tests[] = {
		{ rules_never_reached },
		{ nots },
		{ limits },
		{ characters },
		{ nothing_to_say },
		{ unknowable },
		{ facts },
		{ passed_over },
		{ right_or_silent },
		{ many_rules },
		{ NULL },
	};

	return run_tests(argc, argv, "policy-remark", NULL, tests);
}

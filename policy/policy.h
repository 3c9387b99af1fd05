/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The policy engine: compiles texts to a policy, and decides on a request of a peer.
 *
 * Pure: no files, no clock, no global state. The caller's functions resolve names of users and
 * groups while parsing, never while deciding. Daemon, ccbuf-client and the fuzzer use this code.
 * The language is described in ccbuf-policy(5). It does not count bytes, buffers or rates: a
 * decision carries the limits, and the ledger enforces them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "request.h"
#include "unmapped.h"
#include "verdict.h"

#define POLICY_VERSION	       1
#define POLICY_REASON_MAX      447 /* bytes of a reason, the NUL not counted; as WIRE_REASON_MAX */
#define POLICY_RULE_NAME_MAX   63  /* as WIRE_RULE_MAX */
#define POLICY_DIGEST_TEXT_MAX 65  /* SHA-256 in hex and a NUL */
#define POLICY_FILE_MAX	       (4u << 20) /* bytes of one file; a larger one is an error */
#define POLICY_UNLIMITED       UINT64_MAX

/* One file's text. Messages and `policy show` name the path. text need not end with a NUL. */
struct policy_source {
	const char *path;
	const char *text;
	size_t size;
};

/*
 * What the texts refer to. A resolver returns 0 and the id; -ENOENT for no such name; -ENOMEM; or
 * another negative errno when it could not find out (a mistake to report, like -ENOENT).
 */
struct policy_env {
	int (*user)(void *userdata, const char *name, uid_t *ret_uid);
	int (*group)(void *userdata, const char *name, gid_t *ret_gid);
	void *userdata;
	uint64_t ram;		  /* bytes; percentages are of this */
	struct unmapped unmapped; /* the ids that no rule may name */
};

/* Every mistake found, one line each, without a newline: "10-rdma.json:3:7: ..." for syntax,
 * "10-rdma.json: /rules/2/allow/bufer: unknown key; did you mean \"buffer\"?" for the rest. */
struct policy_errors {
	char **lines;
	size_t count;
};
/* Frees the lines; the struct may be used again. */
void policy_errors_done(struct policy_errors *errors);

enum policy_per { POLICY_PER_RULE, POLICY_PER_USER, POLICY_PER_UNIT, POLICY_PER_PROCESS };
enum policy_durability { POLICY_SYNCED, POLICY_WRITTEN };
/* What happens to a grant that a new policy does not allow. */
enum policy_reload { POLICY_RELOAD_KEEP, POLICY_RELOAD_REVOKE };

/* What a rule allows. POLICY_UNLIMITED where it sets no limit. */
struct policy_limits {
	uint64_t buffer;     /* bytes of one buffer */
	uint64_t total;	     /* bytes of all live and orphaned buffers of one key (see per) */
	uint64_t buffers;    /* their number */
	uint64_t rate;	     /* requests per rate_usec, also the burst; POLICY_UNLIMITED for none */
	uint64_t rate_usec;  /* 1 s, 1 min or 1 h in microseconds ("100/s", "5/min", "10/h") */
	enum policy_per per; /* what is counted together; the default is rule */
};

/* The settings of the whole policy, with defaults for those that no file sets. */
struct policy_settings {
	uint64_t total;			   /* bytes of everything; default 25 % of RAM */
	uint64_t per_user;		   /* bytes of one user; default POLICY_UNLIMITED */
	uint64_t emulated_per_user;	   /* likewise of the emulated heap; default 64 MiB */
	uint32_t connections_per_user;	   /* of both front ends; default 128 */
	enum policy_durability durability; /* "audit": { "durability": ... }; default synced */
	enum policy_reload on_reload;	   /* keep or revoke; default keep */
};

struct policy_rule {
	const char *name;
	const char *path;	     /* of its file */
	size_t index;		     /* in that file's "rules", from 0 */
	const char *deny;	     /* the reason of a deny rule; NULL for an allow rule */
	struct policy_limits limits; /* of an allow rule */
};

struct policy;

/*
 * Compiles sources, in that order, into one policy with one reference. Keeps nothing of the
 * sources. Returns 0; -EINVAL with all mistakes in ret_errors, at least one, and *ret_policy
 * untouched; or -ENOMEM. Without sources the policy is valid and allows nothing.
 */
int policy_new(const struct policy_source *sources, size_t n_sources, const struct policy_env *env,
	struct policy_errors *ret_errors, struct policy **ret_policy);
/* References are not atomic: for one thread only. unref takes NULL and returns NULL. */
struct policy *policy_ref(struct policy *policy);
struct policy *policy_unref(struct policy *policy);

const struct policy_settings *policy_settings(const struct policy *policy);
/* SHA-256, in hex, of the canonical form of the effective policy: the same rules, uses, heaps and
 * limits give the same digest, however they are spread over files or commented. */
const char *policy_digest(const struct policy *policy);

/* The outcome. rule is borrowed from the policy; NULL when none decided. heap likewise; NULL when
 * the use is not known. reason is for people, and names the use, the rule and the limit that
 * decided; it is empty when granted. */
struct decision {
	enum ccbuf_verdict verdict;
	const struct policy_rule *rule;
	const char *heap;
	enum exposure exposure;
	char reason[POLICY_REASON_MAX + 1];
};

/*
 * Decides, in this order: form of size and count (bad-size); use defined (unknown-use, naming those
 * that the peer may have); first rule that applies to this use and matches (denied, no-rule); size
 * of one buffer (buffer-limit); exposure of the heap known (heap-unavailable); consent
 * (consent-required). Never fails.
 *
 * An allow rule applies to the uses in its allow.use. A deny rule applies to the uses in its "use"
 * list, or to all uses without one.
 */
void policy_decide(const struct policy *policy, const struct identity *peer,
	const struct request *request, struct decision *ret_decision);

/* The exposure of a heap: by the well-known names (system_cc_shared and system_cc_decrypted shared;
 * system, CMA heaps (reserved, default_cma_region, linux,cma, names ending in "cma") private;
 * protected,* protected; emulated emulated), else as the policy's "heaps" declares, else unknown.
 * A policy may not redeclare a well-known heap (a mistake when parsed). policy may be NULL. */
enum exposure policy_exposure(const struct policy *policy, const char *heap);

/* Lists what is not a mistake but hardly meant: rules that nothing reaches, limits that allow
 * nothing and the like, one line each. Lists only what is certain. The caller zeroes ret_remarks.
 * Returns 0 or -ENOMEM. */
int policy_remarks(const struct policy *policy, struct policy_errors *ret_remarks);

/* Facts that may not be known of processes. */
enum policy_fact {
	POLICY_FACT_UNIT, /* and slice */
	POLICY_FACT_CGROUP,
	POLICY_FACT_EXE,
	POLICY_FACT_LABEL,
	POLICY_FACT_CONTAINER,
	POLICY_FACTS,
};
struct policy_facts {
	const char *
		unknown[POLICY_FACTS]; /* why it is not known of any process; NULL if it is known */
};

/* Lists the rules that do not do what they say under these facts, and why, one line each. With
 * only_let_through, lists only rules that let somebody through whom they should keep out: a deny
 * rule that can match nobody, or an allow rule whose "not" excludes nobody. Returns 0 or
 * -ENOMEM. */
int policy_unknowable(const struct policy *policy, const struct policy_facts *facts,
	bool only_let_through, struct policy_errors *ret_lines);

/* Calls visit for each rule before the one that decided (for any rule, if decided is NULL) that
 * would or might have decided if one more key were known of the peer. */
void policy_each_passed_over(const struct policy *policy, const struct identity *peer,
	const struct request *request, const struct policy_rule *decided,
	void (*visit)(void *userdata, const struct policy_rule *rule, const char *key),
	void *userdata);

/* The evidence for the facts. */
struct policy_view {
	const char *own_cgroups, *init_cgroups; /* /proc/self/cgroup and that of PID 1; or empty */
	uint64_t capabilities;			/* of the process that inspects */
	bool labels;				/* a socket's peer has a security label */
};
void policy_facts_judge(const struct policy_view *view, struct policy_facts *ret_facts);

/* The effective policy as JSON text, pretty-printed; every use, heap, limit and rule has a "from"
 * (file and JSON path). The caller frees it. NULL when out of memory. */
char *policy_show(const struct policy *policy);

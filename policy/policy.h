/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The policy engine: texts to a compiled policy, a policy with a peer and a request to a decision.
 *
 * Pure: no files, no clock, no global state; names of users and groups are resolved by the caller's
 * functions while parsing, never while deciding. Daemon, ccbuf-client and the fuzzer use this code.
 * The language is described in ccbuf-policy(5). Counting (bytes, buffers, rates) is not done here:
 * a decision carries the limits, and the ledger holds them.
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

/* One file's text. The path is what messages and `policy show` name; text need not end in NUL. */
struct policy_source {
	const char *path;
	const char *text;
	size_t size;
};

/*
 * What the texts refer to outside themselves. A resolver returns 0 and the id, -ENOENT for no such
 * name, -ENOMEM, or another negative errno when it could not find out (a mistake to report, as is
 * -ENOENT).
 */
struct policy_env {
	int (*user)(void *userdata, const char *name, uid_t *ret_uid);
	int (*group)(void *userdata, const char *name, gid_t *ret_gid);
	void *userdata;
	uint64_t ram;		  /* bytes, what percentages refer to */
	struct unmapped unmapped; /* the ids that no rule can mean */
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
/* What becomes of a grant that a policy does not allow when it comes into force. */
enum policy_reload { POLICY_RELOAD_KEEP, POLICY_RELOAD_REVOKE };

/* What a rule allows. POLICY_UNLIMITED where it sets no limit. */
struct policy_limits {
	uint64_t buffer;     /* bytes of one buffer */
	uint64_t total;	     /* bytes of all live and orphaned buffers of one key (see per) */
	uint64_t buffers;    /* their number */
	uint64_t rate;	     /* requests per rate_usec, also the burst; POLICY_UNLIMITED for none */
	uint64_t rate_usec;  /* 1 s, 1 min or 1 h in microseconds ("100/s", "5/min", "10/h") */
	enum policy_per per; /* what is counted together; default rule */
};

/* The limits of the whole policy, with defaults for what no file sets. */
struct policy_settings {
	uint64_t total;			   /* bytes of everything; default 25 % of RAM */
	uint64_t per_user;		   /* bytes of one user; default POLICY_UNLIMITED */
	uint64_t emulated_per_user;	   /* those of the emulated heap; default 64 MiB */
	uint32_t connections_per_user;	   /* of both doors; default 128 */
	enum policy_durability durability; /* "audit": { "durability": ... }; default synced */
	enum policy_reload on_reload;	   /* keep or revoke; default keep */
};

struct policy_rule {
	const char *name;
	const char *path;	     /* of the file it stands in */
	size_t index;		     /* in that file's "rules", from 0 */
	const char *deny;	     /* the reason of a deny rule; NULL for an allow rule */
	struct policy_limits limits; /* of an allow rule */
};

struct policy;

/*
 * Compiles sources, in that order, into one policy with one reference. Nothing is kept of the
 * sources. Returns 0; -EINVAL with at least one line in ret_errors (all mistakes, not the first
 * only) and *ret_policy untouched; -ENOMEM. No source at all is a valid policy that allows nothing.
 */
int policy_new(const struct policy_source *sources, size_t n_sources, const struct policy_env *env,
	struct policy_errors *ret_errors, struct policy **ret_policy);
/* References are not atomic: one thread. unref takes NULL and returns NULL. */
struct policy *policy_ref(struct policy *policy);
struct policy *policy_unref(struct policy *policy);

const struct policy_settings *policy_settings(const struct policy *policy);
/* SHA-256, in hex, of the canonical form of the effective policy: the same rules, uses, heaps and
 * limits give the same digest, however they are spread over files or commented. */
const char *policy_digest(const struct policy *policy);

/* The outcome. rule is borrowed from the policy, NULL when none decided. heap likewise, NULL when
 * the use is not known. reason is for people and names the use, the rule and the limit that
 * decided; it is empty when granted. */
struct decision {
	enum ccbuf_verdict verdict;
	const struct policy_rule *rule;
	const char *heap;
	enum exposure exposure;
	char reason[POLICY_REASON_MAX + 1];
};

/*
 * Decides, in this order: form of size and count (bad-size), use defined (unknown-use, naming those
 * the peer may have), first rule whose match holds and that speaks of this use (denied, no-rule),
 * size of one buffer (buffer-limit), exposure of the heap known (heap-unavailable), consent
 * (consent-required). Never fails.
 *
 * A rule speaks of a use when its allow.use lists it; a deny rule speaks of the uses in its own
 * "use" list, and of all uses without one.
 */
void policy_decide(const struct policy *policy, const struct identity *peer,
	const struct request *request, struct decision *ret_decision);

/* The exposure of a heap: by the well-known names (system_cc_shared and system_cc_decrypted shared;
 * system, CMA heaps (reserved, default_cma_region, linux,cma, names ending in "cma") private;
 * protected,* protected; emulated emulated), else as the policy's "heaps" declares, else unknown.
 * A policy may not redeclare a well-known heap (a mistake when parsed). policy may be NULL. */
enum exposure policy_exposure(const struct policy *policy, const char *heap);

/* What is no mistake and hardly what was meant: rules that nothing reaches, limits that let nothing
 * through and the like, a line each as mistakes are; right or not said. ret_remarks is zeroed by
 * the caller. 0 or -ENOMEM. */
int policy_remarks(const struct policy *policy, struct policy_errors *ret_remarks);

/* What cannot be known of processes. */
enum policy_fact {
	POLICY_FACT_UNIT, /* and slice */
	POLICY_FACT_CGROUP,
	POLICY_FACT_EXE,
	POLICY_FACT_LABEL,
	POLICY_FACT_CONTAINER,
	POLICY_FACTS,
};
struct policy_facts {
	const char *unknown[POLICY_FACTS]; /* why it is not known of anybody; NULL where it is */
};

/* The rules that do not what they say where these facts hold, and why, a line each, likewise. With
 * only_let_through those alone that let somebody through whom they mean to keep out: a deny rule
 * that can match nobody, an allow rule whose "not" leaves out nobody. */
int policy_unknowable(const struct policy *policy, const struct policy_facts *facts,
	bool only_let_through, struct policy_errors *ret_lines);

/* Calls visit for each rule before the one that decided (or any, where it is NULL) that would have
 * decided, or might, if a key were known of the peer that is not. */
void policy_each_passed_over(const struct policy *policy, const struct identity *peer,
	const struct request *request, const struct policy_rule *decided,
	void (*visit)(void *userdata, const struct policy_rule *rule, const char *key),
	void *userdata);

/* What the facts are judged by. */
struct policy_view {
	const char *own_cgroups, *init_cgroups; /* /proc/self/cgroup and that of PID 1; or empty */
	uint64_t capabilities;			/* of who looks at processes */
	bool labels;				/* a socket's peer has a label */
};
void policy_facts_judge(const struct policy_view *view, struct policy_facts *ret_facts);

/* The effective policy as JSON text, pretty-printed, every use, heap, limit and rule with a "from"
 * (file and JSON path). The caller frees it. NULL when out of memory. */
char *policy_show(const struct policy *policy);

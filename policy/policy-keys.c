/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The keys of each kind of object in a policy. The JSON schema must name the same ones; a test
 * compares them.
 */
#include "policy-internal.h"

static const char *const of_policy[] = { "$schema", "version", "uses", "heaps", "limits", "audit",
	"on-reload", "rules", NULL };
static const char *const of_use[] = { "heap", NULL };
static const char *const of_heap[] = { "exposure", NULL };
static const char *const of_limits[] = { "total", "per-user", "emulated-per-user",
	"connections-per-user", NULL };
static const char *const of_audit[] = { "durability", NULL };
static const char *const of_rule[] = { "name", "match", "allow", "deny", "use", NULL };
static const char *const of_match[] = { "user", "group", "unit", "slice", "exe", "label", "cgroup",
	"container", "identity", "transport", "not", NULL };
static const char *const of_allow[] = { "use", "buffer", "total", "buffers", "rate", "per", NULL };

const struct policy_keys policy_keys[POLICY_OBJECTS] = {
	[POLICY_OBJECT_POLICY] = { "policy", of_policy },
	[POLICY_OBJECT_USE] = { "use", of_use },
	[POLICY_OBJECT_HEAP] = { "heap", of_heap },
	[POLICY_OBJECT_LIMITS] = { "limits", of_limits },
	[POLICY_OBJECT_AUDIT] = { "audit", of_audit },
	[POLICY_OBJECT_RULE] = { "rule", of_rule },
	[POLICY_OBJECT_MATCH] = { "match", of_match },
	[POLICY_OBJECT_ALLOW] = { "allow", of_allow },
};

const struct policy_text policy_texts[POLICY_TEXT_KEYS] = {
	[POLICY_UNIT] = { "unit", offsetof(struct identity, unit), POLICY_FACT_UNIT },
	[POLICY_EXE] = { "exe", offsetof(struct identity, exe), POLICY_FACT_EXE },
	[POLICY_LABEL] = { "label", offsetof(struct identity, lsm), POLICY_FACT_LABEL },
	[POLICY_CGROUP] = { "cgroup", offsetof(struct identity, cgroup), POLICY_FACT_CGROUP },
	[POLICY_SLICE] = { "slice", offsetof(struct identity, slice), POLICY_FACT_UNIT },
};

# SPDX-License-Identifier: LGPL-2.1-or-later
"""A policy edited and reloaded, and one with mistakes."""
import os

from guest import check, journal, journal_now, out, read, run, write
from lib.harness import expect, expect_in
from product import (POLICY, POLICY_DIR, active, client, records, refusal, request, rule,
                     set_policy, start, status)

BROKEN = ('{ "version": 1,\n  "rules": [ { "name": "x", "match": { "usr": "alice" },\n'
          '    "allow": { "use": "real", "bufer": "1M" } } ] }\n')


@check
def policy_edit_and_reload():
    set_policy(rule("alice", {"user": "alice"}))
    digest = status()["PolicyDigest"]
    request("alice")
    set_policy(rule("bob", {"user": "bob"}))
    expect(refusal("alice")["verdict"] == "no-rule", "the old policy is in force")
    request("bob")
    expect(status()["PolicyDigest"] != digest, "the digest is the old one")
    expect(records("grant")[-1]["policy"] == status()["PolicyDigest"], "the record has another")
    set_policy(rule("alice", {"user": "alice"}))
    expect(status()["PolicyDigest"] == digest, "the same policy has another digest")


@check
def policy_broken_keeps_the_old():
    digest = status()["PolicyDigest"]
    good = read(POLICY)
    since = journal_now()
    write(POLICY, BROKEN)
    run("systemctl", "reload", "ccbufd.service", ok=False)
    expect(active(), "the daemon is gone")
    request("alice")
    # it says so: all mistakes, where they are, and what was meant
    now = status()
    expect(now["PolicyDigest"] == digest, "another policy is in force")
    text = journal("-u", "ccbufd.service", since=since)
    for where, said in (("status", now["PolicyError"]), ("the journal", text)):
        for word in ("50-checks.json", "usr", "bufer", "buffer"):
            expect_in(word, said, where)
    record = records("policy")[-1]
    expect(record["verdict"] != "granted", str(record))
    done = client("policy", "check", ok=False)
    expect_in("bufer", done.stdout + done.stderr)
    write(POLICY, good)
    run("systemctl", "reload", "ccbufd.service")
    expect(status()["PolicyError"] == "", "the mistakes are still told")
    expect(records("policy")[-1]["verdict"] == "granted", "no record")
    client("policy", "check")


@check
def policy_broken_at_start():
    """Without a valid policy there is no daemon, and its end says why."""
    good = read(POLICY)
    run("systemctl", "stop", "ccbufd.socket", "ccbufd.service")
    since = journal_now()
    write(POLICY, BROKEN)
    run("systemctl", "start", "ccbufd.service", ok=False)
    expect(not active(), "the daemon runs without a policy")
    expect_in("bufer", journal("-u", "ccbufd.service", since=since))
    run("systemctl", "stop", "ccbufd.socket", "ccbufd.service")
    write(POLICY, good)
    start()
    request("alice")


@check
def policy_layers():
    """A file in an earlier folder masks one of the same name in a later one."""
    name = "60-layer.json"
    late = "/run/ccbufd/policy.d/" + name
    early = f"{POLICY_DIR}/{name}"
    write(late, '{ "version": 1, "rules": [ { "name": "bob", "match": { "user": "bob" },\n'
                '  "allow": { "use": "real" } } ] }\n')
    run("systemctl", "reload", "ccbufd.service")
    request("bob")
    expect_in(late, out("ccbuf-client", "policy", "show"))
    os.symlink("/dev/null", early)
    run("systemctl", "reload", "ccbufd.service")
    expect(refusal("bob")["verdict"] == "no-rule", "a masked file counts")
    os.unlink(early)
    os.unlink(late)
    run("systemctl", "reload", "ccbufd.service")

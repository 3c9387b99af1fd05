# SPDX-License-Identifier: LGPL-2.1-or-later
"""The trail, the journal and those who may see them."""
import json
import os
import shutil
import subprocess

from guest import check, journal, journal_now, out, read, run
from lib.broker import NAME
from lib.harness import expect, expect_in
from lib.waiting import wait_until
from product import (AUDIT, CONFIDENTIAL, NODES, REAL, Holder, active, client, records, refusal,
                     request, restart, rule, set_policy, verify, wait_nothing_granted)

FOLDER = os.path.dirname(AUDIT)
GRANT_MESSAGE = "b83569fa24964c41bc5ab8ce2dddafe8"
DENY_MESSAGE = "bf6321cf339744188bea9fc3effd1fb4"


@check
def audit_policy():
    set_policy(rule("alice", {"user": "alice"}))
    wait_nothing_granted()


@check
def audit_verifies():
    """All that was done to the daemon so far is one unbroken chain."""
    verify()
    expect(len(records()) > 10, f"{len(records())} records only")


@check
def audit_tampering_shows():
    lines = read(AUDIT).splitlines(keepends=True)
    middle = len(lines) // 2
    changes = {
        "changed": lines[:middle] + [lines[middle].replace('"seq"', '"seq" ', 1)] +
        lines[middle + 1:],
        "cut out": lines[:middle] + lines[middle + 1:],
        "reordered": lines[:middle] + [lines[middle + 1], lines[middle]] + lines[middle + 2:],
    }
    for what, changed in changes.items():
        with open("/tmp/tampered.jsonl", "w", encoding="utf-8") as f:
            f.writelines(changed)
        done = client("audit", "verify", "/tmp/tampered.jsonl", ok=None)
        expect(done.returncode != 0, f"a line was {what}: not found")
    done = client("audit", "show", "--user", "alice")
    expect(done.stdout.strip(), "nothing about alice")


@check
def audit_files_closed():
    expect(os.stat(AUDIT).st_mode & 0o7777 == 0o640, oct(os.stat(AUDIT).st_mode))
    run("cat", AUDIT, user="alice", ok=False)
    run("ccbuf-client", "audit", "verify", user="auditor")


@check
def audit_journal():
    since = journal_now()
    with Holder("alice") as holder:
        number = holder.grant
    refusal("bob")
    wait_nothing_granted()

    def entries(identifier):
        text = journal("-o", "json", "MESSAGE_ID=" + identifier, since=since)
        return [json.loads(line) for line in text.splitlines()]

    grant = wait_until(lambda: entries(GRANT_MESSAGE), "a grant in the journal")[0]
    expect(grant["CCBUF_GRANT"] == str(number) and grant["CCBUF_RULE"] == "alice" and
           grant["_SYSTEMD_UNIT"] == "ccbufd.service", str(grant))
    deny = wait_until(lambda: entries(DENY_MESSAGE), "a refusal in the journal")[0]
    expect(deny["CCBUF_VERDICT"] == "no-rule" and deny["CCBUF_UID"] == out("id", "-u", "bob"),
           str(deny))


@check
def audit_catalog():
    run("journalctl", "--update-catalog")
    expect_in("refused", out("journalctl", "--list-catalog", DENY_MESSAGE))
    text = out("journalctl", "-b", "-x", "--no-pager", "-n", "1", "MESSAGE_ID=" + DENY_MESSAGE)
    for word in ("A request for a buffer was refused", "no-rule", "ccbuf-policy(5)"):
        expect_in(word, text)


@check
def audit_full_disk():
    """Nothing is handed out without a record; with room again it works again by itself."""
    run("systemctl", "stop", "ccbufd.service", "ccbufd.socket")
    ids = [out("id", "-u", "ccbufd"), out("getent", "group", "ccbuf-admin").split(":")[2]]
    run("mount", "-t", "tmpfs", "-o", "size=256k,mode=2750,uid={},gid={}".format(*ids), "tmpfs",
        FOLDER)
    try:
        restart()
        request("alice")
        run("dd", "if=/dev/zero", f"of={FOLDER}/filler", "bs=4k", ok=None)

        def failing():
            done = client("request", "--json", "--use", "real", "--size", "64K", "--", "true",
                          user="alice", ok=None)
            return done.returncode == 3 and "audit-failed" in done.stdout + done.stderr

        # the last block of the trail has room for a few more
        wait_until(failing, "the disk to be full")
        expect(refusal("alice", transport="dbus")["verdict"] == "audit-failed", "not by the bus")
        expect(active(), "the daemon is gone")
        grants_then = len(records_of_whole_lines("grant"))
        os.unlink(f"{FOLDER}/filler")
        wait_until(lambda: not failing(), "grants again")
        request("alice")
        expect(len(records_of_whole_lines("grant")) > grants_then, "no records")
        wait_nothing_granted()
        verify()
        run("systemctl", "stop", "ccbufd.service", "ccbufd.socket")
    finally:
        run("umount", "--lazy", FOLDER)
    restart()
    request("alice")
    verify()


def records_of_whole_lines(event):
    with open(AUDIT, encoding="utf-8") as f:
        found = [json.loads(line) for line in f if line.endswith("\n")]
    return [r for r in found if r["event"] == event]


class Monitor:
    """What a user's bus connection hears of the broker."""

    def __init__(self, user):
        self.path = f"/tmp/monitor-{user}"
        with open(self.path, "wb") as f:
            self.process = subprocess.Popen(
                ["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--",
                 "stdbuf", "-oL", "gdbus", "monitor", "--system", "--dest", NAME],
                stdout=f, stderr=f)
        wait_until(lambda: "is owned by" in read(self.path), "the monitor to listen")

    def heard(self, word):
        return word in read(self.path)

    def end(self):
        self.process.terminate()
        self.process.wait(30)


@check
def audit_signals_are_for_admins():
    monitors = {user: Monitor(user) for user in ("alice", "auditor", "root")}
    try:
        request("alice")
        for user in ("auditor", "root"):
            for name in ("GrantAdded", "GrantReleased"):
                wait_until(lambda u=user, n=name: monitors[u].heard(n), f"{user} to hear of {name}")
        # something later that everybody hears: what came before is through
        set_policy(rule("alice", {"user": "alice"}), rule("bob", {"user": "bob"}))
        wait_until(lambda: monitors["alice"].heard("PolicyDigest"), "alice to hear of the policy")
        for name in ("GrantAdded", "GrantReleased"):
            expect(not monitors["alice"].heard(name), f"alice hears of {name}")
    finally:
        for monitor in monitors.values():
            monitor.end()


@check
def audit_doctor():
    done = client("doctor", ok=None)
    problems = [line for line in done.stdout.splitlines() if line.startswith("problem")]
    if CONFIDENTIAL and not os.path.exists(NODES + "/system_cc_shared"):
        expect(len(problems) == 1 and "without a shared heap" in problems[0], done.stdout)
    else:
        expect(not problems, "; ".join(problems))
    run("ccbuf-client", "doctor", user="alice", ok=None)
    if not REAL:
        return
    # a node that others could open past the broker
    mode = os.stat(NODES + "/system").st_mode & 0o7777
    os.chmod(NODES + "/system", 0o444)
    done = client("doctor", ok=None)
    os.chmod(NODES + "/system", mode)
    found = [line for line in done.stdout.splitlines()
             if line.startswith(("problem", "warning")) and "system" in line and "heap" in line]
    expect(found, done.stdout)


@check
def audit_without_the_daemon():
    """What needs no daemon works without one, and what needs it says what is missing."""
    run("systemctl", "stop", "ccbufd.service", "ccbufd.socket")
    verify()
    client("policy", "check")
    done = client("request", "--use", "real", "--size", "4K", "--", "true", ok=False)
    expect(done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr)
    shutil.rmtree("/run/fake-root", ignore_errors=True)

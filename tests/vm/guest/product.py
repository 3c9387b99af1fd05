# SPDX-License-Identifier: LGPL-2.1-or-later
"""ccbuf as the checks use it: a policy written and loaded, requests made and held, state read."""
import ctypes
import json
import os
import select
import subprocess

from guest import out, read_optional, run, write
from lib import trail
from lib.harness import Failure
from lib.waiting import wait_until

POLICY_DIR = "/etc/ccbufd/policy.d"
POLICY = POLICY_DIR + "/50-checks.json"
AUDIT = "/var/log/ccbufd/audit.jsonl"
SOCKET = "/run/ccbufd/ccbufd.sock"
NODES = "/dev/dma_heap"
DMA_BUF_MAGIC = 0x444d4142

# What the guest is: plain, sev, snp or tdx.
TEE = read_optional(os.path.join(os.path.dirname(os.path.abspath(__file__)), "tee"))
CONFIDENTIAL = TEE != "plain"

# The kernel's heap where it has one; what cannot be had here is tried with the emulated one.
REAL = os.path.exists(NODES + "/system")
HEAP = "system" if REAL else "emulated"
USES = {"real": {"heap": HEAP}, "memfd": {"heap": "emulated"},
        "host": {"heap": "system_cc_shared"}}


def main_pid():
    return int(out("systemctl", "show", "-p", "MainPID", "--value", "ccbufd.service"))


def active():
    return out("systemctl", "is-active", "ccbufd.service", ok=None) == "active"


def start():
    run("systemctl", "reset-failed", "ccbufd.service", "ccbufd.socket", ok=None)
    run("systemctl", "start", "ccbufd.service")


def restart():
    run("systemctl", "reset-failed", "ccbufd.service", "ccbufd.socket", ok=None)
    run("systemctl", "restart", "ccbufd.service")


def rule(name, match, use=("real", "memfd"), deny=None, **limits):
    if deny is not None:
        return {"name": name, "match": match, "deny": deny}
    return {"name": name, "match": match, "allow": {"use": list(use), **limits}}


def set_policy(*rules, limits=None, load=True, **more):
    """Replaces the checks' policy file and has the daemon, started if need be, follow it."""
    policy = {"version": 1, "uses": USES, "rules": list(rules), **more,
              "limits": {"emulated-per-user": "100%", **(limits or {})}}
    write(POLICY, json.dumps(policy, indent=1) + "\n")
    if load:
        if active():
            run("systemctl", "reload", "ccbufd.service")
        else:
            start()


def client(*argv, **more):
    return run("ccbuf-client", *argv, **more)


def request(user, *options, use="real", size="64K", command=("true",), ok=True,
            transport="socket"):
    """One request that runs a command with the buffers; by default one that ends at once."""
    return client("request", "--use", use, "--size", size, "--transport", transport, *options,
                  "--", *command, user=user, ok=ok)


def refusal(user, *options, use="real", size="64K", transport="socket"):
    """The refusal of a request as the client's object: verdict, code, rule, reason, words."""
    done = client("request", "--json", "--use", use, "--size", size, "--transport", transport,
                  *options, "--", "true", user=user, ok=None)
    if done.returncode != 3:
        raise Failure(f"request of {user} was not refused but ended with {done.returncode}: "
                      f"{done.stdout}{done.stderr}")
    return json.loads(done.stdout or done.stderr)


def expect_refused(verdict, user, *options, says=(), **more):
    """Refused with that verdict over both transports, for a reason that says certain words."""
    for transport in ("socket", "dbus"):
        got = refusal(user, *options, transport=transport, **more)
        if got["verdict"] != verdict:
            raise Failure(f"{transport}: {got['verdict']} instead of {verdict}: {got}")
        for word in says:
            if word not in got["reason"]:
                raise Failure(f"{transport}: the reason does not say {word!r}: {got}")
    return got


def take_fd(pid, number):
    """A duplicate of another process's fd: one more holder of the buffer."""
    pidfd = os.pidfd_open(pid)
    fd = ctypes.CDLL(None, use_errno=True).syscall(438, pidfd, number, 0)
    os.close(pidfd)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return fd


class Holder:
    """A client that holds what it was granted until it is told to end."""

    def __init__(self, user, *options, use="real", size="64K", transport="socket", count=1,
                 prefix=()):
        argv = ["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--", *prefix,
                "ccbuf-client", "request", "--json", "--use", use, "--size", size,
                "--count", str(count), "--transport", transport, *options]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        lines = self._lines(count)
        self.grants = [json.loads(line) for line in lines]
        self.grant = self.grants[0]["grant"]
        self.pid = self.grants[0]["pid"]

    def _lines(self, count):
        text = b""
        while text.count(b"\n") < count:
            if not select.select([self.process.stdout], [], [], 30)[0]:
                self.process.kill()
                raise Failure(f"no grant in 30 s: {text!r}")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise Failure(f"no grant: {self.process.stderr.read()!r}")
            text += data
        return text.decode().splitlines()

    def take(self, index=0):
        return take_fd(self.pid, self.grants[index]["fd"])

    def end(self, signal=15):
        self.process.send_signal(signal)
        self.process.wait(30)
        self.process.stdout.close()
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def grants(user=None):
    """All grants (or those of a user), by number."""
    listed = json.loads(out("ccbuf-client", "list", "--all", "--json"))
    uid = None if user is None else int(out("id", "-u", user))
    return {g["grant"]: g for g in listed if uid is None or g["uid"] == uid}


def grant_state(number):
    found = grants().get(number)
    return found["state"] if found else "released"


def wait_state(number, state):
    wait_until(lambda: grant_state(number) == state, f"grant {number} to be {state}")


def wait_nothing_granted():
    wait_until(lambda: not grants(), "all grants to be released")


def status():
    return json.loads(out("ccbuf-client", "status", "--json"))


def records(event=None):
    return [r for r in trail.records_in(AUDIT) if event in (None, r["event"])]


def verify():
    client("audit", "verify")

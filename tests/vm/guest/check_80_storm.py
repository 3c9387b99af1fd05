# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ledger against the kernel: whatever a grantee does with its buffers, what is charged is what
is held, by the count of the kernel and by looking at every process."""
import os
import random
import re
import signal
import subprocess

from guest import check
from lib.harness import Skip, expect
from lib.waiting import wait_until
from product import (REAL, Holder, grants, main_pid, rule, set_policy, status, verify,
                     wait_nothing_granted)

HERE = os.path.dirname(os.path.abspath(__file__))
MAP = re.compile(r"^\S+ \S+ \S+ \S+ (\d+) +/dmabuf:")


def held_by_processes(but):
    """References to each dma-buf by inode: fds and mappings of all processes but one."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == but:
            continue
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{fd}").startswith("/dmabuf:"):
                    inode = os.stat(f"/proc/{pid}/fd/{fd}").st_ino
                    found[inode] = found.get(inode, 0) + 1
            with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as f:
                for line in f:
                    match = MAP.match(line)
                    if match:
                        inode = int(match.group(1))
                        found[inode] = found.get(inode, 0) + 1
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def counted_by_kernel(pid):
    """The same as the daemon's own fds tell: fdinfo's count less its one."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{fd}"
        try:
            if os.readlink(path).startswith("/dmabuf:"):
                with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as f:
                    count = int(re.search(r"^count:\s*(\d+)", f.read(), re.M).group(1))
                found[os.stat(path).st_ino] = count - 1
        except FileNotFoundError:
            continue
    return found


def agree():
    """Until the ledger has looked, it may still charge what has just gone."""
    pid = main_pid()

    def settled():
        listed = {g["inode"]: g for g in grants().values()}
        return set(listed) == set(held_by_processes(pid))

    wait_until(settled, "the ledger to charge what is held and nothing else")
    held = held_by_processes(pid)
    kernel = counted_by_kernel(pid)
    expect(held == kernel, f"processes hold {held}, the kernel counts {kernel}")
    listed = grants().values()
    now = status()
    expect(now["GrantCount"] == len(listed), str(now))
    expect(now["GrantedBytes"] == sum(g["size"] for g in listed), str(now))
    return held


@check
def storm_policy():
    set_policy(rule("all", {"user": ["alice", "bob"]}, buffers=256))
    wait_nothing_granted()


@check
def storm_of_holders():
    """dup, fork, mmap, passing on, exec and kill; then the grantee goes before its heirs do."""
    if not REAL:
        raise Skip("an emulated buffer has no count")
    for seed in (1, 2, 3):
        argv = ["setpriv", "--reuid", "alice", "--regid", "alice", "--init-groups", "--",
                "ccbuf-client", "request", "--use", "real", "--size", "64K", "--count", "16",
                "--transport", "socket" if seed % 2 else "dbus", "--",
                "python3", "-B", f"{HERE}/storm.py", str(seed)]
        heirs = []
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as grantee:
            try:
                heirs = [int(pid) for pid in grantee.stdout.readline().split()]
                agree()
                # the grantee is killed: what its heirs hold is orphaned, the rest released
                grantee.kill()
                grantee.wait()
                expect(agree(), "no heir holds anything: a poor storm")
                expect(all(g["state"] == "orphaned" for g in grants("alice").values()),
                       str(grants("alice")))
            finally:
                grantee.kill()
                for pid in heirs:
                    os.killpg(pid, signal.SIGKILL)
        wait_nothing_granted()
        expect(not agree(), "something is held")


@check
def storm_of_requests():
    """Many clients at once, half of which are killed at any moment of their request."""
    rng = random.Random(4)
    argv = ["setpriv", "--reuid", "bob", "--regid", "bob", "--init-groups", "--", "ccbuf-client",
            "request", "--use", "real", "--size", "64K", "--count", "4"]
    clients = []
    for number in range(24):
        clients.append(subprocess.Popen(
            argv + ["--transport", "dbus" if number % 3 == 0 else "socket"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        if rng.random() < 0.5:
            clients.pop(rng.randrange(len(clients))).kill()
    if REAL:
        agree()
    for one in clients:
        one.send_signal(signal.SIGTERM)
    for one in clients:
        one.wait(60)
    wait_nothing_granted()
    now = status()
    expect(now["GrantCount"] == 0 and now["GrantedBytes"] == 0, str(now))
    verify()


@check
def storm_leaves_no_fds():
    """The daemon keeps nothing of what is over."""
    pid = main_pid()

    def count():
        return len(os.listdir(f"/proc/{pid}/fd"))

    with Holder("alice"):
        pass
    wait_nothing_granted()
    before = count()
    for _ in range(3):
        with Holder("alice", count=8):
            pass
    wait_nothing_granted()
    wait_until(lambda: count() <= before, "the daemon's fds to be closed")

#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boots the probe (probe/) as a guest and plays its host (eye.py).

Prints `ok NAME` or `not ok NAME why`, once; the status is 1 for the latter.
"""
import argparse
import os
import re
import select
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from boot import emulators_fault, folder_for_memory, machine, map_memory
from eye import Host, Leak, Problem, expect

FEATURES = {"plain": None, "sev": "AMD SEV", "snp": "AMD SEV SEV-ES SEV-SNP", "tdx": "Intel TDX"}


class Again(Exception):
    """The guest died before there was anything to judge. QEMU before 8.1 may keep a translation of
    code that another processor patched meanwhile, see README.md; the hypervisor makes up for that,
    but a plain guest has none. Never passed over in silence."""


def follow(guest, host, deadline, lines):
    """Reads the guest's console to its end, and acts as the host when the guest says so."""
    pending = b""
    fd = guest.stdout.fileno()
    while True:
        left = deadline - time.monotonic()
        expect(left > 0, "the guest did not end in time")
        if not select.select([fd], [], [], left)[0]:
            continue
        data = os.read(fd, 65536)
        if not data:
            return
        *complete, pending = (pending + data).split(b"\n")
        for line in complete:
            line = line.decode("utf-8", "replace").rstrip("\r")
            lines.append(line)
            host.line(line)


def judge(args, host, lines, log):
    console = "\n".join(lines)
    fault = emulators_fault(args.tee, console, log)
    if fault:
        raise Again(fault)
    why = re.search(r"^stop: .*\n(.*)", log, re.MULTILINE)
    expect(not why or args.test, f"the hypervisor stopped the guest: {why[1] if why else ''}")
    if "probe:" not in console and not why:
        raise Again("the guest ended before its probe began")
    features = set(re.findall(r"Memory Encryption Features active: (.*)", console))
    expect(features == ({FEATURES[args.tee]} if FEATURES[args.tee] else set()),
           f"the kernel says that its memory is encrypted by {features or 'nothing'}")
    expect(re.search(rf"Brought up 1 node, {args.cpus} CPU", console),
           f"the kernel did not start {args.cpus} processors")
    bad = re.search(r"probe: not ok (\S+)", console)
    expect(not bad, f"the guest says: not ok {bad[1] if bad else ''}", Leak)
    if args.test == "wrong" and args.strict:
        at = host.at.get("shared", 0)
        expect(f"private access to shared memory: guest physical {at:x}" in log,
               "the access to the wrong half did not stop the guest")
        return
    if args.test == "fatal":
        expect("the guest terminates itself" in log, "the guest went on after a failed conversion")
        return
    expect("probe: done" in console, "the guest did not get to the end of its probe")
    host.end()
    if args.tee == "tdx":
        expect(re.search(r"CPA VMM failure to convert memory .* to shared: -5", console),
               "the kernel did not warn of the conversions that failed")


def read(path):
    """A plain guest has no hypervisor that would write a log."""
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def run(args, folder):
    memory = os.path.join(folder, "memory")
    log = os.path.join(folder, "cocovm.log")
    lines = args.lines
    test = "plain" if args.tee == "plain" else args.test
    append = "console=ttyS0,115200 panic=-1 quiet" + (f" -- test={test}" if test else "")
    host = Host(map_memory(args, memory), args.memory << 20, args.tee)
    guest = subprocess.Popen(machine(args, append, memory, log) + ["-serial", "stdio"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        follow(guest, host, time.monotonic() + args.timeout, lines)
        judge(args, host, lines, read(log))
    finally:
        guest.kill()
        guest.wait()
        lines += ["cocovm: " + line for line in read(log).splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", required=True)
    parser.add_argument("--hypervisor")
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--initrd", required=True)
    parser.add_argument("--tee", required=True, choices=FEATURES)
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--memory", type=int, default=512)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--test", default="", choices=["", "wrong", "fatal"])
    parser.add_argument("--must-fail", action="store_true", help="ok when the probe fails")
    parser.add_argument("--timeout", type=float, default=180)
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    start = time.monotonic()
    for _ in range(3):
        args.lines = []
        problem, leak = None, False
        with folder_for_memory() as folder:
            try:
                run(args, folder)
            except Problem as e:
                problem, leak = str(e), isinstance(e, Leak)
            except Again as e:
                problem = str(e)
                print(f"# {args.name}: once more, as {e}", flush=True)
                continue
        break
    else:
        args.must_fail = False
    if args.verbose or (problem and not (args.must_fail and leak)):
        for line in args.lines[-60:]:
            print("# " + line)
    if args.must_fail and leak:
        args.name += f" (caught: {problem})"
        problem = None
    elif args.must_fail:
        problem = problem or "nothing was noticed"
    if problem:
        print(f"not ok {args.name} {problem}", flush=True)
        return 1
    print(f"ok {args.name} ({time.monotonic() - start:.0f} s)", flush=True)
    return 0


sys.exit(main())

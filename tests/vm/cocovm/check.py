#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boots the probe (probe/) as a confidential guest and plays the host it must not trust.

The machine's memory is a file that is mapped here too: what is below the guest's size is the shared
half, the host's view; what is from 3 GiB on in the file is the private half, which no real host
could read, and which is looked at only to be sure that the secret was there to be found.

Prints `ok NAME` or `not ok NAME why`, once; the status is 1 for the latter.
"""
import argparse
import mmap
import os
import re
import select
import subprocess
import sys
import tempfile
import time

LOW = 3 << 30
PAGE = 4096
FEATURES = {"sev": "AMD SEV", "snp": "AMD SEV SEV-ES SEV-SNP", "tdx": "Intel TDX"}


class Problem(Exception):
    pass


class Leak(Problem):
    """The halves are not apart: what a broken hypervisor must be found out by, and nothing else."""


class Again(Exception):
    """The guest died while it booted, where it was seen of an INT3 that is not there (any more).
    Rare, on a busy machine, with two processors or more; most likely TCG's, which before QEMU 8.1
    could keep a translation of code that another processor patched meanwhile. Not proven, so it is
    never passed over in silence."""


def expect(condition, why, kind=Problem):
    if not condition:
        raise kind(why)


def command(args, memory, log):
    append = "console=ttyS0,115200 panic=-1 quiet"
    if args.test:
        append += f" -- test={args.test}"
    options = f"tee={args.tee} ram={args.memory}" + (" strict" if args.strict else "")
    vendor = ",vendor=GenuineIntel" if args.tee == "tdx" else ""
    size = LOW + (args.memory << 20)
    return ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-smp", str(args.cpus),
            "-object", f"memory-backend-file,id=ram,size={size},mem-path={memory},share=on",
            "-machine", "pc,smm=off,memory-backend=ram", "-m", f"{size >> 20}M",
            "-cpu", "max,la57=off" + vendor, "-nodefaults", "-no-reboot", "-display", "none",
            "-serial", "stdio", "-debugcon", f"file:{log}",
            "-kernel", args.hypervisor, "-append", options,
            "-initrd", f"{args.kernel} {append.replace(',', ',,')},{args.initrd}"]


class Host:
    """What a host can do: read and write the shared half, at any time."""

    def __init__(self, memory, ram):
        self.map = memory
        self.ram = ram
        self.at = {}

    def read(self, address):
        return self.map[address:address + PAGE]

    def write(self, address, data):
        self.map[address:address + len(data)] = data

    def look(self):
        expect(self.read(self.at["shared"]).startswith(b"SHARED-000000"),
               "the host does not see the shared page", Leak)
        expect(b"PRIVATE-" not in self.read(self.at["private"]),
               "the host sees the private page where the guest has it", Leak)
        expect(self.read(LOW + self.at["private"]).startswith(b"PRIVATE-"),
               "the secret is not in the private half", Leak)
        expect(self.map.find(b"PRIVATE-000010", 0, self.ram) < 0,
               "the host finds the secret somewhere in the shared half", Leak)
        self.write(self.at["private"], b"HHHHHHHH")
        self.write(self.at["shared"], b"HHHHHHHH")

    def again(self):
        expect(b"AGAIN-" not in self.read(self.at["shared"]),
               "the host sees the page that is private again", Leak)
        self.write(self.at["shared"], b"HHHHHHHH")


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
            where = re.search(r"probe: at (\w+) ([0-9a-f]+)", line)
            if where:
                host.at[where[1]] = int(where[2], 16)
            elif line.endswith("probe: now look"):
                host.look()
            elif line.endswith("probe: now again"):
                host.again()


def judge(args, host, lines, log):
    console = "\n".join(lines)
    why = re.search(r"^stop: .*\n(.*)", log, re.MULTILINE)
    expect(not why or args.test, f"the hypervisor stopped the guest: {why[1] if why else ''}")
    if "Oops: int3" in console:
        raise Again("the kernel died of a stale INT3")
    if "probe:" not in console and not why:
        raise Again("the guest ended before its probe began")
    expect(f"Memory Encryption Features active: {FEATURES[args.tee]}\n" in console + "\n",
           "the kernel does not say that its memory is encrypted so")
    expect(re.search(rf"Brought up 1 node, {args.cpus} CPU", console),
           f"the kernel did not start {args.cpus} processors")
    bad = re.search(r"probe: not ok (\S+)", console)
    expect(not bad, f"the guest says: not ok {bad[1] if bad else ''}", Leak)
    if args.test == "wrong" and args.strict:
        expect(f"private access to shared memory: guest physical {host.at.get('shared', 0):x}" in log,
               "the access to the wrong half did not stop the guest")
        return
    if args.test == "fatal":
        expect("the guest terminates itself" in log, "the guest went on after a failed conversion")
        return
    expect("probe: done" in console, "the guest did not get to the end of its probe")
    if args.tee == "tdx" and not args.test:
        expect("WARNING" in console, "the kernel did not warn of the conversions that failed")


def run(args, folder):
    memory = os.path.join(folder, "memory")
    log = os.path.join(folder, "cocovm.log")
    size = LOW + (args.memory << 20)
    lines = args.lines
    with open(memory, "wb+") as f:
        f.truncate(size)
        host = Host(mmap.mmap(f.fileno(), size), args.memory << 20)
    guest = subprocess.Popen(command(args, memory, log), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE)
    try:
        follow(guest, host, time.monotonic() + args.timeout, lines)
        with open(log, encoding="utf-8", errors="replace") as f:
            judge(args, host, lines, f.read())
    finally:
        guest.kill()
        guest.wait()
        if os.path.exists(log):
            with open(log, encoding="utf-8", errors="replace") as f:
                lines += ["cocovm: " + line for line in f.read().splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", required=True)
    parser.add_argument("--hypervisor", required=True)
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
    shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    for _ in range(3):
        args.lines = []
        problem, leak = None, False
        with tempfile.TemporaryDirectory(prefix="cocovm.", dir=shm) as folder:
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

#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a guest by tests/vm/run and plays its host: passes on what the checks report, and when they
ask, looks at the guest's memory from outside (see guest/host.py).

The machine's memory is a file that is mapped here too: what is below the guest's size is the shared
half, all that a host can see; from 3 GiB on is the private half, which is looked at only to be sure
that a secret was there to be found. The status is that of the guest; 75 if it is to be run once
more, see `judge`.
"""
import argparse
import hashlib
import json
import mmap
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile

LOW = 3 << 30
AGAIN = 75


class Host:
    def __init__(self, memory, ram):
        self.memory = memory
        self.ram = ram
        self.mailbox = None

    def inside(self, at, size):
        if at < 0 or size < 0 or at + size > self.ram:
            raise ValueError(f"{at:x}, {size} bytes: not in the guest's memory")

    def read(self, at, size):
        self.inside(at, size)
        return self.memory[at:at + size]

    def answer(self, what, ask):
        if what == "hello":
            self.mailbox = ask["mailbox"]
            return {}
        if what == "read":
            return {"data": self.read(ask["at"], ask["size"]).hex()}
        if what == "digest":
            digest = hashlib.sha256()
            for at, size in ask["ranges"]:
                digest.update(self.read(at, size))
            return {"digest": digest.hexdigest()}
        if what == "write":
            pattern = bytes.fromhex(ask["pattern"])
            for at, size in ask["ranges"]:
                self.inside(at, size)
                self.memory[at:at + size] = (pattern * (size // len(pattern) + 1))[:size]
            return {}
        if what == "find":
            mask = bytes.fromhex(ask["mask"])
            word = bytes(a ^ b for a, b in zip(bytes.fromhex(ask["masked"]), mask))
            first = LOW if ask["private"] else 0
            return {"at": self.memory.find(word, first, first + self.ram)}
        raise ValueError(f"what is {what}?")

    def handle(self, ask):
        try:
            reply = self.answer(ask.pop("what"), ask)
        except (KeyError, ValueError) as e:
            reply = {"problem": str(e)}
        text = json.dumps(reply).encode()
        if len(text) > 4096 - 8:
            text = json.dumps({"problem": "the answer is too long"}).encode()
        if self.mailbox is not None:
            at = self.mailbox
            self.memory[at + 8:at + 8 + len(text)] = text
            # number and length at once, when all else is there
            self.memory[at:at + 8] = struct.pack("<II", ask["number"], len(text))


def follow(guest, host):
    """Passes the report on to its end."""
    for line in guest.stdout:
        ask = re.match(r"\w+: # host (\{.*\})$", line.rstrip())
        if ask:
            if host:
                host.handle(json.loads(ask[1]))
        else:
            print(line, end="", flush=True)


def judge(status, log_dir):
    """A kernel that dies of an INT3 that is not there is the emulator's fault, not the heap's: see
    cocovm/README.md."""
    try:
        with open(os.path.join(log_dir, "console.log"), encoding="utf-8", errors="replace") as f:
            console = f.read()
    except FileNotFoundError:
        return status
    if status and "Oops: int3" in console:
        print("# the kernel died of a stale INT3", flush=True)
        return AGAIN
    return status


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", type=int, default=2048, help="the guest's, MiB")
    parser.add_argument("--plain", action="store_true", help="the guest is not confidential")
    parser.add_argument("--log-dir", required=True)
    parser.add_argument("run", nargs="+", help="tests/vm/run and its arguments")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    command = args.run[:1] + ["--memory", str(args.memory), "--log-dir", args.log_dir]
    shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="ccbuf-heap.", dir=shm) as folder:
        host = None
        if not args.plain:
            path = os.path.join(folder, "memory")
            size = LOW + (args.memory << 20)
            with open(path, "wb+") as f:
                f.truncate(size)
                host = Host(mmap.mmap(f.fileno(), size), args.memory << 20)
            for argument in ("-object", f"memory-backend-file,id=ram,size={size},mem-path={path},"
                             "share=on", "-machine", "memory-backend=ram"):
                command += ["--qemu", argument]
        with subprocess.Popen(command + args.run[1:], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, encoding="utf-8", errors="replace") as guest:
            try:
                follow(guest, host)
            except BaseException:
                guest.terminate()
                raise
    return judge(guest.returncode, args.log_dir)


sys.exit(main())

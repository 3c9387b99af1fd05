# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host of the probe (probe/): does what a confidential guest must expect of one.

The machine's memory is a file that is mapped here too: what is below the guest's size is the shared
half, the host's view; what is from 3 GiB on in the file is the private half, which no real host
could read, and which is looked at only to be sure that the secret was there to be found. A plain
guest has one half only, and the host finds everything in it.
"""
import re
import struct
import threading
import time

LOW = 3 << 30
PAGE = 4096
CONTROL = 0xa0001000  # the control page, see control.h
FAULT_FAIL, FAULT_STALL = 1, 4
TO_SHARED = 1


class Problem(Exception):
    pass


class Leak(Problem):
    """The halves are not apart: what a broken hypervisor must be found out by, and nothing else."""


def expect(condition, why, kind=Problem):
    if not condition:
        raise kind(why)


class Host:
    """Is told line by line what the guest says, and acts when the probe says so."""

    def __init__(self, memory, ram, tee):
        self.map = memory
        self.ram = ram
        self.tee = tee
        self.at = {}
        self.acted = set()
        self.rewriting = threading.Event()

    def read(self, address):
        return self.map[address:address + PAGE]

    def write(self, address, data):
        self.map[address:address + len(data)] = data

    def line(self, text):
        where = re.search(r"probe: at (\w+) ([0-9a-f]+)", text)
        now = re.search(r"probe: now (look|again|race|still|arm)$", text)
        if where:
            self.at[where[1]] = int(where[2], 16)
        elif now:
            self.acted.add(now[1])
            getattr(self, now[1])()

    def end(self):
        """After the guest: was there everything to be seen?"""
        self.still()
        want = {"look", "again", "race", "still"} | ({"arm"} if self.tee != "plain" else set())
        expect(self.acted == want, f"the host was asked for {sorted(self.acted)} only")

    def look(self):
        private, shared = self.at["private"], self.at["shared"]
        expect(self.read(shared).startswith(b"SHARED-000000"),
               "the host does not see the shared page", Leak)
        if self.tee == "plain":
            expect(self.read(private).startswith(b"PRIVATE-000000"),
                   "the host does not see all of a guest that is not confidential")
        else:
            expect(b"PRIVATE-" not in self.read(private),
                   "the host sees the private page where the guest has it", Leak)
            expect(self.read(LOW + private).startswith(b"PRIVATE-"),
                   "the secret is not in the private half", Leak)
            expect(self.map.find(b"PRIVATE-000010", 0, self.ram) < 0,
                   "the host finds the secret somewhere in the shared half", Leak)
        self.write(private, b"HHHHHHHH")
        self.write(shared, b"HHHHHHHH")

    def again(self):
        """The shared page is said to be private once more."""
        if self.tee != "plain":
            expect(b"AGAIN-" not in self.read(self.at["shared"]),
                   "the host sees the page that is private again", Leak)
            self.write(self.at["shared"], b"HHHHHHHH")

    def race(self):
        """A malicious host, which changes what the guest reads between one look and the next."""
        at = self.at["race"]

        def rewrite():
            count = 1
            while self.rewriting.is_set():
                self.write(at, struct.pack("<Q", count))
                count += 1
                if count % 100 == 0:
                    time.sleep(0.001)
        self.rewriting.set()
        threading.Thread(target=rewrite, daemon=True).start()

    def still(self):
        self.rewriting.clear()

    def arm(self):
        """A fault that the guest knows nothing of: the next conversion to shared memory fails, or,
        where Linux does not survive that (SNP) or does not notice (SEV), takes long."""
        fault = 1 << 16 | TO_SHARED << 8 | FAULT_FAIL
        if self.tee != "tdx":
            fault = 500 << 32 | 1 << 16 | TO_SHARED << 8 | FAULT_STALL
        expect(self.map[CONTROL:CONTROL + 8] == b"ccbench\0", "there is no control page")
        self.write(CONTROL + 16, struct.pack("<Q", fault))
